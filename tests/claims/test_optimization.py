"""Claims about descent: each number against its closed form."""

import math

import numpy
import pytest
import torch

from tests.claims.verdicts import measured


def logistic_gradients() -> numpy.ndarray:
    """grad log(1 + e^{x'theta}) - y x'theta of the 12 examples of C-005 and C-012, by hand."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 3, generator=generator, dtype=torch.float64).numpy()
    y = torch.randint(2, (12,), generator=generator).double().numpy()
    return (1 / (1 + numpy.exp(-x @ numpy.array([0.5, -1.0, 2.0]))) - y)[:, None] * x


@pytest.mark.row("FND-17", "FND-18")
def test_noise_escapes_from_a_saddle_and_small_batches_are_cheap():
    m = measured("C-001", "confirmed")
    assert m["y_full"] == 0
    assert m["y_stochastic"] == pytest.approx(math.sqrt(2), abs=0.15)
    steps = math.ceil(math.log(0.01) / math.log(0.9**2))               # rate 0.1, all curvatures 1
    assert m["gradients_full"] / 10_000 == pytest.approx(steps, abs=1.5)
    assert m["gradients_stochastic"] / 10 == pytest.approx(steps, abs=8)
    assert m["saving"] == pytest.approx(1000, rel=0.3)


@pytest.mark.row("FND-18")
def test_mean_and_variance_of_batches_of_two():
    m, each = measured("C-005", "refuted"), logistic_gradients()
    assert m["mean_difference"] < 1e-12
    assert m["stochastic_variance"] == pytest.approx(each.var(0).sum() / 2, rel=1e-9)
    assert m["full_variance"] == 0


@pytest.mark.row("FND-18")
def test_a_single_example_is_unbiased_and_noisy():
    m, each = measured("C-012", "confirmed"), logistic_gradients()
    assert m["bias"] < 1e-12
    assert m["variance_of_2"] == pytest.approx(1 / 2, rel=1e-9)
    assert m["variance_of_3"] == pytest.approx(1 / 3, rel=1e-9)
    assert m["noise_to_signal"] == pytest.approx(each.var(0).sum() / (each.mean(0) ** 2).sum(), rel=1e-9)


@pytest.mark.row("FND-17", "FND-18")
def test_a_step_on_a_part_of_the_data_raises_the_loss():
    m = measured("C-017", "refuted")
    assert m["loss_before"] == pytest.approx(1)
    assert m["loss_after"] == pytest.approx((0.8**2 + 1.2**2) / 2)               # theta = 2 * 0.1
    assert m["raising_steps_at_a_minimum"] == 1


@pytest.mark.row("FND-17")
def test_descent_diverges_above_two_over_the_curvature():
    m = measured("C-019", "confirmed")
    for rate, rising in ((1.99, 0), (2.01, 1), (3, 1)):
        assert m[f"rising_at_{rate:g}"] == rising
        assert m[f"factor_at_{rate:g}"] == pytest.approx((1 - rate) ** 2, rel=1e-5)


@pytest.mark.row("FND-37", "FND-38")
def test_clipping_tames_what_explodes_and_not_what_vanishes():
    m = measured("C-049", "confirmed")
    assert m["change_of_small_by_norm"] == m["change_of_small_by_value"] == 0
    assert m["large_by_norm"] == pytest.approx(1, rel=1e-5)
    assert m["large_by_value"] == 1
