"""What autoencoders are given: damaged data, examples without labels."""

import pytest
import torch
from torch import nn

from deepcanon.engine.callbacks import evaluate
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.vae import VAE
from tests.contracts.presets import PRESETS


def test_examples_without_a_label_do_not_count_in_the_accuracy_nor_other_labels_in_a_sample():
    vae = PRESETS["semi_supervised_vae"].build().eval()
    x, _ = PRESETS["semi_supervised_vae"].batch()
    right = vae.predict(x).argmax(1)
    y = torch.where(torch.arange(len(x)) % 2 == 0, right, -1)
    assert evaluate(vae, [(x, y)])["accuracy"] == 1.0
    with pytest.raises(ValueError, match=r"expected one label in 0..3 for each of 2 examples"):
        vae.sample(2, torch.tensor([0]))


def test_the_encoder_sees_the_damaged_data_in_training_only():
    seen = []
    vae = VAE(nn.Linear(4, 4), nn.Linear(2, 4), latent_dim=2, corrupt=torch.zeros_like)
    vae.encoder.register_forward_hook(lambda net, inputs, out: seen.append(float(inputs[0].abs().sum())))
    x = torch.ones(3, 4)
    IWAE(vae, samples=2).loss((x,))
    IWAE(vae, samples=2).metrics((x,))
    assert seen == [0, 12, 12]
