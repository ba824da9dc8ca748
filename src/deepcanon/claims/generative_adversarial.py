"""Claims about the adversarial game: its optimum, its gradients, what it measures and what it does not."""

import itertools
import math
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.autoregressive import AutoregressiveDensity, BernoulliMADE
from deepcanon.claims.experiment import Finding, Numbers, above, claim, every, over_seeds
from deepcanon.claims.generative_problems import play
from deepcanon.claims.problems import descend
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.engine import Adam
from deepcanon.flows.flow import Flow
from deepcanon.foundations.information import jsd
from deepcanon.foundations.optimizers import Adam as PlainAdam, GradientDescent
from deepcanon.gans.game import optimal_discriminator, value
from deepcanon.gans.gan import GAN
from deepcanon.gans.objectives import minimax, non_saturating
from deepcanon.gans.wgan import WGANGP
from deepcanon.layers.linear_map import Linear
from deepcanon.metrics.generation import fid
from deepcanon.vae.vae import VAE


class Shifted(nn.Module):
    """z + b."""

    def __init__(self, start: float):
        super().__init__()
        self.b = nn.Parameter(torch.tensor([start]))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.b


@claim("C-171", answer="no")
def a_converged_discriminator_teaches_nothing() -> Finding:
    """In the training of a GAN the discriminator should be trained to convergence first.

    Data N(5, 1) and a generator at N(-5, 1), a linear discriminator after 10, 100 and 1,000 steps, five
    seeds: the generator's gradient under the minimax loss in parts of that at the start, and under the
    non-saturating one after all steps.
    """
    x = torch.randn(2000, 1) + 5

    def gradient(game: GAN, objective) -> float:
        game.objective = objective
        *_, (_, loss) = game.losses((x,))
        return abs(torch.autograd.grad(loss, game.generator.get_parameter("b"))[0].item())

    def experiment(seed: int) -> Numbers:
        discriminator = Linear(1, 1)
        nn.init.constant_(discriminator.weight, 0.1)
        game, done, numbers = GAN(Shifted(-5.0), discriminator, latent_dim=1), 0, {}
        start = gradient(game, minimax)
        for steps in (10, 100, 1000):
            game.objective = minimax
            rates = {"discriminator": Adam(0.05), "generator": Adam(0.0)}
            play(game, x, rates, steps=steps - done, seed=seed)
            done, numbers[f"left_after_{steps}"] = steps, gradient(game, minimax) / start
        return numbers | {"left_non_saturating": gradient(game, non_saturating) / start}

    means, ends = over_seeds(experiment)
    learns = above(ends["left_after_1000"], 0.1)
    return Finding(means, learns, "Both players are trained together; what vanishes is the minimax loss's "
                   "gradient.", ends)


@claim("C-172", answer="no")
def jensen_shannon_collapses_too() -> Finding:
    """Minimizing the Jensen-Shannon divergence in place of KL keeps a single normal from collapsing to one
    mode of a target of several.

    One Gaussian fitted to half N(-a, 1) and half N(a, 1), a = 3 and 5, by descent on the divergence on a grid
    of 1,201 points, from a wide start in the middle and from a mode: the divergence at both ends, and the
    mean at the better one.
    """
    grid = torch.linspace(-30, 30, 1201, dtype=torch.float64)

    def normal(mean: Tensor | float, deviation: Tensor | float) -> Tensor:
        return torch.softmax(-((grid - mean) / deviation).square() / 2, 0)

    measured = {}
    for a in (3.0, 5.0):
        target, ends = (normal(-a, 1.0) + normal(a, 1.0)) / 2, []

        def divergence(theta: Tensor, target=target) -> Tensor:
            return jsd(target, normal(theta[0], theta[1].exp()))

        for name, start in (("wide", (0.1, math.log(a))), ("one_mode", (a, 0.0))):
            end = descend(lambda p: PlainAdam(p, 0.03), divergence, start, 300)[-1]
            measured[f"{name}_at_{a:g}"] = divergence(end).item()
            ends.append((measured[f"{name}_at_{a:g}"], end[0].item()))
        measured[f"best_mean_at_{a:g}"] = min(ends)[1]
    keeps_all = measured["wide_at_5"] < measured["one_mode_at_5"]
    return Finding(measured, keeps_all, "At a = 3 the wide fit is the best, at a = 5 that of one mode.")


@claim("C-173", answer="yes")
def the_best_discriminator_is_a_ratio() -> Finding:
    """The optimal discriminator is p / (p + p_G); at the optimum of the game its value is -log 4 and it
    answers 1/2 everywhere.

    Two random distributions of six outcomes, 1,000 steps of ascent on the value: the largest distance from
    the ratio, and how far the value is from twice the Jensen-Shannon divergence less log 4. Then p_G = p:
    value plus log 4, and distance from 1/2.
    """
    p, q = torch.distributions.Dirichlet(torch.full((6,), 2.0, dtype=torch.float64)).sample((2,))

    def best(q: Tensor) -> Tensor:
        ascent = descend(lambda w: GradientDescent(w, 5.0), lambda w: -value(w.sigmoid(), p, q),
                         torch.zeros(6), 1000)
        return ascent[-1].sigmoid()

    apart, equal = best(q), best(p)
    measured = {"distance": (apart - optimal_discriminator(p, q)).abs().max().item(),
                "value_gap": abs((value(apart, p, q) - 2 * jsd(p, q)).item() + math.log(4)),
                "value_at_optimum": value(equal, p, p).item(),
                "distance_from_half": (equal - 0.5).abs().max().item()}
    at_optimum = abs(measured["value_at_optimum"] + math.log(4))
    gaps = (measured["distance"], measured["value_gap"], measured["distance_from_half"], at_optimum)
    return Finding(measured, max(gaps) < 1e-6)


@claim("C-174", answer="yes")
def the_best_generator_is_the_data() -> Finding:
    """The optimal generator of a GAN has the distribution of the data.

    Data of three outcomes with probabilities 0.5, 0.3 and 0.2; the value of the best discriminator for each
    of the 5,151 distributions with probabilities in hundredths: where it is the smallest, and how far that
    value is from -log 4; the smallest value elsewhere less it.
    """
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    parts = [(i, j, 100 - i - j) for i, j in itertools.product(range(101), repeat=2) if i + j <= 100]
    generators = torch.tensor(parts, dtype=torch.float64) / 100
    values = torch.stack([value(optimal_discriminator(p, q), p, q) for q in generators])
    lowest, order = values.sort()
    best = generators[order[0]]
    measured = {"distance": (best - p).abs().max().item(), "value_gap": lowest[0].item() + math.log(4),
                "next_value": (lowest[1] - lowest[0]).item()}
    return Finding(measured, measured["distance"] < 1e-9 and measured["next_value"] > 0)


@claim("C-175", answer="yes")
def the_non_saturating_loss_has_the_larger_gradient() -> Finding:
    """With the loss -log D(G(z)) the gradients are larger while the generator is bad.

    The slope of both generator losses in the score of a generated point, at D = 0.01, 0.5 and 0.99.
    """
    measured = {}
    for d in (0.01, 0.5, 0.99):
        for name, objective in (("minimax", minimax), ("non_saturating", non_saturating)):
            b = torch.tensor([d], dtype=torch.float64).logit().requires_grad_()
            (slope,) = torch.autograd.grad(objective.generator(b.detach(), b).sum(), b)
            measured[f"{name}_at_{d:g}"] = slope.abs().item()
    return Finding(measured, measured["non_saturating_at_0.01"] > 2 * measured["minimax_at_0.01"])


@claim("C-179", answer="yes")
def gans_have_no_density() -> Finding:
    """A GAN gives no density, and how good it is, is hard to measure.

    How many of two kinds of GAN and of five models with a likelihood have a method for it; the Frechet
    distance to 1,000 data of as many others, of 50 others, and of 1,000 copies of 20 of the data themselves,
    five seeds.
    """
    kinds = {"gans": (GAN, WGANGP), "others": (VAE, Flow, AutoregressiveDensity, BernoulliMADE, ScoreSDE)}
    verbs = ("log_prob", "elbo", "bits_per_dim")
    counts = {f"{name}_with_likelihood": float(sum(any(map(partial(hasattr, kind), verbs)) for kind in group))
              for name, group in kinds.items()}

    def experiment(seed: int) -> Numbers:
        data, new = torch.randn(2, 1000, 8)
        copies = data[torch.randint(20, (1000,))]
        return {"distance_of_1000": fid(new, data).item(), "distance_of_50": fid(new[:50], data).item(),
                "distance_of_copies": fid(copies, data).item()}

    means, ends = over_seeds(experiment)
    misleads = above(ends["distance_of_50"], 2 * means["distance_of_1000"])
    none = counts["gans_with_likelihood"] == 0 and counts["others_with_likelihood"] == 5
    return Finding(counts | means, every(misleads, none),
                   "What is measured in its place depends on the number of samples.", ends)


@claim("C-181", answer="yes")
def a_missed_mode_is_punished() -> Finding:
    """A generator has to produce all modes to do well against the discriminator.

    Data of four equal modes, a generator that never makes one of them: what the best discriminator answers at
    that mode and at the others, and its value above that of a generator which makes all.
    """
    p = torch.full((4,), 1 / 4, dtype=torch.float64)
    q = torch.tensor([0.0, *[1 / 3] * 3], dtype=torch.float64)
    d = optimal_discriminator(p, q)
    measured = {"at_missed_mode": d[0].item(), "at_other_modes": d[1:].max().item(),
                "excess_value": (value(d, p, q) - value(optimal_discriminator(p, p), p, p)).item()}
    punished = measured["at_missed_mode"] > 0.5 > measured["at_other_modes"]
    return Finding(measured, punished and measured["excess_value"] > 0,
                   "Against the best discriminator; in practice it is not the best, and modes are missed.")
