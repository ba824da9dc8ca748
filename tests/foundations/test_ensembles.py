"""Ensembles: Jensen's inequality, the variance of an average, heads that share a trunk, dropout that stays on."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import images
from deepcanon.engine import Adam, fit, options
from deepcanon.foundations.ensembles import Ensemble, MonteCarloDropout, SharedTrunk, average, members_loss, scores, vote
from deepcanon.layers.dropout import Dropout
from deepcanon.nets.members import OneByOne, StackedMLPs
from deepcanon.nets.perceptron import mlp


@pytest.mark.row("FND-42")
def test_an_average_is_never_worse_than_the_mean_member():
    logits, y = 5 * torch.randn(7, 500, 4, dtype=torch.float64), torch.randint(4, (500,))
    measured = scores(logits, y)
    assert (measured["nll"] <= measured["member_nll"] + 1e-12).all()             # of every example: Jensen
    torch.testing.assert_close(average(logits).exp(), logits.softmax(-1).mean(0), atol=1e-12, rtol=0)
    torch.testing.assert_close(measured["member_nll"], torch.stack([F.cross_entropy(each, y, reduction="none") for each in logits]).mean(0))
    same = scores(logits[:1].expand(7, -1, -1), y)
    torch.testing.assert_close(same["nll"], same["member_nll"])                  # equal where all members agree


@pytest.mark.row("FND-42")
def test_an_average_of_uncorrelated_predictors_has_an_mth_of_the_variance():
    """Probabilities uniform on [0.2, 0.8], of variance 0.6^2 / 12, independent between the members."""
    first = 0.2 + 0.6 * torch.rand(10, 50_000, dtype=torch.float64)
    probabilities = torch.stack([first, 1 - first], -1)
    mean = average(probabilities.log()).exp()
    torch.testing.assert_close(mean, probabilities.mean(0), atol=1e-12, rtol=0)
    assert first.var().item() == pytest.approx(0.03, rel=0.02)
    assert mean[:, 0].var().item() == pytest.approx(0.03 / 10, rel=4 * math.sqrt(2 / 50_000))
    assert mean[:, 0].mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(0.003 / 50_000))


@pytest.mark.row("FND-42")
def test_scores_of_three_members_by_hand():
    """One member is sure of class 0, two lean to class 1; one example is of class 0, the other of class 1."""
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    measured = scores(probabilities.log()[:, None].expand(3, 2, 2), torch.tensor([0, 1]))
    nll, member_nll = -torch.tensor([1.7 / 3, 1.3 / 3]).log(), -probabilities.log().mean(0)
    expected = {"accuracy": [1.0, 0.0], "vote_accuracy": [0.0, 1.0], "member_accuracy": [1 / 3, 2 / 3],
                "accuracy_gain": [2 / 3, -2 / 3],
                "nll": nll, "member_nll": member_nll, "nll_gain": member_nll - nll}
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(measured[name], torch.as_tensor(value), msg=name)


@pytest.mark.row("FND-42")
def test_a_vote_counts_heads():
    logits = torch.log(torch.tensor([[[0.9, 0.1, 0.0]], [[0.4, 0.6, 0.0]], [[0.4, 0.6, 0.0]]]) + 1e-6)
    torch.testing.assert_close(vote(logits), torch.tensor([[1 / 3, 2 / 3, 0.0]]))
    assert average(logits).argmax() == 0                                         # one sure member outweighs two unsure ones


@pytest.mark.row("FND-42")
@pytest.mark.parametrize("kind", [OneByOne, StackedMLPs])
def test_a_members_gradient_is_what_it_would_be_alone(kind):
    nets = [mlp(6, 5, 3).double() for _ in range(3)]
    x, y = torch.randn(3, 7, 6, dtype=torch.float64), torch.randint(3, (3, 7))
    members = kind(nets)
    Ensemble(members).loss((x, y)).backward()
    first = members.nets[1][0].weight.grad if kind is OneByOne else members.layers[0].weight.grad[1].T
    (alone,) = torch.autograd.grad(F.cross_entropy(nets[1](x[1]), y[1]), nets[1][0].weight)
    torch.testing.assert_close(first, alone)


@pytest.mark.row("FND-42")
def test_an_ensemble_learns_digits_and_is_surer_of_the_truth_than_its_mean_member():
    members = StackedMLPs([nn.Sequential(nn.Flatten(), mlp(64, 32, 10)) for _ in range(5)])
    with options(quiet=True):
        results = fit(Ensemble(members), images("digits", batch=64), Adam(3e-3), steps=200, evaluate=images("digits", split="test")).results
    assert results["nll"] < results["member_nll"]
    assert min(results["accuracy"], results["vote_accuracy"], results["member_accuracy"]) > 0.85


@pytest.mark.row("FND-43")
def test_heads_share_a_trunk_and_nothing_else():
    trunk, heads = mlp(8, 16, 12), [mlp(12, 6, 3) for _ in range(4)]
    method = SharedTrunk(trunk, heads)

    def count(net: nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    assert count(method) == count(trunk) + 4 * count(heads[0])
    x, y = torch.randn(30, 8), torch.randint(3, (30,))
    for j, logits in enumerate(method.logits(x)):
        method.zero_grad()
        F.cross_entropy(logits, y).backward(retain_graph=True)
        reached = [any(p.grad is not None and p.grad.any() for p in head.parameters()) for head in heads]
        assert reached == [i == j for i in range(4)]
        assert all(p.grad.any() for p in trunk.parameters())
    measured = method.metrics((x, y))
    assert (measured["nll"] <= measured["member_nll"] + 1e-6).all()


@pytest.mark.row("FND-42")
@pytest.mark.parametrize("dropout", [nn.Dropout, Dropout])
def test_monte_carlo_dropout_averages_over_masks_and_leaves_the_mode(dropout):
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), dropout(0.5), nn.BatchNorm1d(32), nn.Linear(32, 3))
    method, x = MonteCarloDropout(net, 50).eval(), torch.randn(9, 6)
    logits = method.logits(x)
    assert logits.std(0).min() > 0.01                                            # the masks differ
    assert not any(layer.training for layer in method.modules())
    assert torch.equal(net[3].running_mean, torch.zeros(32))                     # batch norm has stayed in evaluation
    torch.testing.assert_close(method.predict(x).sum(1), torch.ones(9))
    assert (scores(logits, torch.zeros(9, dtype=torch.int64))["nll_gain"] >= -1e-6).all()


@pytest.mark.row("FND-42")
def test_losses_of_shared_and_of_own_labels():
    logits, y = torch.randn(3, 5, 4), torch.randint(4, (5,))
    torch.testing.assert_close(members_loss(logits, y), members_loss(logits, y.expand(3, 5)))
    torch.testing.assert_close(members_loss(logits, y), sum(F.cross_entropy(each, y) for each in logits))


@pytest.mark.parametrize(("build", "message"), [
    (lambda: SharedTrunk(nn.Identity(), []), "one head or more, got none"),
    (lambda: MonteCarloDropout(nn.Linear(2, 2)), "Linear has no dropout: all its samples would be the same"),
    (lambda: MonteCarloDropout(nn.Dropout(), 0), "one sample or more, got 0"),
])
def test_refuses_an_ensemble_of_nothing(build, message):
    with pytest.raises(ValueError, match=message):
        build()
