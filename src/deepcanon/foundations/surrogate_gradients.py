"""The stop-gradient operator sg (Bengio, Leonard & Courville 2013, arXiv 1308.3432; van den Oord et al. 2017, arXiv 1711.00937).

    sg(x) = x,    d sg(x) / dx = 0

It holds the target of a loss still: the teacher of BYOL, the keys of MoCo, the target network of DQN, the codes of VQ-VAE. The straight-through
estimator gives z the value q and the gradient of the identity:

    z + sg(q - z)
"""

from jaxtyping import Float
from torch import Tensor


def stop_gradient(x: Float[Tensor, "*X"]) -> Float[Tensor, "*X"]:
    """sg(x): the same numbers, seen as constants."""
    return x.detach()


def straight_through(z: Float[Tensor, "*X"], q: Float[Tensor, "*X"]) -> Float[Tensor, "*X"]:
    """The value of q, the gradient of z. Raises ValueError for two shapes."""
    if z.shape != q.shape:
        raise ValueError(f"expected two tensors of one shape, got {tuple(z.shape)} and {tuple(q.shape)}")
    return z + stop_gradient(q - z)
