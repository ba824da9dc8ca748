"""Binary data by masked autoencoding (MADE; Germain et al. 2015, arXiv 1502.03509; Larochelle & Murray 2011).

    log p(x) = sum_i log Bernoulli(x_i; sigmoid(l_i(x_{<i})))          all l_i in one pass; drawing x takes D steps, each a D-th of a pass

B batch, D shape of a data point, n samples.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.nets.made import MADE


@checked
class BernoulliMADE(nn.Module):
    """A density over binary data points, their numbers in raster order.

    Args:
        net: a `MADE` of one parameter a number.
        shape: D.

    Raises:
        ValueError: the net is for another count of numbers or parameters.
    """

    likelihood_is = "exact"

    def __init__(self, net: MADE, shape: tuple[int, ...]):
        super().__init__()
        if (net.dim, net.num_params) != (math.prod(shape), 1):
            raise ValueError(f"expected a net of 1 parameter for each of {math.prod(shape)} numbers, got {net.num_params} for each of {net.dim}")
        self.net, self.shape = net, shape

    def loss(self, batch) -> Float[Tensor, ""]:
        """Negative log-likelihood in nats an example."""
        return -self.log_prob(batch[0]).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"nll": -self.log_prob(batch[0])}

    def log_prob(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """log p(x) in nats; it passes gradients.

        Raises:
            ValueError: data of another shape, or that is not binary.
        """
        if x.shape[1:] != self.shape or not ((x == 0) | (x == 1)).all():
            raise ValueError(f"expected binary data of shape {self.shape}, got {tuple(x.shape[1:])} with values in [{x.min():.4g}, {x.max():.4g}]")
        x = x.flatten(1)
        logits = of_shape("the net's output", self.net(x), (len(x), 1, x.shape[1])).squeeze(1)   # (B, D)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points, number by number."""
        net = self.net.unroll(n)
        with torch.inference_mode():
            for i, x_i in enumerate(net.known):
                torch.bernoulli(net.params(i)[0].sigmoid(), out=x_i)
        return net.values().unflatten(1, self.shape)
