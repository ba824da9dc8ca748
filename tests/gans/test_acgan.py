"""The two losses of AC-GAN, and classes that its generator learns."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce, cross_entropy

from deepcanon.engine import Adam, Trainer
from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.penalties import zero_centred
from deepcanon.nets.conditional import Joined
from deepcanon.nets.perceptron import mlp

MEANS = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])


class Mixture:
    """Three Gaussians, each of its class."""

    def at(self, step):
        y = torch.arange(96) % 3
        return MEANS[y] + 0.3 * torch.randn(96, 2), y


@pytest.mark.row("GEN-73")
def test_the_loss_is_the_source_and_the_class():
    gan, x, y = ACGAN(Joined(mlp(5, 2), 3), mlp(2, 8, 4), latent_dim=2, num_classes=3, weight=0.7), torch.randn(6, 2), torch.arange(6) % 3
    torch.manual_seed(1)
    fake = gan.draw(y).detach()
    torch.manual_seed(1)
    _, terms = next(gan.losses((x, y)))
    (a, real_class), (b, fake_class) = gan.verdict(x), gan.verdict(fake)
    source = bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))
    classification = cross_entropy(real_class, y) + cross_entropy(fake_class, y)
    torch.testing.assert_close(terms["source"], source)
    torch.testing.assert_close(terms["class"], classification)
    torch.testing.assert_close(terms["loss"], source + 0.7 * classification)


@pytest.mark.row("GEN-73")
def test_generated_points_are_of_their_class():
    gan = ACGAN(Joined(mlp(5, 32, 2), 3), mlp(2, 32, 32, 4, activation=nn.SiLU), latent_dim=2, num_classes=3, penalty=zero_centred(0.3))
    Trainer(gan, Mixture(), Adam(3e-3, betas=(0.5, 0.9)), total=400).run()
    y = torch.arange(3_000) % 3
    x = gan.sample(3_000, y)
    assert (torch.cdist(x, MEANS).argmin(1) == y).float().mean() > 0.95
    assert (gan.predict(x).argmax(1) == y).float().mean() > 0.95


def test_labels_are_asked_for():
    with pytest.raises(ValueError, match="the labels y are missing"):
        next(ACGAN(Joined(mlp(5, 2), 3), mlp(2, 4), latent_dim=2, num_classes=3).losses((torch.randn(4, 2),)))
