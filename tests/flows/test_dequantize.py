"""Discrete levels under a density: the bound, against sums that can be done; and what is refused."""

import math

import pytest
import torch
from torch import nn

from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Chain, Flow, Logit
from deepcanon.flows.nice_flow import Scaling


class Uniform(nn.Module):
    """A transform of numbers in (0, 1) to N(0, 1) by the normal quantile: its flow is the uniform density."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, u):
        z = torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))
        return z, (0.5 * z.square() + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)

    def inverse(self, z):
        return torch.special.ndtr(z), -(0.5 * z.square() + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def four_levels(n: int = 64) -> torch.Tensor:
    return torch.randint(4, (n, 1, 4, 4)).double() / 3


def test_a_uniform_density_costs_the_logarithm_of_the_levels():
    method, x = Dequantized(Flow(Uniform().double(), (1, 4, 4)), UniformNoise(), levels=4), four_levels()
    torch.testing.assert_close(method.bits_per_dim(x), torch.full((64,), 2.0, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(method.metrics((x,))["bits_per_dim"].mean(), torch.tensor(2.0).double(), atol=1e-3, rtol=0)


@pytest.mark.row("GEN-36")
def test_probabilities_of_all_levels_sum_to_one_and_the_bound_lies_below_them():
    """One number, four levels, z = s logit(u): P(v) is a difference of normal distribution functions."""
    flow = Flow(Chain(Logit(0.0), Scaling((1,))), (1,)).double()
    flow.transform.transforms[1].s.data.fill_(0.3)
    method = Dequantized(flow, UniformNoise(), levels=4)
    edges = torch.linspace(0, 1, 5, dtype=torch.float64).logit() * math.exp(0.3)
    exact = torch.special.ndtr(edges).diff().log()
    x = (torch.arange(4.0).double() / 3).repeat(20_000)[:, None]
    with torch.no_grad():
        bounds, tighter = (method.log_prob(x, samples).view(-1, 4) for samples in (1, 10))
    error = 4 * bounds.std(0) / math.sqrt(len(bounds))
    assert (bounds.mean(0) <= exact + error).all()
    assert (tighter.mean(0) <= exact + error).all()
    assert (tighter.mean(0) > bounds.mean(0)).all()
    torch.testing.assert_close(bounds.logsumexp(0) - math.log(20_000), exact, atol=0.02, rtol=0)
    assert abs(bounds.exp().mean(0).sum() - 1) < 0.02


def test_learned_noise_has_the_density_it_says():
    """E_q[1 / q(n)] over the unit cube is its volume, 1; here for one number, by a histogram: q's mass in each tenth."""
    noise = VariationalNoise(noise_couplings((1, 1, 1), width=4, num_layers=2)).double()
    for p in noise.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.full((40_000, 1, 1, 1), 0.5, dtype=torch.float64)
    with torch.no_grad():
        n, log_q = noise(x)
    inside = (n.flatten() > 0.2) & (n.flatten() < 0.8)
    volume = torch.where(inside, (-log_q).exp(), 0.0)
    assert ((n > 0) & (n < 1)).all()
    assert abs(volume.mean() - 0.6) < 4 * volume.std() / math.sqrt(len(volume))


def test_learned_noise_makes_the_bound_tighter():
    """Data at one level under a Gaussian in the middle of its cell: uniform noise costs what its corners are worth."""
    def trained(noise: nn.Module) -> float:
        torch.manual_seed(0)
        flow = Flow(Chain(Logit(), Scaling((1, 2, 2))), (1, 2, 2))
        method, x = Dequantized(flow, noise, levels=3), torch.full((64, 1, 2, 2), 0.5)
        optimizer = torch.optim.Adam(method.parameters(), 5e-2)
        for _ in range(80):
            optimizer.zero_grad()
            method.loss((x,)).backward()
            optimizer.step()
        return torch.stack([method.loss((x,)).detach() for _ in range(5)]).mean().item()

    uniform, learned = trained(UniformNoise()), trained(VariationalNoise(noise_couplings((1, 2, 2), width=8)))
    assert 0.2 < uniform < 0.3                                                  # log2 sqrt(pi e / 6) = 0.254
    assert -0.01 < learned < uniform - 0.1


def test_samples_lie_on_the_levels():
    x = Dequantized(Flow(Uniform(), (1, 4, 4)), UniformNoise(), levels=4).sample(50)
    assert (x * 3).round().div(3).sub(x).abs().max() < 1e-6
    assert x.unique().numel() == 4


@pytest.mark.parametrize(("x", "message"), [
    (torch.full((2, 1, 4, 4), 1.5), r"expected values in \[0, 1\], got some from 1.5 to 1.5$"),
    (torch.full((2, 1, 4, 4), -0.1), r"got some from -0.1 to -0.1$"),
    (torch.full((2, 1, 4, 4), 0.5), r"expected values on the 4 levels 0, 1/3, \.\.\., 1, got others between"),
    (torch.full((2, 1, 4, 4), float("nan")), "expected finite values, got 32 of 32"),
])
def test_other_values_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        Dequantized(Flow(Uniform(), (1, 4, 4)), UniformNoise(), levels=4).log_prob(x)


def test_one_level_is_refused():
    with pytest.raises(ValueError, match="expected 2 levels or more, got 1"):
        Dequantized(Flow(Uniform(), (1, 4, 4)), UniformNoise(), levels=1)
