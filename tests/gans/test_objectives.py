"""Objectives against the equations of their papers, their optima, and the worked example."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from deepcanon.gans import objectives
from deepcanon.gans.game import optimal_discriminator, value
from deepcanon.gans.objectives import hinge, least_squares, minimax, non_saturating, relativistic, smoothed, squares, wasserstein
from deepcanon.gans.wasserstein import jensen_shannon

P, Q = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], dtype=torch.float64)


def best_scores(objective):
    """The scores of the K outcomes that minimise the discriminator's loss, by Newton's method from several starts."""
    d = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([d], max_iter=500, tolerance_grad=1e-14, tolerance_change=1e-18, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        pairs = objective.discriminator(d.unsqueeze(1), d.unsqueeze(0))                # independent x ~ p and x' ~ q
        loss = (P.unsqueeze(1) * Q * pairs).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return d.detach()


@pytest.mark.row("GEN-56")
def test_the_loss_of_the_discriminator_is_the_sum_of_two_cross_entropies():
    a, b = torch.randn(2, 50, dtype=torch.float64)
    expected = bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))
    for objective in (minimax, non_saturating):
        torch.testing.assert_close(objective.discriminator(a, b).mean(), expected, atol=1e-12, rtol=0)


@pytest.mark.row("GEN-57")
def test_the_saturating_gradient_vanishes_where_the_other_does_not():
    """At D = 0.01 the gradients with respect to the logit are -0.01 and -0.99: the ratio is 99."""
    gradients = []
    for objective in (minimax, non_saturating):
        logit = torch.tensor(0.01, dtype=torch.float64).logit().requires_grad_()
        objective.generator(logit, logit).backward()
        gradients.append(logit.grad.item())
    assert gradients == pytest.approx([-0.01, -0.99], abs=1e-12)


@pytest.mark.row("GEN-58")
def test_the_optimal_discriminator_and_its_value():
    d = optimal_discriminator(P, Q)
    assert d.tolist() == pytest.approx([0.833333, 0.5, 0.25], abs=1e-6)
    torch.testing.assert_close(best_scores(minimax).sigmoid(), d, atol=1e-8, rtol=0)
    assert value(d, P, Q).item() == pytest.approx(-1.13609315, abs=1e-8)
    assert jensen_shannon(P, Q).item() == pytest.approx(0.12510061, abs=1e-8)
    assert value(d, P, Q).item() == pytest.approx(2 * jensen_shannon(P, Q).item() - math.log(4), abs=1e-12)
    assert value(optimal_discriminator(P, P), P, P).item() == pytest.approx(-1.38629436, abs=1e-8)
    for worse in (d * 0.9, d * 1.05):
        assert value(worse, P, Q) < value(d, P, Q)


@pytest.mark.row("GEN-63")
def test_a_smoothed_label_scales_the_optimal_discriminator():
    torch.testing.assert_close(best_scores(smoothed(0.9)).sigmoid(), optimal_discriminator(P, Q, label=0.9), atol=1e-6, rtol=0)
    b = torch.randn(9)
    torch.testing.assert_close(smoothed(0.9).discriminator(b, b) - bce(b, torch.full_like(b, 0.9), reduction="none"),
                               bce(b, torch.zeros_like(b), reduction="none"))          # the fakes' label stays 0


@pytest.mark.row("GEN-65")
@pytest.mark.parametrize(("real", "fake"), [(1.0, 0.0), (1.0, -1.0)])
def test_the_optimum_of_least_squares_lies_between_the_labels(real, fake):
    torch.testing.assert_close(best_scores(squares(real, fake)), (real * P + fake * Q) / (P + Q), atol=1e-7, rtol=0)


@pytest.mark.row("GEN-65")
def test_least_squares_pull_from_afar_where_minimax_does_not():
    gradients = {}
    for name in ("minimax", "least_squares"):
        b = torch.tensor(-30.0, requires_grad=True)                                    # a fake that D has found out
        getattr(objectives, name).generator(b, b).backward()
        gradients[name] = abs(b.grad.item())
    assert gradients["minimax"] < 1e-12
    assert gradients["least_squares"] == pytest.approx(62)


@pytest.mark.row("GEN-57", "GEN-63", "GEN-65", "GEN-70")
def test_values_by_hand():
    """At a = 0.5 and b = -0.25; s is the logistic sigmoid."""
    a, b = torch.tensor([0.5], dtype=torch.float64), torch.tensor([-0.25], dtype=torch.float64)
    def s(v):
        return 1 / (1 + math.exp(-v))

    source = -math.log(s(0.5)) - math.log(1 - s(-0.25))
    table = {
        minimax: (source, math.log(1 - s(-0.25))),
        non_saturating: (source, -math.log(s(-0.25))),
        objectives.swapped: (source, -math.log(s(-0.25)) - math.log(1 - s(0.5))),
        smoothed(0.8): (
            -0.8 * math.log(s(0.5)) - 0.2 * math.log(1 - s(0.5)) - math.log(1 - s(-0.25)),
            -math.log(s(-0.25)),
        ),
        smoothed(): (
            -0.9 * math.log(s(0.5)) - 0.1 * math.log(1 - s(0.5)) - math.log(1 - s(-0.25)),
            -math.log(s(-0.25)),
        ),
        least_squares: (0.5**2 + 0.25**2, 1.25**2),
        squares(2.0, -1.0, 0.5): (1.5**2 + 0.75**2, 0.75**2),
        hinge: (0.5 + 0.75, 0.25),
        wasserstein: (-0.75, 0.25),
        relativistic: (-math.log(s(0.75)), -math.log(s(-0.75))),
    }
    for objective, expected in table.items():
        assert (objective.discriminator(a, b).item(), objective.generator(a, b).item()) == pytest.approx(
            expected
        )
    assert hinge.discriminator(4 * a, 8 * b).item() == 0


@pytest.mark.row("GEN-79")
def test_the_relativistic_loss_sees_the_difference_alone():
    a, b = torch.randn(2, 20, dtype=torch.float64)
    expected = torch.log(1 + torch.exp(-(a - b)))
    torch.testing.assert_close(relativistic.discriminator(a, b), expected)
    torch.testing.assert_close(relativistic.discriminator(a + 3, b + 3), expected)
    torch.testing.assert_close(relativistic.generator(b, a), expected)
