"""The noise-conditional score of Gaussian data, and chains that find the weights of far modes."""

import math

import pytest
import torch
from torch import nn

from deepcanon.diffusion.annealed import annealed_langevin, geometric
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.nets.resmlp import ResidualMLP

MEAN, VARIANCE = 0.3, 0.25
SIGMAS = geometric(5.0, 0.1, 8)


class BestNet(nn.Module):
    """What an NCSN's net would answer for data N(MEAN, VARIANCE): sigma (x - m) / (v + sigma^2)."""

    def forward(self, x, tau):
        sigma = (SIGMAS[-1].log() + tau / 1000 * (SIGMAS[0] / SIGMAS[-1]).log()).exp().view(-1, *[1] * (x.ndim - 1))
        x = x * (1 + sigma**2).sqrt()
        return sigma * (x - MEAN) / (VARIANCE + sigma**2)


def points(n):
    return MEAN + VARIANCE**0.5 * torch.randn(n, 3)


@pytest.mark.row("GEN-49")
def test_the_best_score_and_its_loss_have_their_closed_forms():
    """s = -(x - m) / (v + sigma^2); the loss there is v / (v + sigma^2) a dimension, averaged over the levels."""
    model = NCSN(BestNet(), (3,), sigmas=SIGMAS, bounded=False)
    x, sigma = torch.randn(8, 3), SIGMAS
    torch.testing.assert_close(model.score(x, sigma), -(x - MEAN) / (VARIANCE + sigma[:, None] ** 2), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.denoise(x, sigma), (sigma[:, None] ** 2 * MEAN + VARIANCE * x) / (VARIANCE + sigma[:, None] ** 2))
    losses = model.errors(points(100_000)).mean(1)
    best = (VARIANCE / (VARIANCE + SIGMAS**2)).mean()
    assert abs(losses.mean() - best) < 4 * losses.std() / math.sqrt(100_000)


@pytest.mark.row("GEN-49")
def test_a_trained_net_comes_within_five_percent_of_the_best_loss():
    model = NCSN(ResidualMLP((3,), width=32, num_layers=1, time_dim=16), (3,), sigmas=SIGMAS, bounded=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 500)
        optimizer.zero_grad()
        model.loss((points(256),)).backward()
        optimizer.step()
    with torch.no_grad():
        torch.manual_seed(1)
        x = points(20_000)
        torch.manual_seed(2)
        learned = model.errors(x).mean()
        torch.manual_seed(2)
        best = NCSN(BestNet(), (3,), sigmas=SIGMAS, bounded=False).errors(x).mean()
    assert learned < 1.05 * best


@pytest.mark.row("GEN-49")
def test_the_loss_is_the_mean_squared_error_of_the_noise_of_centred_images():
    model, x = NCSN(BestNet(), (1, 2, 2), sigmas=SIGMAS), torch.rand(6, 1, 2, 2)
    torch.manual_seed(1)
    loss, measured = model.loss((x,)), model.metrics((x,))["noise_error"]
    torch.manual_seed(1)
    for value in (loss, measured):
        sigma, z = SIGMAS[torch.randint(8, (6,))].view(-1, 1, 1, 1), torch.randn_like(x)
        error = (z - sigma * (2 * x - 1 + sigma * z - MEAN) / (VARIANCE + sigma**2)).square()
        torch.testing.assert_close(
            value, error.mean() if value is loss else error.mean((1, 2, 3)), atol=1e-5, rtol=1e-4
        )


@pytest.mark.row("GEN-49", "GEN-50")
@pytest.mark.parametrize("bounded", [False, True])
def test_samples_start_from_the_largest_level_and_are_images_where_bounded(bounded):
    model = NCSN(BestNet(), (3,), sigmas=SIGMAS, bounded=bounded)
    torch.manual_seed(1)
    x = model.sample(50)
    torch.manual_seed(1)
    y = annealed_langevin(model.denoise, 5 * torch.randn(50, 3), SIGMAS)
    torch.testing.assert_close(x, ((y + 1) / 2).clamp(0, 1) if bounded else y)


@pytest.mark.row("GEN-50")
def test_the_last_step_is_the_denoisers_estimate():
    """On a denoiser that halves its input, without noise: x (1 - eps / 4)^n / 2 after n steps."""
    x, end = torch.ones(2, 3), 0.5 * (1 - 0.2 / 4) ** 12
    levels = torch.tensor([1e-9, 5e-10, 1e-10])
    torch.testing.assert_close(
        annealed_langevin(lambda x, sigma: x / 2, x, levels, steps=4, step_size=0.2), torch.full((2, 3), end)
    )


@pytest.mark.row("GEN-50")
def test_a_step_in_the_noise_is_a_langevin_step_along_the_score():
    """x - (eps / 2) sigma eps_theta + sqrt(eps) sigma z equals x + (h) s + sqrt(2 h) z with h = eps sigma^2 / 2."""
    model, x, sigma, eps = NCSN(BestNet(), (3,), sigmas=SIGMAS, bounded=False), torch.randn(4, 3), SIGMAS[2:3], 0.3
    seen = []
    torch.manual_seed(3)
    annealed_langevin(lambda x, s: (seen.append(x), model.denoise(x, s))[1], x, sigma, steps=1, step_size=eps)
    torch.manual_seed(3)
    h = eps * sigma**2 / 2
    expected = x + h * model.score(x, sigma.expand(4)) + (2 * h).sqrt() * torch.randn_like(x)
    torch.testing.assert_close(seen[1], expected, atol=1e-5, rtol=1e-5)


def two_gaussians(x, sigma):
    """E[x_0 | x] of 0.8 N(-4, 1/4) + 0.2 N(4, 1/4)."""
    variance = 0.25 + sigma**2
    log_weight = torch.stack([math.log(0.8) - (x + 4).square() / (2 * variance), math.log(0.2) - (x - 4).square() / (2 * variance)])
    means = torch.stack([-4 + 0.25 / variance * (x + 4), 4 + 0.25 / variance * (x - 4)])
    return (log_weight.softmax(0) * means).sum(0)


@pytest.mark.row("GEN-50")
def test_annealed_chains_find_the_weights_of_far_modes_and_plain_ones_do_not():
    n = 2_000
    annealed = annealed_langevin(two_gaussians, 20 * torch.randn(n), geometric(20.0, 0.1, 30), steps=8)
    plain = annealed_langevin(two_gaussians, torch.randn(n), torch.tensor([0.1]), steps=240)
    assert abs((annealed < 0).float().mean() - 0.8) < 0.05
    assert abs((plain < 0).float().mean() - 0.8) > 0.15


def test_samples_are_images_and_leave_no_gradient():
    model = NCSN(ResidualMLP((1, 4, 4), width=16, num_layers=1, time_dim=8), (1, 4, 4), sigmas=SIGMAS)
    x = model.sample(5)
    assert x.shape == (5, 1, 4, 4)
    assert 0 <= x.min() <= x.max() <= 1
    assert not x.requires_grad


@pytest.mark.row("GEN-50")
def test_geometric_levels_have_one_ratio():
    levels = geometric(10.0, 0.01, 4)
    torch.testing.assert_close(levels, torch.tensor([10.0, 1.0, 0.1, 0.01]))


@pytest.mark.parametrize(("sigmas", "message"), [
    ([1.0, 0.1], "does not begin in noise: its largest level is 1"), ([5.0, 5.0], "that fall and stay"), ([5.0, -1.0], "stay above 0"),
    ([5.0, float("nan"), 1.0], "expected finite values|stay above 0"), ([float("inf"), 1.0], "expected finite values|stay above 0")])
def test_levels_that_are_no_schedule_are_refused(sigmas, message):
    with pytest.raises(ValueError, match=message):
        NCSN(nn.Identity(), (1,), sigmas=torch.tensor(sigmas))
    if "begin" not in message:
        with pytest.raises(ValueError, match=message):
            annealed_langevin(two_gaussians, torch.zeros(1), torch.tensor(sigmas))


def test_values_outside_the_unit_interval_are_refused():
    model = NCSN(nn.Identity(), (1, 2, 2), sigmas=SIGMAS)
    with pytest.raises(ValueError, match=r"expected values in \[0, 1\], got some from -1 to 2"):
        model.loss((torch.tensor([[[[-1.0, 0.0], [0.5, 2.0]]]]),))


def test_one_level_is_no_schedule():
    with pytest.raises(ValueError, match="expected two noise levels or more"):
        NCSN(nn.Identity(), (1,), sigmas=torch.tensor([5.0]))


@pytest.mark.parametrize("how", [{"steps": 0}, {"step_size": 0.0}, {"step_size": -0.1}])
def test_chains_that_do_not_move_are_refused(how):
    with pytest.raises(ValueError, match="expected one step or more and a step size above 0, got"):
        annealed_langevin(two_gaussians, torch.zeros(1), SIGMAS, **how)


class Lines(nn.Module):
    """A straight line for each of the levels."""

    def __init__(self, levels):
        super().__init__()
        self.slope, self.height = nn.Parameter(torch.zeros(levels)), nn.Parameter(torch.zeros(levels))

    def forward(self, x, tau):
        level = ((1 - tau / 1000) * (len(self.slope) - 1)).round().long()
        return self.slope[level].unsqueeze(1) * x + self.height[level].unsqueeze(1)


@pytest.mark.row("GEN-49")
def test_a_trained_net_has_the_loss_and_the_score_of_every_level():
    """Within 5 % of v / (v + sigma^2) and of -(x - m) / (v + sigma^2), level by level."""
    model = NCSN(Lines(len(SIGMAS)), (3,), sigmas=SIGMAS, bounded=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 600)
        optimizer.zero_grad()
        model.loss((points(2_048),)).backward()
        optimizer.step()
    x, z = points(40_000), torch.randn(40_000, 3)
    with torch.no_grad():
        for sigma in SIGMAS:
            noisy, level = x + sigma * z, sigma.expand(len(x))
            score, right = model.score(noisy, level), -(noisy - MEAN) / (VARIANCE + sigma**2)
            assert (sigma * score + z).square().mean().item() == pytest.approx((VARIANCE / (VARIANCE + sigma**2)).item(), rel=0.05)
            assert (score - right).norm() < 0.05 * right.norm()
