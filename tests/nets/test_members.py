"""Nets side by side and one by one: what each computes and learns is what it would alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.layers.norm import Standardize
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.members import OneByOne, StackedMLPs
from deepcanon.nets.perceptron import mlp


def perceptron() -> nn.Sequential:
    """On 1x4x4 images, nested, with layers that have no parameters."""
    return nn.Sequential(Standardize(0.3, 0.4), nn.Flatten(), mlp(16, 8, 8, 3, activation=nn.Tanh))


@pytest.mark.row("FND-42")
def test_members_give_what_each_gives():
    nets, x = [perceptron() for _ in range(4)], torch.rand(4, 5, 1, 4, 4)
    expected = torch.stack([net(part) for net, part in zip(nets, x, strict=True)])
    assert torch.equal(OneByOne(nets)(x), expected)
    torch.testing.assert_close(StackedMLPs(nets)(x), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.row("FND-42")
@pytest.mark.parametrize("optimizer", [lambda p: torch.optim.Adam(p, 0.01), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_members_trained_together_are_the_members_trained_alone(optimizer):
    nets = [perceptron().double() for _ in range(3)]
    x, y = torch.rand(20, 3, 8, 1, 4, 4, dtype=torch.float64), torch.randint(3, (20, 3, 8))

    def train(net: nn.Module, loss) -> None:
        steps = optimizer(net.parameters())
        for step in range(20):
            steps.zero_grad()
            loss(step).backward()
            steps.step()

    together = {kind: kind(copy.deepcopy(nets)) for kind in (OneByOne, StackedMLPs)}
    for members in together.values():
        train(members, lambda step, members=members: 3 * F.cross_entropy(members(x[step]).flatten(0, 1), y[step].flatten()))
    for j, net in enumerate(nets):
        train(net, lambda step, net=net, j=j: F.cross_entropy(net(x[step, j]), y[step, j]))
    for kind, members in together.items():
        for alone, member in zip(nets, members.apart(), strict=True):
            for (name, p), q in zip(alone.named_parameters(), member.parameters(), strict=True):
                torch.testing.assert_close(q, p, atol=1e-10, rtol=0, msg=f"{kind.__name__} {name}")


@pytest.mark.parametrize("kind", [OneByOne, StackedMLPs])
def test_members_come_apart_as_they_went_in(kind):
    nets, x = [perceptron() for _ in range(3)], torch.rand(5, 1, 4, 4)
    for before, after in zip(nets, kind(nets).eval().apart(), strict=True):
        assert not after.training
        torch.testing.assert_close(after(x), before(x))


def test_layers_without_bias_and_a_single_layer():
    nets = [nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2)]
    x = torch.rand(2, 5, 3)
    torch.testing.assert_close(StackedMLPs(nets)(x), OneByOne(nets)(x))
    lone = [nn.Sequential(nn.Linear(3, 4))]
    assert torch.equal(StackedMLPs(lone).apart()[0][0].weight, lone[0][0].weight)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: OneByOne([]), "one member or more, got none"),
    (lambda: StackedMLPs([]), "one member or more, got none"),
    (lambda: StackedMLPs([mlp(3, 4, 2, norm=nn.LayerNorm)]), "only linear layers can be put side by side, got LayerNorm: take OneByOne"),
    (lambda: StackedMLPs([nn.Sequential(LeNet())]), "only linear layers can be put side by side, got LeNet"),
    (lambda: StackedMLPs([mlp(3, 4, 2), mlp(3, 5, 2)]), "must have one form"),
    (lambda: StackedMLPs([mlp(3, 4, 2), mlp(3, 4, 2, activation=nn.Tanh)]), "must have one form"),
])
def test_refuses_what_cannot_stand_side_by_side(build, message):
    with pytest.raises(ValueError, match=message):
        build()
