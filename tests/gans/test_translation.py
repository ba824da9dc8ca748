"""Translation with and without pairs, on maps that are known."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from deepcanon.engine import Adam, Trainer, linear
from deepcanon.gans.cyclegan import CycleGAN, cycle_loss
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.nets.patchgan import Translator, judge
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source


class Inverted:
    """Random blocks, and their negatives."""

    def at(self, step):
        x = (torch.rand(16, 1, 4, 4) > 0.5).float().repeat_interleave(2, 2).repeat_interleave(2, 3)
        return x, 1 - x


@pytest.mark.row("GEN-72")
def test_colours_are_inverted():
    method = Pix2Pix(Translator(width=8, blocks=1), judge(2, width=8))
    Trainer(method, Inverted(), Adam(5e-3, betas=(0.5, 0.9)), total=80).run()
    x, y = Inverted().at(0)
    assert (method.predict(x) - y).abs().mean() < 0.05


@pytest.mark.row("GEN-72")
def test_the_discriminator_sees_the_pair():
    seen = []

    class Judge(nn.Module):
        def forward(self, pair):
            seen.append(pair)
            return pair.mean((1, 2, 3))

    method = Pix2Pix(Translator(width=4, blocks=1), Judge())
    x, y = Inverted().at(0)
    for _ in method.losses((x, y)):
        pass
    assert torch.equal(seen[0], torch.cat([x, y], 1))
    assert all(torch.equal(pair[:, :1], x) for pair in seen)


@pytest.mark.row("GEN-72")
def test_the_losses_of_pix2pix_are_the_cross_entropy_of_the_patches_and_the_weighted_absolute_error():
    method = Pix2Pix(Translator(width=4, blocks=1), judge(2, width=4), l1=7.0).double()
    x, y = torch.rand(2, 3, 1, 8, 8, dtype=torch.float64)
    taken = dict(method.losses((x, y)))
    assert list(taken) == ["discriminator", "generator"]
    fake = method.generator(x)
    real_score, fake_score = (method.discriminator(torch.cat([x, out], 1)) for out in (y, fake))
    torch.testing.assert_close(taken["discriminator"], expected_source(real_score, fake_score))
    adversarial, l1 = (
        binary_cross_entropy_with_logits(fake_score, torch.ones_like(fake_score)),
        l1_loss(fake, y),
    )
    torch.testing.assert_close(
        taken["generator"], {"loss": adversarial + 7 * l1, "adversarial": adversarial, "l1": l1}
    )
    torch.testing.assert_close(
        method.metrics((x, y))["l1"], torch.stack([l1_loss(a, b) for a, b in zip(fake, y, strict=True)])
    )
    assert not method.predict(x).requires_grad
    assert torch.equal(method.predict(x), fake)


@pytest.mark.row("GEN-72")
def test_a_discriminators_update_leaves_the_generator_alone():
    method = Pix2Pix(Translator(width=4, blocks=1), judge(2, width=4))
    next(method.losses(tuple(torch.rand(2, 3, 1, 8, 8))))[1].backward()
    assert all(p.grad is None for p in method.generator.parameters())
    assert any(p.grad.abs().sum() > 0 for p in method.discriminator.parameters())


@pytest.mark.parametrize(("batch", "message"), [
    ((torch.rand(2, 1, 8, 8),), "expected pairs of images"),
    ((torch.rand(2, 1, 8, 8), torch.rand(2, 1, 4, 4)), "of one size"),
    ((torch.rand(2, 1, 8, 8), torch.rand(2, 3, 8, 8)), r"expected outputs \(2, 1, 8, 8\)"),
    ((torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8) + 1), r"values in \[0, 1\]"),
])
def test_what_is_no_pair_is_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        next(Pix2Pix(Translator(width=4, blocks=1), judge(2, width=4)).losses(batch))


@pytest.mark.row("GEN-75")
def test_the_cycle_loss_is_zero_for_inverse_maps():
    turn = nn.Linear(2, 2, bias=False)
    back = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        back.weight.copy_(torch.linalg.inv(turn.weight))
    x, y = torch.randn(2, 50, 2)
    assert cycle_loss(turn, back, x, y) < 1e-5
    assert cycle_loss(turn, turn, x, y) > 0.1


class Affine(nn.Module):
    """x -> scale x + shift."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(scale)), nn.Parameter(torch.tensor(shift))

    def forward(self, x):
        return self.scale * x + self.shift


@pytest.mark.row("GEN-75", "GEN-83")
@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_the_losses_of_a_cycle_by_hand(identity):
    """G x = 2 x + 1, F y = -y, D_Y = u, D_X = 3 u, on x = (1, -2), y = (4, 0).

    G x = (3, -3),  F y = (-4, 0),  F G x - x = (-4, 5),  G F y - y = (-11, 1),
    G y - y = (5, 1),  F x - x = (-2, 4).
    """
    method = CycleGAN(
        Affine(2.0, 1.0),
        Affine(-1.0, 0.0),
        Affine(1.0, 0.0),
        Affine(3.0, 0.0),
        cycle=10.0,
        identity=identity,
        penalty=zero_centred(0.5),
    )
    x, y = torch.tensor([[1.0], [-2.0]]), torch.tensor([[4.0], [0.0]])
    taken = dict(method.losses((x, y)))
    there = ((4 - 1) ** 2 + (0 - 1) ** 2) / 2 + (3**2 + 3**2) / 2                # (D_Y(y) - 1)^2 + D_Y(G x)^2
    back = ((3 - 1) ** 2 + (-6 - 1) ** 2) / 2 + ((-12) ** 2 + 0) / 2             # (D_X(x) - 1)^2 + D_X(F y)^2
    assert taken["discriminators"].item() == pytest.approx(there + back + 0.25 * 1 + 0.25 * 9)
    adversarial = ((3 - 1) ** 2 + (-3 - 1) ** 2) / 2 + ((-12 - 1) ** 2 + (0 - 1) ** 2) / 2
    cycle = (4 + 5) / 2 + (11 + 1) / 2
    loss = adversarial + 10 * cycle + identity * ((5 + 1) / 2 + (2 + 4) / 2)
    assert {name: value.item() for name, value in taken["translators"].items()} == pytest.approx(
        {"loss": loss, "adversarial": adversarial, "cycle": cycle})
    assert method.metrics((x, y))["cycle"].tolist() == [(4 + 11) / 2, (5 + 1) / 2]
    assert cycle_loss(method.translators["there"], method.translators["back"], x, y).item() == pytest.approx(
        cycle
    )
    assert method.translate(x).flatten().tolist() == [3, -3]
    assert method.translate_back(y).flatten().tolist() == [-4, 0]


@pytest.mark.row("GEN-75", "GEN-83")
def test_each_update_of_a_cycle_has_gradients_for_its_own_players():
    method = CycleGAN(Affine(2.0, 1.0), Affine(-1.0, 0.0), Affine(1.0, 0.0), Affine(3.0, 0.0))
    updates = method.losses((torch.randn(4, 1), torch.randn(4, 1)))
    next(updates)[1].backward()
    assert all(p.grad is None for p in method.translators.parameters())
    next(updates)[1]["loss"].backward()
    assert all(p.grad.abs() > 0 for p in method.translators.parameters())


class Turned:
    """Points of an uneven triangle, and other points of it turned by a third of a right angle."""

    angle = math.pi / 6
    R = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def at(self, step):
        corners = torch.tensor([[-1.5, -0.5], [1.5, -0.5], [0.0, 1.0]])
        x, y = (corners[torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 128, replacement=True)] + 0.2 * torch.randn(128, 2) for _ in range(2))
        return x, y @ self.R.T


@pytest.mark.row("GEN-75", "GEN-83")
def test_on_a_turned_triangle_the_way_there_and_back_ends_where_it_began():
    there, back = nn.Linear(2, 2), nn.Linear(2, 2)
    for translator in (there, back):
        nn.init.eye_(translator.weight), nn.init.zeros_(translator.bias)
    method = CycleGAN(there, back, *(mlp(2, 32, 32, 1, activation=nn.SiLU) for _ in range(2)), cycle=1.0, penalty=zero_centred(0.1))
    Trainer(method, Turned(), Adam(1e-2, betas=(0.5, 0.9), schedule=linear()), total=300).run()
    x, y = Turned().at(0)
    assert method.metrics((x, y))["cycle"].mean() < 0.05
    distance, before = (squared_mmd(points, y).item() for points in (method.translate(x), x))
    assert distance < 0.1 * before


def squared_mmd(x, y):
    """With a Gaussian kernel of width 1."""
    k = [torch.exp(-torch.cdist(a, b).square() / 2).mean() for a, b in ((x, x), (y, y), (x, y))]
    return k[0] + k[1] - 2 * k[2]


def test_a_missing_domain_is_refused():
    method = CycleGAN(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 1))
    with pytest.raises(ValueError, match="as many examples of either domain"):
        next(method.losses((torch.randn(4, 2),)))
