"""The samplers on Gaussian data, where the best denoiser is known, and step by step against diffusers."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from deepcanon.diffusion.samplers import ancestral, ddim, dpm_solver, forward_variance, posterior_mean, posterior_variance
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule, strided

MEAN, VARIANCE = 0.7, 0.25
ABAR = linear_schedule(1000)


def best(x_t, t):
    """E[x_0 | x_t] for data N(MEAN, VARIANCE)."""
    abar = ABAR[t]
    return MEAN + VARIANCE * abar.sqrt() / (VARIANCE * abar + 1 - abar) * (x_t - abar.sqrt() * MEAN)


@pytest.mark.row("GEN-53")
@pytest.mark.parametrize(("t", "s"), [(1, 0), (2, 1), (500, 499), (1000, 999), (1000, 500), (40, 0)])
def test_posterior_is_the_gaussian_conditional(t, s):
    """(x_s, x_t) given x_0 is jointly Gaussian: condition its covariance by the general formula."""
    abar_s, abar_t, x_0, x_t = ABAR[s], ABAR[t], torch.tensor(0.3).double(), torch.tensor(-1.2).double()
    cov_ss, cov_st, cov_tt = 1 - abar_s, (abar_t / abar_s).sqrt() * (1 - abar_s), 1 - abar_t
    mean = abar_s.sqrt() * x_0 + cov_st / cov_tt * (x_t - abar_t.sqrt() * x_0)
    torch.testing.assert_close(posterior_mean(x_t, x_0, abar_t, abar_s), mean, atol=1e-10, rtol=0)
    torch.testing.assert_close(posterior_variance(abar_t, abar_s), cov_ss - cov_st**2 / cov_tt, atol=1e-10, rtol=0)


@pytest.mark.row("GEN-53")
def test_posterior_mean_is_the_papers_step_in_the_noise():
    t, x_t, eps = 321, torch.randn(5).double(), torch.randn(5).double()
    alpha, abar = ABAR[t] / ABAR[t - 1], ABAR[t]
    paper = (x_t - (1 - alpha) / (1 - abar).sqrt() * eps) / alpha.sqrt()
    x_0 = (x_t - (1 - abar).sqrt() * eps) / abar.sqrt()
    torch.testing.assert_close(posterior_mean(x_t, x_0, abar, ABAR[t - 1]), paper, atol=1e-10, rtol=0)


@pytest.mark.row("GEN-53")
@pytest.mark.parametrize("sampler", [ancestral, partial(ancestral, variance=forward_variance), ddim, partial(ddim, eta=1.0), dpm_solver])
def test_best_denoiser_samples_the_data(sampler):
    """1,000 steps from N(0, 1) with the exact denoiser: mean and variance of the data within four standard errors."""
    torch.manual_seed(0)
    n = 4_000
    x = sampler(best, torch.randn(n, dtype=torch.float64), ABAR, strided(1000, 1000))
    assert abs(x.mean() - MEAN) < 4 * (VARIANCE / n) ** 0.5
    assert abs(x.var() - VARIANCE) < 4 * VARIANCE * (2 / n) ** 0.5


@pytest.mark.row("GEN-53")
@pytest.mark.parametrize("name", ["fixed_small", "fixed_large"])
def test_ancestral_step_equals_diffusers(name):
    """diffusers numbers the times from 0, and splits a step into mean and noise with its own random stream: noise is compared through one seed."""
    theirs = DDPMScheduler(1000, variance_type=name, clip_sample=False)
    variance = {"fixed_small": posterior_variance, "fixed_large": forward_variance}[name]
    x_t, eps = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    for t in (1000, 600, 2, 1):
        expected = theirs.step(eps, t - 1, x_t, generator=torch.manual_seed(1)).prev_sample
        torch.manual_seed(1)
        ours = ancestral(from_noise(eps), x_t, ABAR.float(), torch.tensor([t, t - 1]), variance=variance)
        torch.testing.assert_close(ours, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_equals_diffusers_along_a_whole_chain(eta):
    theirs = DDIMScheduler(1000, clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=True)
    theirs.set_timesteps(20)
    times = strided(1000, 20)
    assert [t - 1 for t in times[:-1].tolist()] == theirs.timesteps.tolist()
    x, eps = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    torch.manual_seed(2)
    ours = ddim(from_noise(eps), x, ABAR.float(), times, eta=eta)
    torch.manual_seed(2)
    for t in theirs.timesteps:
        x = theirs.step(eps, t, x, eta=eta).prev_sample
    torch.testing.assert_close(ours, x, atol=1e-3, rtol=1e-4)


def test_dpm_solver_equals_diffusers_along_a_whole_chain():
    theirs = DPMSolverMultistepScheduler(1000, beta_schedule="linear", beta_start=1e-4, timestep_spacing="trailing", final_sigmas_type="zero")
    theirs.set_timesteps(10)
    x, eps = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    ours = dpm_solver(from_noise(eps), x, ABAR.float(), strided(1000, 10))
    for t in theirs.timesteps:
        x = theirs.step(eps, t, x).prev_sample
    torch.testing.assert_close(ours, x, atol=1e-3, rtol=1e-4)


def from_noise(eps):
    """The denoiser of a net that answers eps to everything."""
    return lambda x_t, t: (x_t - (1 - ABAR[t]).sqrt().float().view(-1, 1, 1, 1) * eps) / ABAR[t].sqrt().float().view(-1, 1, 1, 1)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_ddim_with_eta_one_is_the_ancestral_sampler(steps):
    x, times = torch.randn(64, dtype=torch.float64), strided(1000, steps)
    torch.manual_seed(3)
    a = ancestral(best, x, ABAR, times)
    torch.manual_seed(3)
    torch.testing.assert_close(ddim(best, x, ABAR, times, eta=1.0), a, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (dpm_solver, 2)])
def test_deterministic_samplers_converge_to_the_exact_map_of_the_ordinary_differential_equation(sampler, order):
    """For Gaussian data the equation carries x_T to sqrt(abar_s) m + (x_T - sqrt(abar_T) m) sqrt(v_s / v_T), v_t = abar_t v + 1 - abar_t."""
    x, end = torch.linspace(-2, 2, 9, dtype=torch.float64), 200
    v = ABAR * VARIANCE + 1 - ABAR
    exact = ABAR[end].sqrt() * MEAN + (x - ABAR[-1].sqrt() * MEAN) * (v[end] / v[-1]).sqrt()
    error = [(sampler(best, x, ABAR, torch.arange(1000, end - 1, -stride)) - exact).abs().max() for stride in (20, 10, 5)]
    for coarse, fine in pairwise(error):
        assert 0.8 * 2**order < coarse / fine < 1.25 * 2**order


def test_ddim_encodes_and_decodes():
    x = torch.linspace(-0.5, 2, 9, dtype=torch.float64)
    latent = ddim(best, x, ABAR, torch.arange(1, 1001))
    torch.testing.assert_close(ddim(best, latent, ABAR, strided(1000, 1000)), x, atol=0.02, rtol=0)


def test_samplers_draw_no_gradient():
    weight = torch.ones((), requires_grad=True)
    for sampler in (ancestral, ddim, dpm_solver):
        assert not sampler(lambda x, t: weight * x, torch.randn(2, 1), cosine_schedule(10).float(), strided(10, 10)).requires_grad


@pytest.mark.parametrize("sampler", [ancestral, ddim, partial(ddim, eta=1.0), dpm_solver])
def test_times_are_where_the_examples_are(sampler):
    def denoise(x, t):
        assert t.device == x.device
        assert t.shape == (3,)
        return x

    assert sampler(denoise, torch.randn(3, 2, device="meta"), ABAR, strided(1000, 4)).device.type == "meta"


@pytest.mark.parametrize("sampler", [ancestral, ddim, partial(ddim, eta=1.0), dpm_solver])
@pytest.mark.parametrize("times", [[5, 5, 0], [5, 9, 0], [1001, 0], [5, -1], [0, 5]])
def test_times_that_do_not_lead_back_are_refused(sampler, times):
    with pytest.raises(ValueError, match=r"expected times that fall( or rise)? within 0 ... 1000 and do not begin at 0, got"):
        sampler(best, torch.zeros(1), ABAR, torch.tensor(times))


def test_only_a_deterministic_step_goes_forward():
    for sampler in (ancestral, partial(ddim, eta=0.5), dpm_solver):
        with pytest.raises(ValueError, match="expected times that fall within"):
            sampler(best, torch.zeros(1), ABAR, torch.tensor([1, 2]))
    for eta in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"expected eta in \[0, 1\], got"):
            ddim(best, torch.zeros(1), ABAR, torch.tensor([2, 1]), eta=eta)
