"""Samplers on the noise level on Gaussian data, where the probability flow has a closed form, and step by step against diffusers."""

import math

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler

from deepcanon.diffusion import ddim, dpm_solver_3m, karras, karras_levels, linear_schedule, of_levels, of_sde
from deepcanon.diffusion.noise_levels import euler, heun
from deepcanon.diffusion.sde import ve, vp

MEAN, VAR = 0.7, 0.25                                                            # of the data


def posterior(x, sigma):
    """E[x_0 | x] of Gaussian data."""
    v = sigma.view(-1, *[1] * (x.ndim - 1)) ** 2
    return (VAR * x + v * MEAN) / (VAR + v)


def flowed(x, largest, smallest=0.0):
    """Where the probability flow takes x: distances from the mean shrink as the deviations of the marginals do."""
    return MEAN + (x - MEAN) * math.sqrt((VAR + smallest**2) / (VAR + largest**2))


def curved(x, sigma):
    """A denoiser of no data, with all its derivatives."""
    s = sigma.view(-1, *[1] * (x.ndim - 1))
    return torch.tanh(x / (1 + s)) + 0.3 * torch.sin(x)


def test_levels_fall_as_the_paper_says():
    s = karras_levels(5, 0.1, 10.0, rho=3.0)
    expected = [(10 ** (1 / 3) + i / 4 * (0.1 ** (1 / 3) - 10 ** (1 / 3))) ** 3 for i in range(5)] + [0.0]
    torch.testing.assert_close(s, torch.tensor(expected, dtype=torch.float64))
    assert karras_levels(1, 0.1, 10.0).tolist() == [pytest.approx(10.0), 0.0]


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_the_error_falls_with_the_order(sampler, order):
    x = 3 * torch.randn(20, 1, dtype=torch.float64)

    def error(steps):
        sigmas = torch.logspace(math.log10(3.0), math.log10(0.3), steps + 1, dtype=torch.float64)
        return (sampler(posterior, x, sigmas) - flowed(x, 3.0, 0.3)).abs().max().item()

    coarse, fine = error(40), error(80)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)
    assert fine < 0.05


def test_from_its_third_step_on_the_third_solver_is_exact_for_a_parabola():
    """D = 1 + 2 l - l^2, l = -log sigma, whatever x: x(l) = e^-(l - l_0) (x_0 - P(l_0)) + P(l) with P + P' = D, P = -3 + 4 l - l^2."""
    def parabola(x, sigma):
        lam = -sigma.log().unsqueeze(1)
        return (1 + 2 * lam - lam**2).expand_as(x)

    def exact(x, sigma, then):
        l0, l1 = -math.log(sigma), -math.log(then)
        return math.exp(l0 - l1) * (x + 3 - 4 * l0 + l0**2) - 3 + 4 * l1 - l1**2

    x = torch.randn(3, 1, dtype=torch.float64)
    sigmas = torch.tensor([9.0, 5.0, 3.0, 1.0, 0.7, 0.2], dtype=torch.float64)
    early = dpm_solver_3m(parabola, x, sigmas[:3], curvature=2.0) - exact(x, 9.0, 3.0)
    assert early.abs().min() > 1e-2
    late = dpm_solver_3m(parabola, x, sigmas, curvature=2.0) - exact(x, 9.0, 0.2)
    torch.testing.assert_close(late, early * 0.2 / 3.0)


@pytest.mark.parametrize("sampler", [euler, heun, dpm_solver_3m])
def test_the_data_come_out_at_level_zero(sampler):
    sigmas = karras_levels(40, 0.02, 20.0)
    x = MEAN + math.sqrt(VAR + 400) * torch.randn(4_000, 1, dtype=torch.float64)
    drawn = sampler(posterior, x, sigmas)
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.05)
    assert drawn.std().item() == pytest.approx(math.sqrt(VAR), rel=0.08)


@pytest.mark.parametrize("draw", [
    lambda x, s: euler(posterior, x, s, churn=20.0),
    lambda x, s: heun(posterior, x, s, churn=20.0),
    lambda x, s: heun(posterior, x, s, churn=30.0, between=(0.05, 10.0)),
    lambda x, s: dpm_solver_3m(posterior, x, s, eta=1.0),
], ids=["euler", "heun", "heun between", "3m"])
def test_added_noise_leaves_the_marginals_and_forgets_the_start(draw):
    start = MEAN + math.sqrt(VAR + 400) * torch.randn(4_000, 1, dtype=torch.float64)
    drawn = draw(start, karras_levels(200, 0.02, 20.0))
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.05)
    assert drawn.std().item() == pytest.approx(math.sqrt(VAR), rel=0.08)
    assert torch.corrcoef(torch.cat([start, drawn], 1).T)[0, 1] < 0.9            # without noise it is 1


def test_no_noise_is_added_outside_the_levels_between():
    x, sigmas = torch.randn(5, 2, dtype=torch.float64), karras_levels(8, 0.1, 10.0)
    still = heun(curved, x, sigmas)
    assert torch.equal(heun(curved, x, sigmas, churn=3.0, between=(50.0, 90.0)), still)
    assert not torch.equal(heun(curved, x, sigmas, churn=3.0, between=(1.0, 5.0)), still)


# step by step against diffusers, on its own levels


def unit(scheduler, steps, **how):
    """A scheduler of diffusers whose answers are estimates of x_0, on Karras' levels."""
    made = scheduler(prediction_type="sample", use_karras_sigmas=True, timestep_spacing="linspace", **how)
    made.set_timesteps(steps)
    return made


def test_euler_equals_diffusers():
    x = 10 * torch.randn(3, 4, dtype=torch.float64)
    theirs = unit(EulerDiscreteScheduler, 9)
    y = x.float()
    for t, sigma in zip(theirs.timesteps, theirs.sigmas):
        y = theirs.step(curved(y, sigma.expand(3)), t, y).prev_sample
    torch.testing.assert_close(euler(curved, x, theirs.sigmas.double()), y.double(), rtol=1e-4, atol=1e-4)


def test_churn_is_the_papers_algorithm():
    """Two steps of its algorithm 2, written out."""
    x, sigmas = torch.randn(3, 4, dtype=torch.float64), torch.tensor([5.0, 2.0, 1.0], dtype=torch.float64)
    torch.manual_seed(1)
    ours = heun(curved, x, sigmas, churn=0.5, noise=1.1)
    torch.manual_seed(1)
    for sigma, then in ((5.0, 2.0), (2.0, 1.0)):
        higher = sigma * 1.25                                                    # gamma = 0.5 / 2
        x = x + 1.1 * math.sqrt(higher**2 - sigma**2) * torch.randn_like(x)
        d = (x - curved(x, torch.full((3,), higher))) / higher
        ahead = x + (then - higher) * d
        x = x + (then - higher) * (d + (ahead - curved(ahead, torch.full((3,), then))) / then) / 2
    torch.testing.assert_close(ours, x)
    torch.manual_seed(1)
    most = euler(curved, x, sigmas, churn=100.0)
    torch.manual_seed(1)
    torch.testing.assert_close(most, euler(curved, x, sigmas, churn=2 * (math.sqrt(2) - 1)))


def test_heun_equals_diffusers():
    x = 10 * torch.randn(3, 4, dtype=torch.float64)
    theirs = unit(HeunDiscreteScheduler, 9)
    sigmas = torch.cat([theirs.sigmas[:1], theirs.sigmas[1:-1:2], theirs.sigmas[-1:]]).double().unique_consecutive()
    y = x.float()
    for t in theirs.timesteps:
        sigma = theirs.sigmas[theirs.step_index if theirs.step_index is not None else 0]
        y = theirs.step(curved(y, sigma.expand(3)), t, y).prev_sample
    torch.testing.assert_close(heun(curved, x, sigmas), y.double(), rtol=1e-4, atol=1e-4)


def test_the_third_order_solver_equals_diffusers():
    x = 10 * torch.randn(3, 4, dtype=torch.float64)
    theirs = unit(DPMSolverMultistepScheduler, 9, solver_order=3, algorithm_type="dpmsolver++", lower_order_final=False,
                  final_sigmas_type="zero", euler_at_final=True, solver_type="heun")
    sigmas = theirs.sigmas.double()
    a = 1 / (1 + sigmas**2).sqrt()                                               # theirs is x scaled to unit variance
    y = (a[0] * x).float()
    for i, t in enumerate(theirs.timesteps):
        y = theirs.step(curved(y / a[i], sigmas[i].expand(3)).float(), t, y).prev_sample
    torch.testing.assert_close(dpm_solver_3m(curved, x, sigmas), y.double() / a[-1], rtol=1e-3, atol=1e-3)


# models in another time


@pytest.mark.parametrize("sde", [vp(), ve()], ids=["vp", "ve"])
@pytest.mark.parametrize("solver", [euler, heun, dpm_solver_3m])
def test_a_model_in_the_time_of_an_sde_is_sampled(sde, solver):
    def denoise(x, t):
        a, s = sde.scale(t[0]), sde.noise(t[0])
        return (VAR * a * x + s**2 * MEAN) / (VAR * a**2 + s**2)

    times = sde.times(60).flip(0)
    a, s = sde.scale(times[0]), sde.noise(times[0])
    x = a * MEAN + (a**2 * VAR + s**2).sqrt() * torch.randn(4_000, 1, dtype=torch.float64)
    drawn = karras(denoise, x, sde, times, solver=solver)
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.05)
    assert drawn.std().item() == pytest.approx(math.sqrt(VAR), rel=0.1)
    sigma = torch.full((3,), 0.5, dtype=torch.float64)
    points = torch.randn(3, 1, dtype=torch.float64)
    torch.testing.assert_close(of_sde(denoise, sde)(points, sigma), posterior(points, sigma))


def test_a_ddpm_is_asked_at_its_nearest_level():
    abar = linear_schedule(1_000).double()
    asked = []

    def denoise(x, t):
        asked.append(t.tolist())
        return x

    sigma = ((1 - abar[300]) / abar[300]).sqrt()
    x = torch.ones(2, 1, dtype=torch.float64)
    assert torch.allclose(of_levels(denoise, abar)(x, (1.0005 * sigma).expand(2)), abar[300].sqrt() * x)
    assert asked == [[300, 300]]


def test_on_a_ddpms_own_levels_euler_is_ddim():
    abar = linear_schedule(1_000).double()
    times = torch.tensor([900, 600, 300, 100])

    def denoise(x, t):
        return torch.tanh(x) * abar[t].view(-1, 1)

    sigmas = ((1 - abar[times]) / abar[times]).sqrt()
    x = torch.randn(4, 2, dtype=torch.float64)
    ours = euler(of_levels(denoise, abar), x / abar[900].sqrt(), sigmas) * abar[100].sqrt()
    torch.testing.assert_close(ours, ddim(denoise, x, abar, times))


def test_levels_that_are_none_are_refused():
    x = torch.randn(2, 1)
    for call, message in [
        (lambda: karras_levels(0), "expected a step or more, 0 < smallest < largest and rho > 0, got 0"),
        (lambda: karras_levels(3, 2.0, 1.0), "0 < smallest < largest"),
        (lambda: euler(curved, x, torch.tensor([1.0, 2.0])), r"that fall to 0 or above, got \[1.0, 2.0\]"),
        (lambda: heun(curved, x, torch.tensor([1.0])), "expected two noise levels or more"),
        (lambda: heun(curved, x, torch.tensor([1.0, 0.0]), churn=-1.0), "expected a churn of 0 or more"),
        (lambda: dpm_solver_3m(curved, x, torch.tensor([1.0, 0.0]), eta=-1.0), "expected eta of 0 or more"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
