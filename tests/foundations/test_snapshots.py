"""Snapshots of one run and averages of weights; where they are good nets is claims C-045 and C-046."""

import copy

import pytest
import torch
from torch import nn

from deepcanon.data import images
from deepcanon.engine import SGD, Trainer
from deepcanon.foundations.ensembles import average
from deepcanon.foundations.initialization import initialize, kaiming
from deepcanon.foundations.snapshots import Snapshots, average_weights
from deepcanon.nets.perceptron import mlp


def perceptron(width: int = 32) -> nn.Sequential:
    """On scikit-learn's digits."""
    return nn.Sequential(nn.Flatten(), initialize(mlp(64, width, width, width, 10), kaiming))


@pytest.mark.row("FND-44", "FND-45")
@pytest.mark.parametrize("kept", [(9, 6), (3, 6, 9)])                            # a later copy takes the place of the first
def test_snapshots_are_the_weights_of_one_run_at_the_given_steps(kept):
    torch.manual_seed(1)
    method, data = Snapshots(perceptron(8), every=3, num_members=len(kept)), images("digits", batch=32)
    trainer, seen = Trainer(method, data, {"net": SGD(0.1)}), {}
    for step in range(10):
        trainer.train_step(data.at(step))
        seen[step + 1] = copy.deepcopy(method.net.state_dict())
        assert len(method.members()) == min(max((step + 1) // 3, 1), len(kept))
    for member, step in zip(method.members(), kept, strict=True):
        assert all(torch.equal(value, seen[step][name]) for name, value in member.state_dict().items())
    assert not any(p.requires_grad for p in method.kept.parameters())


@pytest.mark.row("FND-44", "FND-45")
def test_an_average_of_weights_is_the_arithmetic_mean_of_the_state_dicts():
    nets = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(3)]
    for net in nets:
        for _ in range(2):
            net(torch.randn(8, 3))
    mean = average_weights(nets).state_dict()
    for name, value in mean.items():
        states = [net.state_dict()[name] for net in nets]
        assert torch.equal(value, torch.stack(states).mean(0) if value.is_floating_point() else states[-1]), name


@pytest.mark.row("FND-45")
def test_of_linear_models_the_two_averages_are_one():
    nets, x = [nn.Linear(5, 3).double() for _ in range(4)], torch.randn(9, 5, dtype=torch.float64)
    torch.testing.assert_close(average_weights(nets)(x), torch.stack([net(x) for net in nets]).mean(0), atol=1e-12, rtol=0)


def test_a_prediction_is_the_members_average():
    method, x = Snapshots(nn.Linear(3, 2), every=1, num_members=3), torch.randn(4, 3)
    method.updates += 3
    torch.testing.assert_close(method.predict(x), average(torch.stack([net(x) for net in method.kept])).exp().detach())


@pytest.mark.parametrize(("build", "message"), [
    (lambda: average_weights([]), "one net or more to average, got none"),
    (lambda: average_weights([nn.Linear(2, 2), nn.Linear(2, 3)]), "different forms have no average"),
    (lambda: Snapshots(nn.Linear(2, 2), every=0), "got every=0, num_members=5"),
    (lambda: Snapshots(nn.Linear(2, 2), every=5, num_members=0), "got every=5, num_members=0"),
])
def test_refuses_an_average_of_nothing(build, message):
    with pytest.raises(ValueError, match=message):
        build()
