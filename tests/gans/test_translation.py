"""Translation with and without pairs, on maps that are known."""

import math

import pytest
import torch
from torch import nn

from deepcanon.engine import Adam, Trainer, linear
from deepcanon.gans.cyclegan import CycleGAN, cycle_loss
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.nets.patchgan import Translator, judge
from deepcanon.nets.perceptron import mlp


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
