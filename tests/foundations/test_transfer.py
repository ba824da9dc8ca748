"""The regimes of transfer: what is frozen stays bit for bit, and with few labels frozen features win."""

import copy

import pytest
import torch
from torch import nn

from deepcanon.data import images
from deepcanon.engine import SGD, Adam, fit, options
from deepcanon.foundations.transfer import Frozen, rates, train_only
from deepcanon.nets.perceptron import mlp
from deepcanon.vision.classify import Classifier


class Net(nn.Module):
    """A backbone with normalisation and dropout, and a head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), mlp(64, 64, 32, norm=nn.BatchNorm1d), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.backbone(x))


def train(net, data, steps=20, lr=1e-2):
    with options(quiet=True):
        fit(Classifier(net), data, Adam(lr), steps=steps)
    return net


def changed(before: dict, net: nn.Module) -> set[str]:
    return {name for name, value in net.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.row("FND-54")
def test_frozen_features_stay_bit_for_bit_statistics_included():
    net = Net()
    net = nn.Sequential(Frozen(net.backbone), net.head)
    before = copy.deepcopy(net.state_dict())
    train(net, images("digits", batch=64))
    assert changed(before, net) == {"1.weight", "1.bias"}
    assert all(p.grad is None and not p.requires_grad for p in net[0].parameters())
    x = torch.rand(4, 1, 8, 8, requires_grad=True)
    features = net.train()[0](x)
    assert torch.equal(features, net[0](x))                                      # no dropout
    assert torch.autograd.grad(features.sum(), x)[0].abs().sum() > 0


@pytest.mark.row("FND-54")
@pytest.mark.parametrize("names", [("head",), ("head", "backbone.1.3"), ("head.bias",)])
def test_only_what_is_named_is_trained(names):
    net = train_only(train_only(Net(), "backbone"), *names)                      # the last call counts
    before = copy.deepcopy(net.state_dict())
    train(net, images("digits", batch=64))
    trained = {k for k, _ in net.named_parameters() if any(k.startswith(name) for name in names)}
    statistics = {name for name, _ in net.named_buffers()}
    assert changed(before, net) == trained | statistics
    assert all((p.grad is None) == (name not in trained) for name, p in net.named_parameters())


@pytest.mark.row("FND-54")
def test_fine_tuning_at_a_lower_rate_moves_by_that_part():
    net = Net()
    before = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.SGD(rates(net, 0.5, {"backbone": 0.1, "backbone.1.3": 0.01}))
    x, y = images("digits", batch=64).at(0)
    Classifier(net).loss((x, y)).backward()
    optimizer.step()
    for name, p in net.named_parameters():
        factor = 1.0 if name.startswith("head") else 0.01 if name.startswith("backbone.1.3") else 0.1
        torch.testing.assert_close(p.detach(), before[name] - 0.5 * factor * p.grad)


@pytest.mark.row("FND-54")
def test_with_ten_labels_a_class_frozen_features_beat_training_from_scratch():
    """Task a: the digits. Task b: the digits dimmed and under noise, with 10 labels a class."""
    def shifted(split):
        x, y = images("digits", split=split, batch=2000, shuffle=False).at(0)
        noise = 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        return (0.7 * x + noise).clamp(0, 1), y

    (x, y), (x_test, y_test) = shifted("train"), shifted("test")
    few = torch.cat([(y == c).nonzero()[:10, 0] for c in range(10)])
    accuracies = {"frozen": [], "scratch": []}
    for seed in range(3):
        torch.manual_seed(seed)
        backbone = train(Net(), images("digits", batch=64, seed=seed), steps=300).backbone
        for name, net in {"frozen": nn.Sequential(Frozen(backbone), nn.Linear(32, 10)), "scratch": Net()}.items():
            train(net, [(x[few], y[few])], steps=100).eval()
            accuracies[name].append((net(x_test).argmax(1) == y_test).float().mean())
    frozen, scratch = (torch.stack(values) for values in accuracies.values())
    assert (frozen > scratch + 0.1).all()


@pytest.mark.parametrize(("make", "complaint"), [
    (lambda: train_only(Net(), "tail"), "Net has no part 'tail' with parameters to train"),
    (lambda: rates(Net(), 0.1, {"back": 0.1}), "Net has no trainable part 'back' to train at another rate"),
    (lambda: rates(train_only(Net(), "head"), 0.1, {"backbone": 0.1}), "no trainable part 'backbone'"),
    (lambda: rates(Net(), 0.1, {"head": -1.0}), "expected a part of the rate of 0 or more for 'head', got -1.0"),
    (lambda: fit(Classifier(Frozen(Net())), [], SGD(0.1), steps=1), "no trainable parameter|holds no batch"),
])
def test_what_cannot_be_trained_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
