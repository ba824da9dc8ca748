"""The stochastic and the ordinary equation on Gaussian data, where marginals and densities are known."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from deepcanon.diffusion.ddpm import data, noise
from deepcanon.diffusion.divergence import exact, hutchinson
from deepcanon.diffusion.score_sde import ScoreSDE, marginal
from deepcanon.diffusion.sde import heun, log_prob, predictor_corrector, reverse_sde, ve, vp
from deepcanon.nets.resmlp import ResidualMLP

MEAN, VARIANCE = 0.5, 0.16
careful = partial(predictor_corrector, snr=0.05)                                 # whose own Langevin bias is far below 2 %
KINDS = {"vp": vp(), "ve": ve(0.01, 50.0)}


def best(sde):
    """E[x_0 | x_t] for data N(MEAN, VARIANCE) in every dimension."""

    def denoise(x, t):
        a, s = (f(t).view(-1, *[1] * (x.ndim - 1)) for f in (sde.scale, sde.noise))
        return MEAN + VARIANCE * a / (VARIANCE * a**2 + s**2) * (x - a * MEAN)

    return denoise


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("kind", KINDS)
def test_drift_and_diffusion_are_those_of_the_marginals(kind):
    """f = (log a)' and g^2 = (s^2)' - 2 f s^2."""
    sde, t = KINDS[kind], torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    slope_a = torch.func.vmap(torch.func.grad(lambda t: sde.scale(t).log()))(t)
    slope_s = torch.func.vmap(torch.func.grad(lambda t: sde.noise(t) ** 2))(t)
    torch.testing.assert_close(sde.drift(t), slope_a)
    torch.testing.assert_close(sde.diffusion(t), slope_s - 2 * slope_a * sde.noise(t) ** 2)


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", [reverse_sde, heun, careful])
def test_samples_end_at_the_mean_and_the_variance_of_the_data(sampler, kind):
    """Within 2 %, of 40,000 draws, whose own error is below 1 %."""
    sde, x = KINDS[kind], torch.randn(40_000, 1, dtype=torch.float64)
    steps = {reverse_sde: 600, heun: 200, careful: 300}[sampler]
    x = sampler(best(sde), sde.noise(torch.ones(())) * x, sde, sde.times(steps).flip(0))
    assert abs(x.mean() - MEAN) < 0.02 * MEAN
    assert abs(x.var() - VARIANCE) < 0.02 * VARIANCE + 1e-4                      # the variance of the noise that is left at the last time


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("kind", KINDS)
def test_the_flow_is_deterministic_and_invertible(kind):
    sde, x = KINDS[kind], torch.linspace(-1, 2, 9, dtype=torch.float64).unsqueeze(1)
    times = sde.times(100)
    latent = heun(best(sde), x, sde, times)
    assert torch.equal(latent, heun(best(sde), x, sde, times))
    torch.testing.assert_close(heun(best(sde), latent, sde, times.flip(0)), x, atol=1e-3, rtol=0)


@pytest.mark.row("GEN-54")
def test_the_solver_is_of_second_order():
    """For Gaussian data the flow carries x to a(1) m + (x - a m) sqrt(v_1 / v_0), v_t = a^2 v + s^2."""
    sde, x = vp(), torch.linspace(-1, 2, 9, dtype=torch.float64).unsqueeze(1)
    t = torch.tensor([1e-3, 1.0], dtype=torch.float64)
    a, v = sde.scale(t), sde.scale(t) ** 2 * VARIANCE + sde.noise(t) ** 2
    right = a[1] * MEAN + (x - a[0] * MEAN) * (v[1] / v[0]).sqrt()
    errors = [(heun(best(sde), x, sde, sde.times(steps)) - right).abs().max() for steps in (40, 80, 160)]
    for coarse, fine in pairwise(errors):
        assert 3 < coarse / fine < 5.5


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_is_the_gaussians_own(kind):
    sde, x = KINDS[kind], MEAN + 0.4 * torch.randn(20, 3, dtype=torch.float64)
    ours = log_prob(best(sde), x, sde, sde.times(400), divergence=exact)
    variance = VARIANCE + sde.noise(torch.tensor(1e-3)).item() ** 2
    right = (-(x - MEAN).square() / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)).sum(1)
    forgotten = MEAN * sde.scale(torch.ones(())).item() / sde.noise(torch.ones(())).item()   # the mean at t = 1, in deviations, that the prior lacks
    torch.testing.assert_close(ours, right, atol=4 * 3**0.5 * forgotten + 0.005, rtol=0)
    estimate = log_prob(best(sde), x, sde, sde.times(400), divergence=hutchinson)
    torch.testing.assert_close(estimate, ours, atol=1e-6, rtol=0)                # exact where the Jacobian is diagonal


class Zero(nn.Module):
    """A net that answers 0; it has a parameter, as nets do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, t):
        return self.weight * x


class Same(Zero):
    """A net that answers its input; it can tell the times that it is asked for."""

    def forward(self, x, t):
        self.seen = t
        return x + self.weight

    def times(self, model, x, t):
        model.answer(x, t)
        return self.seen


def tiny(**options):
    return ScoreSDE(ResidualMLP((1, 4, 4), width=16, num_layers=1, time_dim=8), (1, 4, 4), levels=17, steps=8, **options)


def pixels(n, levels=17):
    return torch.randint(levels, (n, 1, 4, 4)) / (levels - 1)


@pytest.mark.row("GEN-54")
def test_bits_are_counted_for_a_level_of_the_pixel():
    """With velocity 0 the VP flow stands still, x_0 hat = a x, and every y has the density N(0, I): all in closed form."""
    model, x = ScoreSDE(Zero(), (1, 4, 4), levels=17, steps=4), pixels(6)
    torch.manual_seed(1)
    bits = model.bits_per_dim(x)
    torch.manual_seed(1)
    y = model.dequantise(x)
    nats = torch.distributions.Normal(0, 1).log_prob(y).flatten(1).sum(1)
    torch.testing.assert_close(bits, -nats / (16 * math.log(2)) - 1 + math.log2(17), atol=1e-3, rtol=0)


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_loss_is_the_mean_squared_error_of_the_noise(power):
    """VE, s = 0.01 * 5000^t: the answer of the net is its input, x_t / sqrt(1 + s^2): the error is known."""
    model, x = (
        ScoreSDE(Same(), (1, 4, 4), levels=17, sde=ve(0.01, 50.0), predict=noise, power=power),
        pixels(6),
    )
    torch.manual_seed(1)
    loss, measured = model.loss((x,)), model.metrics((x,))["simple_loss"]
    torch.manual_seed(1)
    for value, p in ((loss, power), (measured, 1.0)):
        y = 2 * (16 * x + torch.rand_like(x)) / 17 - 1
        u = (torch.rand(1) + torch.arange(6) / 6).frac()
        eps, t = torch.randn_like(x), (0.001 + 0.999 * u**p).view(-1, 1, 1, 1)
        s = 0.01 * 5000**t
        error = (eps - (y + s * eps) / (1 + s**2).sqrt()).square()
        torch.testing.assert_close(
            value, error.mean() if value is loss else error.mean((1, 2, 3)), atol=1e-5, rtol=1e-4
        )
    times = torch.tensor([0.2, 0.7])
    torch.testing.assert_close(model.net.times(model, x[:2], times), 1000 * times)


@pytest.mark.row("GEN-54")
def test_images_are_the_levels_of_the_cells_in_which_the_flow_ends():
    """With velocity 0 the VP flow stands still, so that it ends and begins at the same points."""
    model = ScoreSDE(Zero(), (1, 4, 4), levels=17, steps=4)
    torch.manual_seed(1)
    x = model.sample(40)
    torch.manual_seed(1)
    y = model.sde.noise(torch.ones(())) * torch.randn(40, 1, 4, 4)
    torch.testing.assert_close(x, ((y + 1) * 17 / 2).floor().clamp(0, 16) / 16)
    torch.manual_seed(1)
    latent = model.encode(x)
    torch.manual_seed(1)
    torch.testing.assert_close(latent, model.dequantise(x), atol=1e-3, rtol=0)


@pytest.mark.row("GEN-54")
def test_the_equation_is_checked_at_its_own_variances():
    a2, s2 = marginal(vp(0.1, 20.0))
    t = torch.linspace(1e-3, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(a2, (-0.1 * t - 19.9 * t**2 / 2).exp())
    torch.testing.assert_close(s2, 1 - a2)


@pytest.mark.row("GEN-54")
def test_dequantised_pixels_fill_their_cells():
    model, x = tiny(), pixels(2_000)
    y = model.dequantise(x)
    assert torch.equal(((y + 1) / 2 * 17).floor() / 16, x)
    assert abs(y.mean()) < 0.02


@pytest.mark.row("GEN-54")
def test_training_spends_its_times_where_the_power_says():
    """u of t = t_0 + (1 - t_0) u^p is spread evenly, one in every n-th of [0, 1]; the measured loss keeps p = 1."""
    model, x, seen = tiny(power=2.0), pixels(50), []
    model.net.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[1] / 1000))
    model.loss((x,)), model.metrics((x,))
    for t, power in zip(seen, (2.0, 1.0)):
        u = ((t - 1e-3) / (1 - 1e-3)) ** (1 / power)
        assert torch.equal((50 * u).floor().sort().values, torch.arange(50.0))
    with pytest.raises(ValueError, match="power of the training times above 0"):
        tiny(power=0.0)


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("sampler", [heun, reverse_sde, predictor_corrector])
def test_samples_have_the_levels_of_the_data(sampler):
    x = tiny(sampler=sampler).sample(3)
    assert x.shape == (3, 1, 4, 4)
    assert ((16 * x) == (16 * x).round()).all()
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize(("x", "message"), [
    (pixels(2) / 2 + 0.01, "expected values on the 17 levels"), (pixels(2) + 1, r"values in \[0, 1\]"),
    (pixels(2)[..., :3], r"expected data of shape \(B, 1, 4, 4\)")])
def test_other_pixels_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        tiny().loss((x,))


@pytest.mark.row("GEN-54")
@pytest.mark.parametrize("sde", [vp(0.1, 1.0), ve(0.01, 0.5), ve(50.0, 0.01), vp(-1.0, -2.0)])
def test_equations_that_do_not_end_in_noise_are_refused(sde):
    with pytest.raises(ValueError, match="the SDE does not lead from data to noise"):
        tiny(sde=sde, predict=noise)


@pytest.mark.row("GEN-54")
def test_velocity_is_for_unit_variance():
    with pytest.raises(ValueError, match="velocity turns data into noise"):
        tiny(sde=ve())
    for predict in (noise, data):
        assert tiny(sde=ve(), predict=predict).loss((pixels(4),)).isfinite()
    assert tiny(sde=vp()).loss((pixels(4),)).isfinite()


@pytest.mark.parametrize("options", [{"levels": 1}, {"steps": 0}])
def test_no_levels_and_no_steps_are_refused(options):
    with pytest.raises(ValueError, match="expected two levels or more and one step or more, got"):
        ScoreSDE(Zero(), (1, 4, 4), **options)
