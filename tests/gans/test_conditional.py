"""A generator does what its label says; a truncated latent is a truncated normal."""

import math

import pytest
import scipy.stats
import torch
from torch import nn

from deepcanon.engine import Adam, Trainer
from deepcanon.gans.conditional import ConditionalGAN, normal_
from deepcanon.gans.objectives import hinge
from deepcanon.gans.penalties import zero_centred
from deepcanon.nets.biggan import BigDiscriminator, BigGenerator
from deepcanon.nets.conditional import Joined, Projected
from deepcanon.nets.perceptron import mlp

MEANS = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])


class Mixture:
    """Three Gaussians, each of its class."""

    def at(self, step):
        y = torch.arange(96) % 3
        return MEANS[y] + 0.3 * torch.randn(96, 2), y


JUDGES = {"joined": lambda: Joined(mlp(5, 32, 32, 1, activation=nn.SiLU), 3),
          "projected": lambda: Projected(mlp(2, 32, 32, activation=nn.SiLU), 32, 3)}


@pytest.mark.row("GEN-71")
@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
def test_samples_of_each_class_have_its_mean(judge):
    gan = ConditionalGAN(Joined(mlp(2 + 3, 32, 2), 3), judge(), latent_dim=2, num_classes=3, penalty=zero_centred(0.3))
    Trainer(gan, Mixture(), Adam(3e-3, betas=(0.5, 0.9)), total=500).run()
    y = torch.arange(3_000) % 3
    x = gan.sample(3_000, y)
    torch.testing.assert_close(torch.stack([x[y == k].mean(0) for k in range(3)]), MEANS, atol=0.3, rtol=0)
    torch.manual_seed(1)
    first = gan.sample(6, y[:6])
    torch.manual_seed(1)
    assert ((gan.sample(6, (y[:6] + 1) % 3) - first).norm(dim=1) > 1).all()


def test_a_projection_is_a_linear_score_of_each_class():
    net, x, y = Projected(nn.Identity(), 4, 3), torch.randn(6, 4), torch.arange(6) % 3
    expected = x @ net.head.weight[0] + net.head.bias + (net.classes.weight[y] * x).sum(1)
    torch.testing.assert_close(net(x, y), expected)


@pytest.mark.row("GEN-77")
def test_a_truncated_normal_lies_within_its_threshold_and_is_normal_there():
    z = normal_(torch.empty(20_000), 0.5)
    assert z.abs().max() <= 0.5
    assert scipy.stats.kstest(z.numpy(), scipy.stats.truncnorm(-0.5, 0.5).cdf).pvalue > 0.01
    assert scipy.stats.kstest(normal_(torch.empty(20_000)).numpy(), "norm").pvalue > 0.01


@pytest.mark.row("GEN-77")
def test_a_smaller_threshold_gives_less_varied_images():
    gan = ConditionalGAN(BigGenerator(12, 4, image_size=8, widths=(16, 8, 8)), BigDiscriminator(4, widths=(8, 16)), latent_dim=12, num_classes=4,
                         objective=hinge)
    y = torch.zeros(200, dtype=torch.int64)
    gan.sample(200, y)                                                               # batch statistics
    gan.eval()
    spread = [gan.sample(200, y, truncation=t).var(0).mean().item() for t in (2.0, 0.5, 0.1)]
    assert spread[0] > spread[1] > spread[2]
    assert gan.sample(5).shape == (5, 1, 8, 8)


@pytest.mark.row("GEN-77")
def test_every_layer_of_biggan_is_normalised():
    net = BigDiscriminator(4, widths=(8, 16))
    for _ in range(60):
        net(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))
    net.eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_missing_and_impossible_labels_are_refused():
    gan = ConditionalGAN(Joined(mlp(5, 2), 3), Joined(mlp(5, 1), 3), latent_dim=2, num_classes=3)
    with pytest.raises(ValueError, match="the labels y are missing"):
        next(gan.losses((torch.randn(4, 2),)))
    with pytest.raises(ValueError, match=r"one label in 0..2 for each of 4 examples, got torch.int64 \(4,\) from 0 to 3"):
        next(gan.losses((torch.randn(4, 2), torch.arange(4))))


def test_a_threshold_below_zero_is_refused():
    with pytest.raises(ValueError, match="a truncation above 0, got -1"):
        normal_(torch.empty(3), -1.0)
    assert math.isfinite(normal_(torch.empty(1), 1e-3).item())


@pytest.mark.parametrize(("n", "y"), [(10, [0, 1, 2]), (2, [0, 3]), (2, [-1, 0])])
def test_samples_are_of_as_many_classes_that_exist(n, y):
    generator = Joined(nn.Linear(2 + 3, 2), 3)
    with pytest.raises(ValueError, match=rf"one label in 0\.\.2 for each of {n} examples"):
        ConditionalGAN(generator, generator, latent_dim=2, num_classes=3).sample(n, torch.tensor(y))
