"""What adversarial networks are given, and what moves once a step."""

import pytest
import torch
from torch import nn

from deepcanon.engine.callbacks import evaluate
from deepcanon.gans.gan import GAN
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.layers.instance_noise import InstanceNoise
from deepcanon.nets.perceptron import mlp


@pytest.mark.row("GEN-66")
def test_noise_is_one_for_all_calls_of_a_step_and_fades_after_it():
    seen = []

    class Watched(InstanceNoise):
        def forward(self, x):
            seen.append(float(self.sigma))
            return super().forward(x)

    gan = GAN(mlp(2, 4, 2), nn.Sequential(Watched(1.0, decay=0.5), mlp(2, 4, 1)), latent_dim=2)
    for _ in range(2):
        for _player, _loss in gan.losses((torch.randn(8, 2),)):
            pass
    assert seen == [1.0] * 4 + [0.5] * 4


@pytest.mark.parametrize("answer", [torch.zeros(8, 2), torch.zeros(7, 1), torch.zeros(8, 1, 1)])
def test_a_discriminator_gives_one_score_an_example(answer):
    class Fixed(nn.Module):
        def forward(self, x):
            return answer

    gan = GAN(mlp(2, 4, 2), Fixed(), latent_dim=2)
    with pytest.raises(ValueError, match=r"expected scores of shape \(8,\) or \(8, 1\), got"):
        next(gan.losses((torch.randn(8, 2),)))


def test_looking_ahead_does_not_move_the_statistics_of_the_discriminator():
    gan = UnrolledGAN(mlp(2, 4, 2), nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), latent_dim=2, unroll=3)
    for _player, _loss in gan.losses((torch.randn(8, 2),)):
        pass
    assert gan.discriminator[1].num_batches_tracked == 2                 # data and generated points, once each


def test_examples_without_a_label_do_not_count_in_the_accuracy():
    x, y = torch.randn(6, 2), torch.tensor([0, 1, 2, -1, -1, -1])
    gan = SemiSupervisedGAN(mlp(2, 4, 2), mlp(2, 16, 3), latent_dim=2).eval()
    right = gan.predict(x).argmax(1)
    assert evaluate(gan, [(x, torch.where(y < 0, y, right))])["accuracy"] == 1.0
    with pytest.raises(ValueError, match=r"expected labels in -1..2, got some from 0 to 7"):
        gan.metrics((x, torch.tensor([0, 1, 2, 0, 0, 7])))
