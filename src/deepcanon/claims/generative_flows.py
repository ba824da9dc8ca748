"""Claims about normalizing flows: volumes, inverses, dimensions and costs."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.claims.curvature import slope
from deepcanon.claims.experiment import Finding, Numbers, below, claim, every, over_seeds
from deepcanon.claims.generative_problems import Calls, train
from deepcanon.flows.flow import Flow
from deepcanon.flows.functional import unchanged
from deepcanon.flows.iaf_flow import InverseAutoregressive
from deepcanon.flows.maf_flow import MaskedAutoregressive
from deepcanon.flows.nice_flow import nice
from deepcanon.flows.realnvp_flow import AffineCoupling, realnvp
from deepcanon.foundations.optimizers import Adam
from deepcanon.nets.made import MADE
from deepcanon.nets.perceptron import mlp


@claim("C-159", answer="no")
def the_prior_of_a_flow_counts() -> Finding:
    """The term log p(z) can be left out when a flow is trained.

    Points of N(0, I) in the plane and couplings with a scaling, 150 steps with the term and without it, five
    seeds: log volume of the map after half of the steps and after all, and the negative log-likelihood at the
    end, whose best value is the entropy 2.84.
    """
    def experiment(seed: int) -> Numbers:
        x, numbers = torch.randn(256, 2), {}
        for name in ("with", "without"):
            flow = Flow(nice(2, hidden=(16,), num_layers=2), (2,))
            optimizer = Adam(flow.parameters(), 0.05)
            for step in range(1, 151):
                loss = flow.loss((x,)) if name == "with" else -flow.mapped(x)[1].mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if step in (75, 150):
                    numbers[f"log_volume_{name}_{step}"] = flow.mapped(x)[1].mean().item()
            numbers[f"log10_nll_{name}"] = math.log10(-flow.log_prob(x).mean().item())
        return numbers

    means, ends = over_seeds(experiment)
    ignored = below(ends["log10_nll_without"], means["log10_nll_with"] + 0.1)
    return Finding(means, ignored, "Without it nothing holds the volume, which grows for ever.", ends)


@claim("C-160", answer="no")
def couplings_take_any_net() -> Finding:
    """A ReLU cannot be used in a coupling of a flow, as the flow has to be bijective.

    Affine couplings of eight numbers whose nets have ReLUs, or are constant, 1,000 points: the largest error
    of the round trip; how far the log-determinant is from that of the Jacobian; and how many of 1,000 points
    the ReLU alone maps to the same point as another.
    """
    x, measured = torch.randn(1000, 8, dtype=torch.float64), {}
    constant = mlp(4, 8, 8)
    nn.init.zeros_(constant.get_parameter("0.weight"))
    for name, net in (("relu", mlp(4, 16, 8)), ("constant", constant)):
        coupling = AffineCoupling(net.double())
        with torch.no_grad():
            z, log_det = coupling(x)
            measured[f"{name}_error"] = (coupling.inverse(z)[0] - x).abs().max().item()
        jacobian = torch.autograd.functional.jacobian(lambda x, f=coupling: f(x[None])[0][0], x[0])
        measured[f"{name}_determinant_gap"] = (torch.linalg.slogdet(jacobian)[1] - log_det[0]).abs().item()
    rows = x[:, :1].relu()
    measured["relu_collisions"] = float(1000 - len(rows.unique()))
    broken = max(measured["relu_error"], measured["constant_error"]) > 1e-9
    return Finding(measured, broken, "The net of a coupling is never inverted: what it read is kept.")


@claim("C-162", answer="yes")
def nice_keeps_volumes() -> Finding:
    """The couplings of NICE leave volumes as they are; those of Real NVP change scales and fit more
    densities.

    Points of N(0, diag(1, 100)), 250 steps of two couplings each, five seeds: negative log-likelihood above
    the entropy for additive couplings without and with the final scaling, and for affine ones; and the bound
    that no map of constant volume can pass, 9 - log 10.
    """
    def experiment(seed: int) -> Numbers:
        x, test = (torch.randn(n, 2) * torch.tensor([1.0, 10.0]) for n in (2000, 5000))
        entropy = math.log(2 * math.pi * math.e) + math.log(10)
        transforms = {"nice": nice(2, hidden=(16,), num_layers=2, scaling=False),
                      "nice_with_scaling": nice(2, hidden=(16,), num_layers=2),
                      "realnvp": realnvp(2, hidden=(16,), num_layers=2)}
        numbers = {}
        for name, transform in transforms.items():
            flow = train(Flow(transform, (2,)), x, steps=250, lr=0.05, seed=seed)
            with torch.no_grad():
                numbers[f"{name}_gap"] = -flow.log_prob(test).mean().item() - entropy
                numbers[f"{name}_log_volume"] = flow.mapped(test)[1].mean().item()
        return numbers

    means, ends = over_seeds(experiment)
    bound = 9 - math.log(10)
    measured = means | {"bound": bound}
    keeps = means["nice_log_volume"] == 0 and means["nice_gap"] > 0.9 * bound
    return Finding(measured, every(keeps, below(ends["realnvp_gap"], 0.5)), intervals=ends)


@claim("C-163", answer="yes")
def determinants_cost_the_cube() -> Finding:
    """Without structure in the Jacobian, its determinant takes O(d^3) operations.

    Slope of log time against log d on one thread, for the determinant of random matrices of 200 to 1,600 rows
    and for the logarithms of the diagonals that triangular ones of 10^5 to 10^6 rows have.
    """
    def general(d: int) -> Callable[[], object]:
        return partial(torch.linalg.slogdet, torch.randn(d, d, dtype=torch.float64))

    def triangular(d: int) -> Callable[[], object]:
        diagonal = torch.rand(d, dtype=torch.float64) + 0.5
        return lambda: diagonal.log().sum()

    measured = {"general_slope": slope(general, (200, 400, 800, 1600), 2),
                "triangular_slope": slope(triangular, (100_000, 200_000, 400_000, 1_000_000), 20)}
    return Finding(measured, measured["general_slope"] > 2 and measured["triangular_slope"] < 1.5)


@claim("C-164", answer="yes")
def one_direction_is_a_pass() -> Finding:
    """The likelihood is the fast direction of an autoregressive flow, so that it trains fast and samples
    slowly; an inverse autoregressive flow does the opposite.

    Eight numbers and one layer of each: calls of its net for a likelihood, as in training, and for a sample.
    """
    measured = {}
    for name, layer in (("autoregressive", MaskedAutoregressive), ("inverse", InverseAutoregressive)):
        net = MADE(8, (16,), num_params=2)
        flow = Flow(layer(net, 8), (8,))
        calls = Calls(net)
        flow.log_prob(torch.randn(4, 8))
        measured[f"{name}_likelihood_calls"], before = calls.count, calls.count
        flow.transform.inverse(flow.noise(4))
        measured[f"{name}_sample_calls"] = calls.count - before
    fast = measured["autoregressive_likelihood_calls"] == measured["inverse_sample_calls"] == 1
    slow = measured["autoregressive_sample_calls"] == measured["inverse_likelihood_calls"] == 8
    return Finding(measured, fast and slow, "A net that keeps its units needs the work of one pass for the "
                   "slow direction, but its steps still follow one another.")


class Projection(nn.Module):
    """The first two of three numbers, posing as an invertible map."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :2], unchanged(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return torch.nn.functional.pad(z, (0, 1)), unchanged(z)


@claim("C-185", answer="yes")
def a_flow_keeps_its_dimension() -> Finding:
    """A flow needs a z of as many dimensions as x.

    Three numbers: the rank of the Jacobian of an affine flow and its numbers of z; whether the library's flow
    refuses a map to two numbers, and the largest error of that map's round trip.
    """
    x, transform = torch.randn(100, 3, dtype=torch.float64), realnvp(3, hidden=(16,)).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: transform(x[None])[0][0], x[0])
    projection, refused = Projection(), 0.0
    try:
        Flow(projection, (2,)).log_prob(x)
    except ValueError:
        refused = 1.0
    measured = {"rank": float(torch.linalg.matrix_rank(jacobian)), "numbers_of_z": float(len(jacobian)),
                "refused": refused,
                "round_trip_error": (projection.inverse(projection(x)[0])[0] - x).abs().max().item()}
    square = measured["rank"] == measured["numbers_of_z"] == 3
    return Finding(measured, square and refused == 1 and measured["round_trip_error"] > 0.1)
