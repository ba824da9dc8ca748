"""The training loss and the bound on Gaussian data, where the best answer of the net is known."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from deepcanon.diffusion import DDPM, cosine_schedule, data, ddim, linear_schedule, noise, velocity
from deepcanon.diffusion.samplers import forward_variance, posterior_variance
from deepcanon.diffusion.variational_bound import bound_terms, log_bin
from deepcanon.nets.unet import UNet

MEAN, VARIANCE = 0.1, 0.04                                                       # of the diffused data, in [-1, 1]


class BestAnswer(nn.Module):
    """The best net for data N(MEAN, VARIANCE), in any of the three predictions."""

    def __init__(self, abar, predict):
        super().__init__()
        self.abar, self.predict = abar.float(), predict

    def forward(self, x_t, t):
        abar = self.abar[t].view(-1, 1, 1, 1)
        a, s = abar.sqrt(), (1 - abar).sqrt()
        x_0 = MEAN + VARIANCE * a / (VARIANCE * abar + s**2) * (x_t - a * MEAN)
        return self.predict.target(x_0, (x_t - a * x_0) / s, a, s)


def gaussian_images(n, side=4):
    return ((MEAN + VARIANCE**0.5 * torch.randn(n, 1, side, side) + 1) / 2).clamp(0, 1)   # as images; 4.5 deviations fit


@pytest.mark.row("GEN-52")
@pytest.mark.parametrize("predict", [noise, data, velocity])
def test_loss_of_the_best_answer_has_its_closed_form(predict):
    """E||eps - E[eps | x_t]||^2 = v abar / (v abar + 1 - abar) a pixel, and in the same way for x_0 and v; the metric is that of eps for all."""
    torch.manual_seed(0)
    abar = linear_schedule(50, 0.05, 10.0)
    model = DDPM(BestAnswer(abar, predict), (1, 4, 4), abar=abar, predict=predict)
    x, a = (gaussian_images(20_000),), abar[1:]
    eps_error = VARIANCE * a / (VARIANCE * a + 1 - a)
    scale = {noise: 1.0, data: (1 - a) / a, velocity: 1 / a}[predict]            # one posterior spread seen in three units
    torch.testing.assert_close(model.loss(x).double(), (eps_error * scale).mean(), rtol=0.02, atol=0)
    torch.testing.assert_close(model.metrics(x)["simple_loss"].mean().double(), eps_error.mean(), rtol=0.02, atol=0)


@pytest.mark.row("GEN-52")
def test_score_is_minus_noise_over_its_scale():
    """grad log q(x_t) = -(x_t - sqrt(abar) m) / (abar v + 1 - abar) = -E[eps | x_t] / sqrt(1 - abar_t)."""
    abar = linear_schedule(50, 0.05, 10.0)
    t, x_t = torch.arange(1, 51), torch.randn(50, 1, 1, 1)
    a = abar.float()[t].view(-1, 1, 1, 1)
    score = -(x_t - a.sqrt() * MEAN) / (a * VARIANCE + 1 - a)
    torch.testing.assert_close(-BestAnswer(abar, noise)(x_t, t) / (1 - a).sqrt(), score, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("predict", [noise, data, velocity])
def test_right_answers_give_back_the_image(predict):
    x_0, eps = torch.randn(2, 5, 3).double()
    a = torch.tensor(0.8).double()
    s = (1 - a**2).sqrt()
    torch.testing.assert_close(predict.x_0(predict.target(x_0, eps, a, s), a * x_0 + s * eps, a, s), x_0, atol=1e-12, rtol=0)


@pytest.mark.row("GEN-52")
@pytest.mark.parametrize("variance", [forward_variance, posterior_variance])
def test_bound_weighs_the_loss_of_each_time(variance):
    """With the best denoiser the expected terms are known: L_{t-1} = KL of two variances + posterior / sigma^2 (SNR_{t-1} - SNR_t) / 2 times
    the spread of x_0 given x_t, v (1 - abar) / (v abar + 1 - abar); and L_T = KL(N(sqrt(abar_T) x_0, 1 - abar_T) || N(0, 1))."""
    torch.manual_seed(0)
    abar, n = linear_schedule(20, 0.2, 8.0), 100_000
    best = DDPM(BestAnswer(abar, data), (1, 1, 1), abar=abar, predict=data)
    x_0 = 2 * gaussian_images(n, side=1) - 1
    terms = bound_terms(best.denoise, x_0, best.abar, variance=variance).double()
    snr, spread = abar[1:] / (1 - abar[1:]), VARIANCE * (1 - abar[1:]) / (VARIANCE * abar[1:] + 1 - abar[1:])
    ratio = posterior_variance(abar[2:], abar[1:-1]) / variance(abar[2:], abar[1:-1])
    expected = (ratio - 1 - ratio.log()) / 2 + ratio * (snr[:-1] - snr[1:]) / 2 * spread[1:]
    standard_error = terms[1:-1].std(1) / math.sqrt(n)
    assert ((terms[1:-1].mean(1) - expected).abs() < 4 * standard_error).all()
    last = (abar[-1] * (MEAN**2 + VARIANCE) - abar[-1] - (1 - abar[-1]).log()) / 2
    assert abs(terms[-1].mean() - last) < 4 * terms[-1].std() / math.sqrt(n)


def test_bound_of_the_best_model_nears_the_entropy_of_gaussian_data():
    """With many small steps the bound is the log-likelihood: the density's entropy plus log of 127.5 values a unit, in bits."""
    torch.manual_seed(0)
    abar = linear_schedule(1000)
    best = DDPM(BestAnswer(abar, data), (1, 4, 4), abar=abar, predict=data)
    bits = best.bits_per_dim((gaussian_images(200) * 255).round().clamp(0, 255) / 255)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * VARIANCE) + math.log2(127.5)
    assert -4 * bits.std() / math.sqrt(200) < bits.mean() - entropy < 0.03


@pytest.mark.parametrize("mean", [-3.0, -0.99, 0.2, 5.0])
@pytest.mark.parametrize("sigma", [1e-2, 0.1, 2.0])
def test_bins_of_all_values_sum_to_one(mean, sigma):
    x = torch.arange(256).double() / 127.5 - 1
    total = log_bin(x, torch.full_like(x, mean), torch.tensor(sigma).double()).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros_like(total), atol=1e-9, rtol=0)


def tiny(**options):
    return DDPM(UNet(1, (8, 16), blocks=1, groups=4), (1, 8, 8), abar=cosine_schedule(20), **options)


@pytest.mark.parametrize("options", [{}, {"predict": velocity, "sampler": ddim, "steps": 5}, {"predict": data, "sampler": partial(ddim, eta=0.5)}])
def test_samples_are_images(options):
    x = tiny(**options).sample(3)
    assert x.shape == (3, 1, 8, 8)
    assert x.min() >= 0
    assert x.max() <= 1


def test_metrics_are_the_same_at_every_call_and_leave_the_random_stream_alone():
    model, batch = tiny(), (torch.rand(6, 1, 8, 8),)
    before = torch.get_rng_state()
    first, second = (model.metrics(batch)["simple_loss"] for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.row("GEN-52")
def test_samples_are_the_samplers_between_zero_and_one_and_estimates_are_clamped():
    given = []
    model = DDPM(BestAnswer(cosine_schedule(20), noise), (1, 8, 8), abar=cosine_schedule(20), steps=5,
                 sampler=lambda denoise, x, abar, times: given.append((x, times)) or x / 8)
    torch.manual_seed(1)
    x = model.sample(3)
    torch.manual_seed(1)
    x_T = torch.empty(3, 1, 8, 8).normal_()
    torch.testing.assert_close(x, x_T / 16 + 0.5)
    assert torch.equal(given[0][0], x_T)
    assert given[0][1].tolist() == [20, 16, 12, 8, 4, 0]
    model.sample(3, steps=2)
    assert given[1][1].tolist() == [20, 10, 0]
    x_t, t = 3 * torch.randn(4, 1, 8, 8), torch.tensor([1, 5, 10, 19])
    a = model.abar[t].view(-1, 1, 1, 1)
    best = MEAN + VARIANCE * a.sqrt() / (VARIANCE * a + 1 - a) * (x_t - a.sqrt() * MEAN)
    torch.testing.assert_close(model.denoise(x_t, t), best.clamp(-1, 1), atol=1e-4, rtol=1e-4)


@pytest.mark.row("GEN-52")
def test_times_of_a_batch_are_uniform():
    model = tiny()
    t = torch.stack([model.spread_times(torch.rand(1), 7) for _ in range(4_000)])
    assert t.min() == 1
    assert t.max() == 20
    torch.testing.assert_close(t[:, 3].bincount(minlength=21)[1:] / 4_000, torch.full((20,), 0.05), atol=4 * (0.05 * 0.95 / 4_000) ** 0.5, rtol=0)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected data of shape \(B, 1, 8, 8\), got \(2, 1, 9, 8\)"):
        tiny().loss((torch.rand(2, 1, 9, 8),))


def test_steps_that_are_none_are_refused_before_training():
    for steps in (0, 21):
        with pytest.raises(ValueError, match=f"expected 1 to 20 steps, got {steps}"):
            tiny(steps=steps)


def test_bits_are_those_of_eight_bit_images():
    with pytest.raises(ValueError, match="expected values on the 256 levels"):
        tiny().bits_per_dim(torch.full((2, 1, 8, 8), 0.5))


@pytest.mark.row("GEN-52")
@pytest.mark.parametrize("predict", [noise, data, velocity])
@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
def test_every_prediction_is_read_as_each_of_the_others(predict, schedule):
    """From one answer, at every time: x_0, the noise, v and the score, each as it follows from the definitions, within 1e-7."""
    abar = schedule(200)[1:-1]                                                   # at T of the cosine schedule 1e-9 of the data is left: x_0 is lost
    a, s = (values.sqrt().unsqueeze(1) for values in (abar, 1 - abar))
    x_0, eps = torch.randn(2, len(abar), 5, dtype=torch.float64)
    x_t = a * x_0 + s * eps
    guess = predict.x_0(predict.target(x_0, eps, a, s), x_t, a, s)
    right = {noise: eps, data: x_0, velocity: a * eps - s * x_0}
    for other, answer in right.items():
        torch.testing.assert_close(other.target(guess, (x_t - a * guess) / s, a, s), answer, atol=1e-7, rtol=0)
    score = (a * guess - x_t) / s**2                                             # Tweedie's formula
    torch.testing.assert_close(score, -eps / s, atol=1e-7, rtol=0)
