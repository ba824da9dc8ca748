"""Guidance where the guided law is known, and the conditional model."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM, data, velocity
from deepcanon.diffusion.guidance import classifier_free, classifier_guided, inpaint
from deepcanon.diffusion.samplers import ddim
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule, strided
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.text_encoder import TextEncoder

ABAR = linear_schedule(200)
CENTRE, VARIANCE = 1.0, 0.2


def one_mode(sign, x, t):
    """E[x_0 | x_t] of N(sign, VARIANCE)."""
    a = ABAR[t]
    return sign * CENTRE + VARIANCE * a.sqrt() / (VARIANCE * a + 1 - a) * (x - a.sqrt() * sign * CENTRE)


def log_class(sign, x, t):
    """log p(sign | x_t) of the equal mixture of both modes."""
    a = ABAR[t]
    return nn.functional.logsigmoid(2 * sign * CENTRE * a.sqrt() * x / (VARIANCE * a + 1 - a))


def both_modes(x, t):
    return sum(log_class(sign, x, t).exp() * one_mode(sign, x, t) for sign in (-1, 1))


@pytest.mark.row("GEN-55")
def test_guidance_by_the_right_classifier_is_bayes_rule():
    x, t = torch.randn(50, dtype=torch.float64), torch.randint(1, 201, (50,))
    guided = classifier_guided(both_modes, partial(log_class, 1), ABAR)
    torch.testing.assert_close(guided(x, t), one_mode(1, x, t), atol=1e-10, rtol=1e-10)
    draws = ddim(guided, torch.randn(4_000, dtype=torch.float64), ABAR, strided(200, 100))
    assert abs(draws.mean() - CENTRE) < 4 * math.sqrt(VARIANCE / 4_000) + 0.01


@pytest.mark.row("GEN-55")
def test_classifier_free_guidance_is_classifier_guidance_with_the_models_own_classifier():
    x, t = torch.randn(50, dtype=torch.float64), torch.randint(1, 201, (50,))
    free = classifier_free(partial(one_mode, 1), both_modes, 2.0)
    by_classifier = classifier_guided(both_modes, partial(log_class, 1), ABAR, 3.0)
    torch.testing.assert_close(free(x, t), by_classifier(x, t), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(classifier_free(partial(one_mode, 1), both_modes, 0.0)(x, t), one_mode(1, x, t))


def test_inpainting_draws_the_rest_given_what_is_known():
    """N(0, [[1, 0.8], [0.8, 1]]) with x_1 = 1: x_2 has mean 0.8 and variance 0.36; a single round leaves its mean near 0.5."""
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    abar = cosine_schedule(200)

    def denoise(x, t):
        a = abar[t[0]]
        return x @ (a.sqrt() * covariance @ torch.linalg.inv(a * covariance + (1 - a) * torch.eye(2, dtype=torch.float64)))

    n = 1_000
    known, mask = torch.ones(n, 2, dtype=torch.float64), torch.tensor([True, False])
    x = inpaint(denoise, torch.randn(n, 2, dtype=torch.float64), abar, strided(200, 200), known=known, mask=mask, rounds=10)
    assert (x[:, 0] == 1).all()
    assert abs(x[:, 1].mean() - 0.8) < 0.08
    assert abs(x[:, 1].var() - 0.36) < 0.06


def test_no_round_is_refused():
    with pytest.raises(ValueError, match="expected one round or more, got 0"):
        inpaint(both_modes, torch.zeros(1), ABAR, strided(200, 2), known=torch.zeros(1), mask=torch.tensor(True), rounds=0)


def model(encoder: nn.Module | None = None, **options):
    diffusion = DDPM(ResidualMLP((1, 4, 4), width=32, num_layers=1, time_dim=16, condition_dim=8), (1, 4, 4), abar=cosine_schedule(50),
                     predict=velocity, sampler=ddim, steps=10)
    return ConditionalDDPM(diffusion, encoder or nn.Embedding(2, 8), embed_dim=8, **options)


def halves(n):
    """Class 0: the left half is white; class 1: the right half."""
    y = torch.arange(n) % 2
    x = torch.zeros(n, 1, 4, 4)
    x[y == 0, :, :, :2] = 1
    x[y == 1, :, :, 2:] = 1
    return x, y


WORDS = torch.tensor([[1, 2, 0], [3, 1, 4]])                                     # two sentences, the first one word shorter


@pytest.mark.row("GEN-55")
@pytest.mark.parametrize("condition", ["class", "sentence"])
def test_sampling_follows_the_condition_and_without_one_the_marginal(condition):
    encoder = nn.Embedding(2, 8) if condition == "class" else TextEncoder(5, 3, 8, embed_dim=16, num_heads=2)
    method = model(encoder, drop=0.2)
    optimizer = torch.optim.Adam(method.parameters(), lr=5e-3)
    for _ in range(200):
        x, y = halves(64)
        optimizer.zero_grad()
        method.loss((x, y if condition == "class" else WORDS[y])).backward()
        optimizer.step()
    y = torch.arange(100) % 2
    drawn = method.sample(100, y if condition == "class" else WORDS[y])
    right = (drawn[..., 2:].mean((1, 2, 3)) > drawn[..., :2].mean((1, 2, 3))).long()
    assert (right == y).float().mean() > 0.9
    free = method.sample(200)
    share = (free[..., 2:].mean((1, 2, 3)) > free[..., :2].mean((1, 2, 3))).float().mean()
    assert 0.3 < share < 0.7


class Telling(nn.Module):
    """A net that answers the input plus the first number of its condition; it keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, t, c):
        self.asked = t, c
        return self.weight * x + c[:, 0].view(-1, 1, 1, 1)


def telling(**options):
    diffusion = DDPM(Telling(), (1, 4, 4), abar=cosine_schedule(50), predict=data, sampler=ddim, steps=10)
    return ConditionalDDPM(diffusion, nn.Embedding(2, 3), embed_dim=3, **options)


@pytest.mark.row("GEN-55")
def test_the_loss_is_the_mean_squared_error_given_a_condition_that_is_dropped_at_times():
    method, n = telling(drop=0.3), 4_000
    x, y = torch.rand(n, 1, 4, 4), torch.arange(n) % 2
    torch.manual_seed(1)
    loss = method.loss((x, y))
    t, c = method.diffusion.net.asked
    dropped = (c == method.nothing).all(1)
    assert abs(dropped.float().mean() - 0.3) < 4.5 * math.sqrt(0.3 * 0.7 / n)
    torch.testing.assert_close(c, torch.where(dropped[:, None], method.nothing, method.encoder.weight[y]))
    torch.manual_seed(1)
    torch.rand(1), torch.rand(n, 1)  # of the times and of what is dropped
    a, s = (
        v.view(-1, 1, 1, 1) for v in (method.diffusion.abar[t].sqrt(), (1 - method.diffusion.abar[t]).sqrt())
    )
    x_t = a * (2 * x - 1) + s * torch.randn(n, 1, 4, 4)
    torch.testing.assert_close(loss, (2 * x - 1 - x_t - c[:, 0].view(-1, 1, 1, 1)).square().mean())
    assert ((50 * torch.arange(n) / n).long().bincount() == (t - 1).bincount()).all()  # all times alike


@pytest.mark.row("GEN-55")
def test_the_estimate_of_a_condition_is_moved_away_from_the_free_one_by_the_weight():
    method, given = telling(weight=2.0), []
    method.encoder.weight.data.mul_(0.1), method.nothing.data.mul_(0.1)
    method.diffusion.sampler = lambda denoise, x, abar, times: given.append((denoise, x, times)) or x
    y, x = torch.tensor([0, 1, 1]), torch.zeros(3, 1, 4, 4)
    t, c, free = torch.ones(3, dtype=torch.long), method.encoder.weight[y, 0], method.nothing[0]
    cases = [
        ({"y": y}, c + 2 * (c - free)),
        ({"y": y, "weight": 0.5}, c + 0.5 * (c - free)),
        ({}, free.expand(3)),
    ]
    for asked, expected in cases:
        torch.manual_seed(1)
        images = method.sample(3, **asked)
        denoise, x_T, times = given.pop()
        torch.testing.assert_close(denoise(x, t)[:, 0, 0, 0], expected)
        assert times.tolist() == strided(50, 10).tolist()
        torch.manual_seed(1)
        torch.testing.assert_close(x_T, torch.empty(3, 1, 4, 4).normal_())
        torch.testing.assert_close(images, (x_T / 2 + 0.5).clamp(0, 1))


@pytest.mark.parametrize(("batch", "message"), [
    ((torch.rand(2, 1, 4, 4),), r"expected batches \(x, y\): a conditional model learns from the labels or captions"),
    (torch.rand(2, 1, 4, 4), r"expected a batch, a tuple of tensors \(x, ...\), got \(2, 1, 4, 4\) float32")])
def test_missing_labels_are_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        model().loss(batch)


def test_other_numbers_of_conditions_are_refused():
    with pytest.raises(ValueError, match="expected a condition for each of 3 images, got 2"):
        model().sample(3, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"expected a share of dropped conditions in \(0, 1\), got 0"):
        model(drop=0.0)


def test_a_net_says_whether_it_takes_a_condition():
    x, t, c = torch.rand(2, 1, 4, 4), torch.ones(2), torch.rand(2, 8)
    with pytest.raises(ValueError, match="expected a condition"):
        ResidualMLP((1, 4, 4), width=8, condition_dim=8)(x, t)
    with pytest.raises(ValueError, match="this net takes no condition"):
        ResidualMLP((1, 4, 4), width=8)(x, t, c)


def test_words_after_the_end_of_a_sentence_change_nothing():
    encoder = TextEncoder(5, 6, 8, embed_dim=16, num_heads=2)
    short, padded = torch.tensor([[2, 1]]), torch.tensor([[2, 1, 0, 0, 0]])
    torch.testing.assert_close(encoder(short), encoder(padded))
    assert not torch.allclose(encoder(torch.tensor([[1, 2]])), encoder(short))   # their order does
    with pytest.raises(ValueError, match="expected sentences of 1 to 6 words, got 0 to 2"):
        encoder(torch.tensor([[0, 0], [1, 2]]))


@pytest.mark.parametrize(("abar", "message"), [
    (torch.linspace(1, 0.3, 5), "does not end in noise: abar_T = 0.3 of the data's variance is left after T = 4 steps"),
    (torch.tensor([1.0, 0.5, 0.5, 0.0]), "falls from 1"), (torch.tensor([1.0, float("nan"), 0.0]), "expected finite values"),
    (torch.tensor([1.0, 0.5, float("nan")]), "expected finite values"), (torch.tensor([0.9, 0.1, 0.0]), "falls from 1")])
def test_schedules_that_are_none_are_refused(abar, message):
    with pytest.raises(ValueError, match=message):
        DDPM(nn.Identity(), (1, 4, 4), abar=abar)


def test_values_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"expected values in \[0, 1\], got some from"):
        model().loss((halves(4)[0] * 255, torch.zeros(4, dtype=torch.long)))


@pytest.mark.parametrize("y", [torch.tensor([0, 2]), torch.tensor([-1, 0]), torch.tensor([0.0, 1.0]), torch.tensor([[0, 1], [1, 0]])])
def test_labels_that_the_embedding_does_not_have_are_refused(y):
    with pytest.raises(ValueError, match=r"expected one label in 0..1 for each example"):
        model().loss((halves(2)[0], y))
