"""What an output means: sums and integrals to one, closed forms, and draws."""

import math

import pytest
import torch

from deepcanon.autoregressive.pixels import Continuous, LogisticMixture, Softmax, beta, kumaraswamy, logit_normal
from deepcanon.layers.likelihoods import Beta, Kumaraswamy, LogitNormal

LEVELS = torch.arange(256, dtype=torch.float64) / 255
DENSITIES = [beta, kumaraswamy, logit_normal]


@pytest.mark.row("GEN-33")
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_a_mixture_of_logistics_sums_to_one_over_256_levels(spread):
    likelihood = LogisticMixture(1, 5)
    output = spread * torch.randn(7, 1, likelihood.size, dtype=torch.float64)
    p = likelihood.log_prob(output.expand(-1, 256, -1), LEVELS.view(1, 256, 1).expand(7, -1, -1)).exp()
    torch.testing.assert_close(p.sum(1), torch.ones(7, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.row("GEN-33")
def test_a_component_of_tiny_scale_is_one_level():
    likelihood = LogisticMixture(1, 1)
    output = torch.tensor([0.0, 77 / 255 - 0.5, -9.0], dtype=torch.float64).expand(256, -1)
    p = likelihood.log_prob(output, LEVELS[:, None]).exp()
    torch.testing.assert_close(p, (torch.arange(256) == 77).double(), atol=0.01, rtol=0)
    assert (likelihood.sample(output) == LEVELS[77]).double().mean() > 0.95


@pytest.mark.row("GEN-33")
def test_a_mixture_of_logistics_is_differences_of_distribution_functions():
    likelihood = LogisticMixture(1, 3)
    log_pi, loc, log_scale = torch.randn(3, 3, dtype=torch.float64)
    edges = torch.cat([torch.tensor([-math.inf]).double(), (LEVELS[1:] + LEVELS[:-1]) / 2, torch.tensor([math.inf]).double()])
    cdf = torch.sigmoid((edges[:, None] - loc - 0.5) / (log_scale - 2).exp())     # (257, 3)
    expected = (cdf.diff(dim=0) * log_pi.softmax(0)).sum(1)
    output = torch.stack([log_pi, loc, log_scale], 1).flatten().expand(256, -1)
    torch.testing.assert_close(likelihood.log_prob(output, LEVELS[:, None]).exp(), expected, atol=1e-12, rtol=1e-9)


@pytest.mark.row("GEN-33")
def test_channels_of_a_mixture_move_the_centres_of_later_ones():
    likelihood = LogisticMixture(3, 2)
    x = LEVELS[torch.randint(256, (4, 3))]
    _, loc, _, slope = likelihood.parameters_of(torch.randn(4, likelihood.size, dtype=torch.float64))
    for m in range(2):
        torch.testing.assert_close(likelihood.centre(loc, slope, x[:, None], 1)[:, m], loc[:, m, 1] + slope[:, m, 0] * x[:, 0])
        blue = loc[:, m, 2] + slope[:, m, 1] * x[:, 0] + slope[:, m, 2] * x[:, 1]
        torch.testing.assert_close(likelihood.centre(loc, slope, x[:, None], 2)[:, m], blue)


@pytest.mark.row("GEN-28", "GEN-33")
@pytest.mark.parametrize("likelihood", [Softmax(2, 3), LogisticMixture(2, 2, 3)], ids=["softmax", "logistic mixture"])
def test_draws_of_two_channels_follow_the_joint_probabilities(likelihood):
    for table in likelihood.parameters():
        torch.nn.init.normal_(table)
    output, n = torch.randn(likelihood.size), 60_000
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    with torch.no_grad():
        p = likelihood.log_prob(output.expand(9, -1), pairs / 2).exp()
        drawn = (likelihood.sample(output.expand(n, -1)) * 2).round().long()
    count = (drawn[:, 0] * 3 + drawn[:, 1]).bincount(minlength=9)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert ((count - n * p).square() / (n * p)).sum() < 30                       # chi-square of 8 degrees: 0.9998


@pytest.mark.row("GEN-34")
@pytest.mark.parametrize("density", DENSITIES)
def test_densities_integrate_to_one(density):
    a, b = torch.tensor([[0.7, 1.2, 0.0], [1.0, 0.3, 0.0]], dtype=torch.float64)
    z = torch.linspace(-40, 40, 20_001, dtype=torch.float64)[:, None]            # x = s(z), dx = x (1 - x) dz
    x = torch.sigmoid(z).clamp(1e-15, 1 - 1e-15)
    mass = torch.trapezoid(density(a, b).log_prob(x).exp() * x * (1 - x), z, dim=0)
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-6, rtol=0)


@pytest.mark.row("GEN-34")
def test_closed_forms_of_the_densities():
    x = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    a, b = torch.tensor(2.3).double(), torch.tensor(0.8).double()
    torch.testing.assert_close(Beta(a, b).log_prob(x), torch.distributions.Beta(a, b).log_prob(x))
    torch.testing.assert_close(Kumaraswamy(a, b).log_prob(x), torch.distributions.Kumaraswamy(a, b).log_prob(x))
    torch.testing.assert_close(Kumaraswamy(a / a, b / b).log_prob(x), torch.zeros_like(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(Beta(a / a, b / b).log_prob(x), torch.zeros_like(x), atol=1e-12, rtol=0)
    by_change = torch.distributions.TransformedDistribution(torch.distributions.Normal(a, b), torch.distributions.SigmoidTransform())
    torch.testing.assert_close(LogitNormal(a, b).log_prob(x), by_change.log_prob(x))


@pytest.mark.row("GEN-34")
@pytest.mark.parametrize("density", DENSITIES)
def test_draws_of_the_densities_have_their_moments(density):
    p = density(torch.tensor(0.5).double(), torch.tensor(-0.2).double())
    z = torch.linspace(-40, 40, 20_001, dtype=torch.float64)
    x, n = torch.sigmoid(z).clamp(1e-15, 1 - 1e-15), 40_000
    weight = p.log_prob(x).exp() * x * (1 - x)
    mean, square = (torch.trapezoid(weight * f, z) for f in (x, x.square()))
    drawn = p.sample((n,))
    assert (drawn.mean() - mean).abs() < 4.5 * drawn.std() / math.sqrt(n)
    assert (drawn.square().mean() - square).abs() < 4.5 * drawn.square().std() / math.sqrt(n)


@pytest.mark.row("GEN-34")
@pytest.mark.parametrize("density", DENSITIES)
def test_a_level_has_the_part_of_the_density_that_is_nearest_to_it(density):
    likelihood, n = Continuous(density, levels=4), 40_000
    output = torch.tensor([0.4, -0.3], dtype=torch.float64)
    grid = (torch.arange(4_000, dtype=torch.float64) + 0.5) / 4_000
    part = density(*output).log_prob(grid).exp().view(4, 1_000).mean(1) / 4
    drawn = (likelihood.sample(output.expand(n, -1)) * 3).round().long().flatten().bincount(minlength=4) / n
    torch.testing.assert_close(drawn.double(), part, atol=4.5 * 0.5 / math.sqrt(n) + 0.01, rtol=0)
    bound = likelihood.log_prob(output.expand(2_000, 4, -1), (torch.arange(4).double() / 3).view(4, 1).expand(2_000, -1, -1)).mean(0)
    log_inside = density(*output).log_prob(grid).view(4, 1_000).mean(1) - math.log(4)
    torch.testing.assert_close(bound, log_inside, atol=0.12, rtol=0)
    assert (log_inside <= part.log()).all()


@pytest.mark.row("GEN-33", "GEN-34")
@pytest.mark.parametrize("density", DENSITIES)
def test_the_highest_level_lies_inside_the_density(density):
    likelihood, white = Continuous(density), torch.ones(400_000, 1)
    assert likelihood.log_prob(torch.zeros(1, 2).expand(400_000, 2), white).isfinite().all()
