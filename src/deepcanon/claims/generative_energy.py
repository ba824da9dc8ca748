"""Claims about energy-based models and the chains that sample them."""

import math
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, above, below, claim, every, over_seeds
from deepcanon.data.toys import density
from deepcanon.diffusion.annealed import annealed_langevin, geometric
from deepcanon.energy.ebm import EBM
from deepcanon.energy.gibbs_sampling import gaussian, ising
from deepcanon.energy.langevin_dynamics import langevin

STATES = torch.tensor(list(product((-1.0, 1.0), repeat=4)))


def exact_draws(energy, x: Tensor) -> Tensor:
    """As many independent draws of exp(-E) over four spins as there are chains."""
    return STATES[torch.multinomial((-energy(STATES)).softmax(0), len(x), replacement=True)]


class Pairs(nn.Module):
    """E(x) = sum_{i<j} w_ij x_i x_j + c over four spins."""

    def __init__(self, constant: float = 0.0):
        super().__init__()
        self.w, self.constant = nn.Parameter(torch.tensor([0.5, -0.3, 0.2, 0.4, -0.6, 0.1])), constant

    def forward(self, x: Tensor) -> Tensor:
        i, j = torch.triu_indices(4, 4, 1)
        return x[:, i] * x[:, j] @ self.w + self.constant


@claim("C-165", answer="no")
def only_the_gradient_of_log_z_is_estimated() -> Finding:
    """To train an energy-based model, its partition function Z is estimated by Monte Carlo.

    Pairwise energies of four spins, whose Z is a sum of 16 terms, 20,000 draws, five seeds: the relative
    error of the gradient of the library's loss, against that of the exact likelihood; by how much the loss
    changes for the same draws when 5 is added to the energy, and by how much log Z does.
    """
    data = STATES[torch.randint(16, (500,))]

    def loss(seed: int, constant: float) -> tuple[float, Tensor]:
        torch.manual_seed(seed)
        net = Pairs(constant)
        method = EBM(net, lambda n: STATES[torch.randint(16, (n,))], sampler=exact_draws, chains=20_000)
        contrast = method.loss((data.repeat(40, 1),))["loss"]
        return contrast.item(), torch.autograd.grad(contrast, net.w)[0]

    def experiment(seed: int) -> Numbers:
        net = Pairs()
        nll = net(data).mean() + (-net(STATES)).logsumexp(0)
        right = torch.autograd.grad(nll, net.w)[0]
        (value, gradient), (moved, _) = loss(seed, 0.0), loss(seed, 5.0)
        log_z = [(-Pairs(c)(STATES)).logsumexp(0).item() for c in (0.0, 5.0)]
        return {"gradient_error": ((gradient - right).norm() / right.norm()).item(),
                "loss_change": abs(moved - value), "log_z_change": log_z[1] - log_z[0]}

    means, ends = over_seeds(experiment)
    right = below(ends["gradient_error"], 0.1)
    return Finding(means, None if right is not True else means["loss_change"] > 1e-3,
                   "Its gradient is, by draws: grad log Z = -E[grad E].", ends)


@claim("C-166", answer="yes")
def gibbs_always_accepts() -> Finding:
    """Gibbs sampling is Metropolis-Hastings whose proposals are always accepted.

    1,000 states of four spins and of three correlated Gaussian numbers, a new value of each coordinate given
    the others: the largest |log p(x') q(x|x') - log p(x) q(x'|x)|, the logarithm of the ratio that decides;
    and that of spins which are proposed by a fair coin.
    """
    a = torch.randn(4, 4, dtype=torch.float64)
    coupling = (a + a.T) / 2
    coupling, field = coupling - coupling.diagonal().diag(), torch.randn(4, dtype=torch.float64)
    b = torch.randn(3, 3, dtype=torch.float64)
    precision, mean = b @ b.T + torch.eye(3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)

    def log_spins(x: Tensor) -> Tensor:
        return (x @ coupling * x).sum(1) / 2 + x @ field

    def log_gaussian(x: Tensor) -> Tensor:
        return -((x - mean) @ precision * (x - mean)).sum(1) / 2

    def ratio(x: Tensor, log_p, propose) -> float:
        ratios = []
        for i in range(x.shape[1]):
            law, y = propose(x, i), x.clone()                          # the same law there and back
            y[:, i] = law.sample()
            ratios.append(log_p(y) - log_p(x) + law.log_prob(x[:, i]) - law.log_prob(y[:, i]))
        return torch.stack(ratios).abs().max().item()

    spins = 2 * torch.randint(2, (1000, 4)).double() - 1
    numbers = torch.randn(1000, 3, dtype=torch.float64)
    coin = ising(torch.zeros(4, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))
    measured = {"spins": ratio(spins, log_spins, ising(coupling, field)),
                "gaussian": ratio(numbers, log_gaussian, gaussian(mean, precision)),
                "spins_by_a_coin": ratio(spins, log_spins, coin)}
    return Finding(measured, max(measured["spins"], measured["gaussian"]) < 1e-9)


def two_wells(x: Tensor, half: float) -> Tensor:
    """Energy of 0.8 N(-half, 1) + 0.2 N(half, 1), (B, 1) -> (B,)."""
    wells = torch.cat([math.log(0.8) - (x + half).square() / 2, math.log(0.2) - (x - half).square() / 2], 1)
    return -wells.logsumexp(1)


@claim("C-167", answer="yes")
def chains_make_energy_models_slow() -> Finding:
    """What makes energy-based models hard to scale is the slow Monte Carlo in their loss.

    Two wells of weights 0.8 and 0.2, 2 and 6 apart, and the gradient of log Z in a term that tilts them, the
    mean of x, by 4,000 chains from N(0, 1), five seeds: its error in parts of the right value after 10, 100
    and 500 steps of length 0.05, each a pass of the energy and one back.
    """
    def experiment(seed: int) -> Numbers:
        numbers = {}
        for half in (1.0, 3.0):
            x, done, right = torch.randn(4000, 1), 0, -0.6 * half
            for steps in (10, 100, 500):
                x = langevin(partial(two_wells, half=half), x, steps=steps - done, step_size=0.05)
                done = steps
                numbers[f"error_{2 * half:g}_apart_after_{steps}"] = abs(x.mean().item() / right - 1)
        return numbers

    means, ends = over_seeds(experiment)
    slow = every(above(ends["error_2_apart_after_10"], 0.2), above(ends["error_6_apart_after_500"], 0.2),
                 below(ends["error_2_apart_after_500"], 0.1))
    return Finding(means, slow, "The farther the wells, the more steps one gradient takes.", ends)


@claim("C-168", answer="yes")
def annealing_finds_the_weights() -> Finding:
    """Langevin chains hardly cross from mode to mode; annealing the noise helps.

    Two Gaussians in the plane with weights 0.8 and 0.2, 1,000 chains that begin in noise, five seeds: the
    share at the first mode after 300 steps of plain dynamics and after as many that are spread over 20
    falling noise levels, with the exact scores of both; and their distances from 0.8.
    """
    mixture = density("two_gaussians")

    def energy(x: Tensor, sigma: float = 0.0) -> Tensor:
        return -mixture._replace(deviation=math.hypot(mixture.deviation, sigma)).log_prob(x)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(energy(x, sigma[0].item()).sum(), x)
        return x.detach() - sigma[:, None].square() * slope

    def experiment(seed: int) -> Numbers:
        start = 4 * torch.randn(1000, 2)
        plain = langevin(energy, start, steps=300, step_size=0.02)
        annealed = annealed_langevin(denoise, start, geometric(4.0, 0.05, 20), steps=15)
        numbers = {}
        for name, x in (("plain", plain), ("annealed", annealed)):
            share = (x[:, 0] < 0).float().mean().item()
            numbers |= {f"{name}_share": share, f"{name}_distance": abs(share - 0.8)}
        return numbers

    means, ends = over_seeds(experiment)
    helps = every(above(ends["plain_distance"], 0.2), below(ends["annealed_distance"], 0.1))
    return Finding(means, helps, intervals=ends)
