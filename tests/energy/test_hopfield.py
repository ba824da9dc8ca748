"""Recall descends the energy, Hebb's rule stores, and the contrast's gradient is a difference of outer products."""

import pytest
import torch

from deepcanon.energy.hopfield import Hopfield, energy, hebb, recall


def spins(*shape):
    return torch.randint(2, shape).float() * 2 - 1


def symmetric(n):
    weight = torch.randn(n, n)
    weight = weight + weight.T
    return weight - weight.diagonal().diag()


@pytest.mark.row("GEN-43")
def test_the_energy_is_the_sum_over_pairs():
    weight, y = symmetric(6), spins(3, 6)
    pairs = -sum(weight[i, j] * y[:, i] * y[:, j] for j in range(6) for i in range(j))
    torch.testing.assert_close(energy(weight, y), pairs)


@pytest.mark.row("GEN-43")
def test_no_update_of_a_unit_raises_the_energy():
    weight, y = symmetric(40).double(), spins(30, 40).double()
    before = energy(weight, y)
    for _ in range(20):
        y = recall(weight, y, 1)
        after = energy(weight, y)
        assert (after <= before + 1e-9).all()
        before = after
    assert torch.equal(recall(weight, y), y)                                     # a minimum


@pytest.mark.row("GEN-43")
def test_one_sweep_is_single_updates_in_turn(monkeypatch):
    monkeypatch.setattr(torch, "randperm", torch.arange)
    weight, y = symmetric(8), spins(1, 8)
    expected = y.clone()
    for i in range(8):
        expected[0, i] = (weight[i] @ expected[0]).sign()
    assert torch.equal(recall(weight, y, 1), expected)


@pytest.mark.row("GEN-43")
def test_three_stored_patterns_are_recalled_from_a_tenth_of_flips():
    patterns = spins(3, 100)
    damaged = patterns.clone()
    for row in damaged:
        row[torch.randperm(100)[:10]] *= -1
    assert torch.equal(recall(hebb(patterns), damaged), patterns)


@pytest.mark.row("GEN-43")
def test_the_gradient_of_the_objective_is_a_difference_of_outer_products():
    patterns, net = spins(12, 20), Hopfield(20)
    with torch.no_grad():
        net.coupling.copy_(symmetric(20))
    torch.manual_seed(1)
    net.loss((patterns,)).backward()
    torch.manual_seed(1)
    near = recall(net.weight, patterns, 2)
    lost = torch.tensor([not (row == patterns).all(1).any() for row in near])
    y, wrong = patterns[lost], near[lost]
    assert 0 < len(y) <= 12
    expected = -(y.T @ y - wrong.T @ wrong) / (2 * 12)
    torch.testing.assert_close(net.coupling.grad, expected - expected.diagonal().diag())


@pytest.mark.row("GEN-43")
def test_the_contrast_is_never_negative_and_zero_when_all_is_kept():
    """Recall descends: E(y') <= E(y)."""
    net = Hopfield(30).fit(spins(3, 30))
    assert net.loss((spins(40, 30),)) > 0
    few = spins(2, 30)
    kept = net.fit(few)
    assert kept.metrics((few,))["kept"].all()
    assert kept.loss((few,)) == 0


@pytest.mark.row("GEN-43")
def test_the_contrast_keeps_patterns_that_hebbs_rule_loses():
    patterns = torch.where(torch.rand(15, 40) < 0.3, 1.0, -1.0)                  # 0.375 N of them, and correlated
    net = Hopfield(40).fit(patterns)
    assert net.metrics((patterns,))["kept"].mean() < 0.2
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        net.loss((patterns,)).backward()
        optimizer.step()
    assert net.metrics((patterns,))["kept"].all()
    assert torch.equal(net.reconstruct(patterns), patterns)


@pytest.mark.parametrize("y", [torch.zeros(2, 5), torch.ones(2, 4)])
def test_states_that_are_none_are_refused(y):
    with pytest.raises(ValueError, match=r"expected states \(B, 5\) of \+1 and -1, got"):
        Hopfield(5).loss((y,))


@pytest.mark.parametrize("weight", [torch.ones(3, 3), torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
                                    torch.full((3, 3), float("nan"))])
def test_weights_under_which_the_energy_may_rise_are_refused(weight):
    with pytest.raises(ValueError, match="expected a symmetric matrix with a zero diagonal"):
        recall(weight, torch.ones(2, 3))


@pytest.mark.parametrize("y", [torch.randint(2, (2, 5)).float(), torch.full((1, 5), float("nan"))])
def test_recall_from_states_that_are_none_is_refused(y):
    with pytest.raises(ValueError, match=r"expected states \(B, 5\) of \+1 and -1, got"):
        recall(symmetric(5), y)
