"""Claims about critics with a bounded slope, about distances of distributions, and about cycles."""

import itertools
import math

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, above, below, claim, every, over_seeds
from deepcanon.foundations.information import jsd
from deepcanon.gans.cyclegan import cycle_loss
from deepcanon.gans.gan import clip
from deepcanon.gans.objectives import minimax, wasserstein
from deepcanon.gans.penalties import gradients
from deepcanon.gans.wasserstein import transport
from deepcanon.layers.linear_map import Linear
from deepcanon.layers.spectral import spectral_norm
from deepcanon.metrics.generation import Gaussian, frechet_distance
from deepcanon.nets.perceptron import mlp


@claim("C-176", answer="yes")
def wasserstein_knows_how_far() -> Finding:
    """A perfect discriminator gives the generator no useful gradient: the Jensen-Shannon divergence does not
    depend on how far apart two distributions are, the Wasserstein distance does.

    All mass at 0 and all at k, on the points 0 to 10: both at k = 1, 5 and 10; then the slope of the minimax
    loss in a score of -20, which a perfect discriminator gives, and that of the Wasserstein loss.
    """
    points = torch.arange(11, dtype=torch.float64)
    cost, masses, measured = (points[:, None] - points).abs(), torch.eye(11, dtype=torch.float64), {}
    for k in (1, 5, 10):
        measured |= {f"divergence_at_{k}": jsd(masses[0], masses[k]).item(),
                     f"distance_at_{k}": transport(masses[0], masses[k], cost).distance.item()}
    for name, objective in (("minimax", minimax), ("wasserstein", wasserstein)):
        score = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(objective.generator(score.detach(), score).sum(), score)
        measured[f"{name}_slope"] = slope.abs().item()
    blind = max(abs(measured[f"divergence_at_{k}"] - math.log(2)) for k in (1, 5, 10)) < 1e-9
    sees = max(abs(measured[f"distance_at_{k}"] - k) for k in (1, 5, 10)) < 1e-9
    return Finding(measured, blind and sees and measured["minimax_slope"] < 1e-6)


@claim("C-177", answer="yes")
def clipping_has_no_good_size() -> Finding:
    """Clipping the weights of a critic at too small a number makes gradients vanish, at too large a number it
    slows the critic.

    Critics of eight layers of 32 units with their weights clipped at 0.01, 0.1 and 1, five seeds: log10 of
    the gradient in the input when all weights are at the limit, and the steps, each of 0.005 against the sign
    of the gradient, after which a critic with one hidden layer has 95 % of its best value in 400 steps.
    """
    real, fake = torch.randn(256, 2) + 1, torch.randn(256, 2) - 1

    def slope(c: float) -> float:
        critic = mlp(2, *8 * [32], 1)
        with torch.no_grad():
            for weight in critic.parameters():
                weight.copy_(c * torch.randn_like(weight).sign() * (weight.ndim > 1))
        return gradients(critic, real).norm(dim=1).mean().log10().item()

    def steps(c: float) -> float:
        critic, constrain, values = mlp(2, 32, 1), clip(c), []
        constrain(critic)
        weights = list(critic.parameters())
        for _ in range(400):
            loss = wasserstein.discriminator(critic(real), critic(fake)).mean()
            values.append(-loss.item())
            with torch.no_grad():
                for weight, g in zip(weights, torch.autograd.grad(loss, weights)):
                    weight -= 0.005 * g.sign()
            constrain(critic)
        return float(next(step for step, value in enumerate(values) if value > 0.95 * max(values)))

    def experiment(seed: int) -> Numbers:
        numbers = {}
        for c in (0.01, 0.1, 1.0):
            numbers |= {f"log10_gradient_at_{c:g}": slope(c), f"steps_at_{c:g}": steps(c)}
        return numbers

    means, ends = over_seeds(experiment)
    vanishes = every(below(ends["log10_gradient_at_0.01"], -6.0), above(ends["log10_gradient_at_1"], 0.0))
    slows = every(below(ends["steps_at_0.01"], 10.0), above(ends["steps_at_1"], 100.0))
    return Finding(means, every(vanishes, slows), intervals=ends)


@claim("C-178", answer="yes")
def spectral_norms_bound_the_slope() -> Finding:
    """The slope of a network is at most the product of the spectral norms of its layers.

    20 random perceptrons of three layers with ReLU, 2,000 pairs of points each: the largest ratio of the
    distance of outputs to that of inputs, in parts of the product of the largest singular values; and the
    largest ratio itself once the layers are normalized.
    """
    def ratio(net: nn.Module) -> float:
        x, y = torch.randn(2, 2000, 6, dtype=torch.float64)
        y = x + 10 ** (-3 * torch.rand(2000, 1, dtype=torch.float64)) * y
        with torch.no_grad():
            return ((net(x) - net(y)).norm(dim=1) / (x - y).norm(dim=1)).max().item()

    shares, normalized = [], []
    for _ in range(20):
        net = mlp(6, 16, 16, 4).double()
        weights = [layer.weight.detach() for layer in net if isinstance(layer, Linear)]
        product = math.prod(torch.linalg.matrix_norm(w, 2).item() for w in weights)
        shares.append(ratio(net) / product)
        normal = spectral_norm(net)
        normal(torch.zeros(1, 6, dtype=torch.float64))
        normalized.append(ratio(normal.eval()))
    measured = {"largest_share": max(shares), "smallest_share": min(shares),
                "largest_ratio_normalized": max(normalized)}
    return Finding(measured, measured["largest_share"] <= 1,
                   "A bound and no estimate: the slopes met here are well below it.")


class Rotation(nn.Module):
    """x turned by an angle."""

    def __init__(self, angle: float):
        super().__init__()
        c, s = math.cos(angle), math.sin(angle)
        self.matrix = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T


@claim("C-180", answer="yes")
def a_cycle_ties_a_translation_to_its_input() -> Finding:
    """Without a cycle loss, an unpaired translation may have nothing in common with its input.

    Both domains N(0, I) in the plane, translators that turn by a multiple of 10 degrees: how many of 36 leave
    the translations distributed as the other domain, the least and largest correlation of input and
    translation among these; and of all 1,296 pairs of translators how many have no cycle loss.
    """
    x = torch.randn(500, 2, dtype=torch.float64)
    target = Gaussian(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    turns = [Rotation(math.radians(10 * k)) for k in range(36)]
    fooling = [turn for turn in turns if
               frechet_distance(Gaussian(target.mean, turn.matrix @ turn.matrix.T), target) < 1e-9]
    likeness = [(x * turn(x)).sum().item() / x.square().sum().item() for turn in fooling]
    closed = [(there, back) for there, back in itertools.product(fooling, repeat=2)
              if cycle_loss(there, back, x, x) < 1e-9]
    inverse = [torch.allclose(back.matrix @ there.matrix, target.covariance) for there, back in closed]
    measured = {"fooling": float(len(fooling)), "least_correlation": min(likeness),
                "largest_correlation": max(likeness), "pairs_without_cycle_loss": float(len(closed)),
                "of_them_inverse": float(sum(inverse))}
    free = measured["fooling"] > 1 and measured["least_correlation"] < 0
    return Finding(measured, free and measured["pairs_without_cycle_loss"] < len(fooling) ** 2,
                   "The cycle selects translators that undo each other; any turn passes with its inverse.")
