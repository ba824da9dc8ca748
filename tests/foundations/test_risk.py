"""Empirical risk against a risk that is known, its minimiser, and models that fit too much or too little."""

import math

import numpy as np
import pytest
import torch

from deepcanon.foundations.losses import squared_error
from deepcanon.foundations.risk import empirical_risk, minimize_risk

WEIGHT = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
NOISE = 0.3


def draw(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """x ~ N(0, I_3), y = w'x + noise."""
    x = torch.randn(*shape, 3, dtype=torch.float64)
    return x, x @ WEIGHT + NOISE * torch.randn(*shape, dtype=torch.float64)


def risk(theta: torch.Tensor) -> float:
    """E (y - theta'x)^2 = ||theta - w||^2 + noise^2."""
    return ((theta - WEIGHT).square().sum() + NOISE**2).item()


@pytest.mark.row("FND-01")
def test_the_empirical_risk_is_unbiased_and_its_error_falls_with_the_root_of_n():
    theta, repeats = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64), 400
    sizes = [10, 30, 100, 300, 1_000]
    errors = []
    for n in sizes:
        x, y = draw(repeats, n)
        estimates = torch.stack([empirical_risk(squared_error, lambda x: x @ theta, *pair) for pair in zip(x, y)])
        assert (estimates.mean() - risk(theta)).abs() < 4 * estimates.std() / math.sqrt(repeats)
        errors.append((estimates - risk(theta)).square().mean().sqrt().item())
    slope, _ = np.polyfit(np.log(sizes), np.log(errors), 1)
    assert slope == pytest.approx(-0.5, abs=0.05)


@pytest.mark.row("FND-01")
def test_the_minimiser_of_the_empirical_risk_looks_better_than_it_is():
    gaps = []
    for _ in range(60):
        candidates = [WEIGHT + 0.3 * torch.randn(3, dtype=torch.float64) for _ in range(10)]
        hypotheses = [lambda x, theta=theta: x @ theta for theta in candidates]
        x, y = draw(15)
        best = minimize_risk(squared_error, hypotheses, x, y)
        measured = [empirical_risk(squared_error, f, x, y).item() for f in hypotheses]
        assert empirical_risk(squared_error, best, x, y).item() == min(measured)
        gaps.append(risk(candidates[hypotheses.index(best)]) - min(measured))
    assert np.mean(gaps) > 4 * np.std(gaps) / math.sqrt(len(gaps))


@pytest.mark.row("FND-01")
@pytest.mark.parametrize("seed", range(5))
def test_a_lower_training_loss_does_not_imply_a_lower_validation_loss(seed):
    rng = np.random.default_rng(seed)
    x, new = rng.uniform(-1, 1, 20), rng.uniform(-1, 1, 500)
    noise, other_noise = np.split(0.3 * rng.normal(size=520), [20])
    data = torch.from_numpy(x), torch.from_numpy(np.sin(3 * x) + noise)
    others = torch.from_numpy(new), torch.from_numpy(np.sin(3 * new) + other_noise)

    def fit(degree: int):
        polynomial = np.polynomial.Polynomial.fit(*data, degree, domain=[-1, 1])
        return lambda x: torch.from_numpy(polynomial(x.numpy()))

    fits = {degree: fit(degree) for degree in (0, 3, 12)}
    training, validation = ({d: empirical_risk(squared_error, f, *pair).item() for d, f in fits.items()}
                            for pair in (data, others))
    assert training[0] == pytest.approx(data[1].var(correction=0).item())    # the best constant is the mean
    assert training[12] < training[3] < training[0]                              # over-fitted: low here,
    assert validation[3] < validation[12]                                        # high there
    assert validation[3] < validation[0]                                         # under-fitted: high in both
    hypotheses = list(fits.values())
    assert minimize_risk(squared_error, hypotheses, *data) is fits[12]
    assert minimize_risk(squared_error, hypotheses, *others) is fits[3]


def test_refuses_what_gives_no_risk(annotations_unchecked):
    x, y = draw(4)
    with pytest.raises(ValueError, match="4 examples and 3 targets"):
        empirical_risk(squared_error, lambda x: x @ WEIGHT, x, y[:3])
    with pytest.raises(ValueError, match="0 examples and 0 targets"):
        empirical_risk(squared_error, lambda x: x @ WEIGHT, x[:0], y[:0])
    with pytest.raises(ValueError, match=r"one loss an example, \(4,\), got \(\)"):
        empirical_risk(lambda a, b: squared_error(a, b).mean(), lambda x: x @ WEIGHT, x, y)
