"""A generator does what its label says; a truncated latent is a truncated normal."""

import math

import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.engine import Adam, Trainer
from deepcanon.gans.conditional import ConditionalGAN, normal_
from deepcanon.gans.objectives import hinge
from deepcanon.gans.penalties import zero_centred
from deepcanon.nets.biggan import BigDiscriminator, BigGenerator, orthogonal
from deepcanon.nets.conditional import Joined, Projected
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source, played

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


@pytest.mark.row("GEN-71")
@pytest.mark.parametrize("penalty", [None, zero_centred(0.5)])
def test_the_losses_are_the_cross_entropies_given_the_label(penalty):
    gan = ConditionalGAN(
        Joined(mlp(5, 2), 3), Joined(mlp(5, 8, 1), 3), latent_dim=2, num_classes=3, penalty=penalty
    ).double()
    x, y = torch.randn(6, 2, dtype=torch.float64), torch.tensor([0, 2, 2, 1, 0, 1])
    taken = played(gan, x, y)
    assert list(taken) == ["discriminator", "generator"]
    first, second = (gan.generator(torch.empty(6, 2, dtype=torch.float64).normal_(), y) for _ in range(2))
    added = penalty(lambda u: gan.discriminator(u, y), x, first.detach()) if penalty else 0
    torch.testing.assert_close(
        taken["discriminator"], added + expected_source(gan.discriminator(x, y), gan.discriminator(first, y))
    )
    torch.testing.assert_close(taken["generator"], -gan.discriminator(second, y).sigmoid().log().mean())


@pytest.mark.row("GEN-71")
def test_samples_are_of_the_classes_asked_for_or_of_each_in_turn():
    class Shown(nn.Module):
        def __init__(self):
            super().__init__()
            self.eye = nn.Parameter(torch.eye(3))

        def forward(self, z, y):
            return torch.cat([self.eye[y], z], 1)

    gan = ConditionalGAN(Shown(), nn.Identity(), latent_dim=2, num_classes=3)
    assert gan.sample(5)[:, :3].argmax(1).tolist() == [0, 1, 2, 0, 1]
    assert gan.sample(2, torch.tensor([2, 2]))[:, :3].argmax(1).tolist() == [2, 2]
    torch.manual_seed(1)
    z = gan.sample(4)[:, 3:]
    torch.manual_seed(1)
    assert torch.equal(z, torch.empty(4, 2).normal_())


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
def test_biggans_discriminator_is_its_equation():
    """down(h) = pool(skip h + conv(relu(conv(relu h)))),  f = sum of relu(h),  head(f) + v_y . f."""
    net, x, y = (
        BigDiscriminator(4, widths=(8, 16)).double().eval(),
        torch.randn(5, 1, 8, 8, dtype=torch.float64),
        torch.arange(5) % 4,
    )
    h = x
    for block in net.blocks:
        first, second = (conv for conv in block.convs)
        change = F.conv2d(
            F.conv2d(F.relu(h), first.weight, first.bias, padding=1).relu(),
            second.weight,
            second.bias,
            padding=1,
        )
        summed = F.conv2d(h, block.skip.weight, block.skip.bias) + change
        h = summed.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5))
    f = torch.einsum("bcst->bc", h.clamp(min=0))
    expected = f @ net.head.weight[0] + net.head.bias + torch.einsum("bc,bc->b", net.classes.weight[y], f)
    torch.testing.assert_close(net(x, y), expected)


@pytest.mark.row("GEN-77")
def test_biggans_generator_is_its_equation():
    """up(h; c) = skip(2x h) + conv(relu(norm_c(conv(2x relu(norm_c h))))),  c a part of z and the class."""
    net = BigGenerator(12, 4, image_size=8, widths=(16, 8, 8), class_dim=5).double()
    z, y = torch.randn(6, 12, dtype=torch.float64), torch.arange(6) % 4
    for _ in range(3):
        net(torch.randn(6, 12, dtype=torch.float64), y)  # statistics other than 0 and 1
    net.eval()

    def normalised(h, layer, c):
        mean, var = (s[:, None, None] for s in (layer.norm.running_mean, layer.norm.running_var))
        gain, bias = (F.linear(c, each.weight)[:, :, None, None] for each in (layer.gain, layer.bias))
        return (1 + gain) * (h - mean) / (var + layer.norm.eps).sqrt() + bias

    def twice(h):
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = (z[:, :4] @ net.enter.weight.T + net.enter.bias).view(6, 16, 2, 2)
    for block, part in zip(net.blocks, (z[:, 4:8], z[:, 8:]), strict=True):
        c = torch.cat([part, net.classes.weight[y]], 1)
        r = block.convs[0](twice(normalised(h, block.norms[0], c).relu()))
        h = block.skip(twice(h)) + block.convs[1](normalised(r, block.norms[1], c).relu())
    torch.testing.assert_close(net(z, y), net.leave(h))
    assert isinstance(net.leave[-1], nn.Sigmoid)


@pytest.mark.row("GEN-77")
def test_biggans_weights_begin_orthogonal_and_its_sizes_are_checked():
    w = orthogonal(nn.Sequential(nn.Conv2d(4, 6, 3), nn.Linear(7, 5)))
    for layer in w:
        rows = layer.weight.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-5, rtol=0)
    for size, latent in ((10, 12), (8, 13)):
        with pytest.raises(ValueError, match="a side that 4 divides and a latent that 3 divides"):
            BigGenerator(latent, 4, image_size=size, widths=(16, 8, 8))


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
