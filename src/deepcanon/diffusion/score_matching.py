"""Score matching: a model of s(x) = grad log p(x), which needs no partition function (Hyvarinen 2005, JMLR 6).

    Fisher divergence   1/2 E||s(x) - grad log p_data(x)||^2
    implicit            E[ 1/2 ||s(x)||^2 + div s(x) ],    the same up to a constant, by integration by parts       (Hyvarinen 2005)
    sliced              the same with v' (ds/dx) v for the divergence, v random                                   (Song et al. 2020, arXiv 1905.07088)
    denoising           1/2 E||s(x + sigma z) + z / sigma||^2,  z ~ N(0, I):  the Fisher divergence to the data made noisy, up to a constant
                                                                                                    (Vincent 2011)
B batch, D shape of a point.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.diffusion.divergence import Divergence, Field, exact, hutchinson
from deepcanon.layers.checks import finite, of_shape
from deepcanon.layers.contract import checked

Objective = Callable[[Field, Tensor], Tensor]  # score, x (B, *D) -> (B,)


def fisher(score: Field, x: Float[Tensor, "B *D"], right: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """Half the squared distance to the right score at each point."""
    return (score(x) - right).square().flatten(1).sum(1) / 2


def implicit(score: Field, x: Float[Tensor, "B *D"], *, divergence: Divergence = exact) -> Float[Tensor, "B"]:
    """Half the squared score and its divergence at each point."""
    s, trace = divergence(score, x)
    return s.square().flatten(1).sum(1) / 2 + trace


def sliced(score: Field, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """The implicit objective in one random direction a point; the squared score stays whole, which has the smaller variance."""
    return implicit(score, x, divergence=hutchinson)


def denoising(score: Field, x: Float[Tensor, "B *D"], *, sigma: float) -> Float[Tensor, "B"]:
    """The Fisher divergence to N(x, sigma^2 I) at one draw of it for each point."""
    z = torch.randn_like(x)
    return fisher(score, x + sigma * z, -z / sigma)


def score_of(energy: Callable[[Tensor], Tensor]) -> Field:
    """-grad E of an energy (B, *D) -> (B,): the score of exp(-E) / Z, whatever Z is."""
    return partial(descent, energy=energy)


def descent(x: Float[Tensor, "B *D"], *, energy: Callable[[Tensor], Tensor]) -> Float[Tensor, "B *D"]:
    """-grad E at x, differentiable where gradients are on."""
    kept = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        return -torch.autograd.grad(energy(x).sum(), x, create_graph=kept)[0]


@checked
class ScoreModel(nn.Module):
    """A score trained by one of the objectives.

    Args:
        net: (B, *D) -> (B, *D), the score.
        objective: `implicit`, `sliced`, or `denoising` with its sigma set by `functools.partial`.
    """

    def __init__(self, net: nn.Module, objective: Objective = implicit):
        super().__init__()
        self.net, self.objective = net, objective

    def loss(self, batch) -> Float[Tensor, ""]:
        """The mean of the objective.

        Raises:
            ValueError: points that are not finite, which a net that saturates would not show.
        """
        return self.objective(self.score, finite(batch[0])).mean()

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """grad log p."""
        return of_shape("the net's output", self.net(x), x.shape)
