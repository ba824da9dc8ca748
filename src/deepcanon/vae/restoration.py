"""Images made whole: an autoencoder tuned to undo a damage, and inpainting by what a model makes of the rest of an image.

    restoration    L = 1/D ||x - g(f(c(x)))||^2,    f and g from a trained autoencoder,    c the damage: colours or pixels taken away
    inpainting     x <- m x + (1 - m) g(f(x)),      again and again, m = 1 where a pixel is known (Rezende et al. 2014, arXiv 1401.4082, appendix F)

The best answer in squared error is the mean of all images that the damaged one may have been: where the colour may be red or blue, it is purple.
B batch, D shape of a data point.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepcanon.vae.autoencoder import Autoencoder


def restorer(autoencoder: Autoencoder, damage: Callable[[Tensor], Tensor]) -> Autoencoder:
    """A copy that starts from the trained weights and learns to undo the damage; the original stays as it is."""
    return Autoencoder(copy.deepcopy(autoencoder.encoder), copy.deepcopy(autoencoder.decoder), corrupt=damage)


def greyscale(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """The mean of the channels in each of them, so that a net of colour images can read it."""
    return x.mean(1, keepdim=True).expand_as(x)


@torch.no_grad()
def inpaint(reconstruct: Callable[[Tensor], Tensor], x: Float[Tensor, "B *D"], known: Bool[Tensor, "B *D"], steps: int = 10) -> Float[Tensor, "B *D"]:
    """x with its unknown values, which are not looked at, filled in by a model's reconstruction, `steps` times; known values stay.

    Raises:
        ValueError: fewer steps than one.
    """
    if steps < 1:
        raise ValueError(f"expected one step or more, got {steps}")
    filled = torch.where(known, x, 0.0)
    for _ in range(steps):
        filled = torch.where(known, x, reconstruct(filled))
    return filled
