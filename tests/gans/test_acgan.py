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
from tests.gans.updates import played

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
def test_the_generators_loss_is_to_be_called_real_and_of_its_class_and_the_penalty_is_of_the_score():
    penalty = zero_centred(0.5)
    gan = ACGAN(
        Joined(mlp(5, 2), 3), mlp(2, 8, 4), latent_dim=2, num_classes=3, weight=0.7, penalty=penalty
    ).double()
    x, y = torch.randn(6, 2, dtype=torch.float64), torch.arange(6) % 3
    taken = played(gan, x, y)
    assert list(taken) == ["discriminator", "generator"]
    first, second = (gan.generator(torch.empty(6, 2, dtype=torch.float64).normal_(), y) for _ in range(2))
    terms, slope = taken["discriminator"], penalty(lambda u: gan.discriminator(u)[:, 0], x, first.detach())
    torch.testing.assert_close(terms["loss"], terms["source"] + 0.7 * terms["class"] + slope)
    score, logits = gan.discriminator(second).split([1, 3], 1)
    source, classification = bce(score, torch.ones_like(score)), cross_entropy(logits, y)
    expected = {"loss": source + 0.7 * classification, "source": source, "class": classification}
    torch.testing.assert_close(taken["generator"], expected)
    torch.testing.assert_close(gan.predict(x), gan.discriminator(x)[:, 1:].softmax(1).detach())
    assert not gan.sample(7).requires_grad


@pytest.mark.row("GEN-73")
def test_samples_are_of_each_class_in_turn():
    gan = ACGAN(Joined(nn.Linear(5, 3, bias=False), 3), mlp(3, 4), latent_dim=2, num_classes=3)
    with torch.no_grad():
        gan.generator.net.weight.copy_(torch.cat([torch.zeros(3, 2), torch.eye(3)], 1))
    assert torch.equal(gan.sample(5), torch.eye(3)[[0, 1, 2, 0, 1]])


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
