"""The prior of a discrete code, learned after the autoencoder (van den Oord et al. 2017, arXiv 1711.00937, section 3.3).

    log p(v) = sum_t log p(v_t | v_1 .. v_{t-1}),      v = encode(x) in raster order,      L = -1/P log p(v) nats a position

Sampling draws v a position at a time and decodes it. The autoencoder is frozen. With this prior a code takes -log2 p(v) bits instead of P log2 K.
B batch, D shape of a data point, S shape of the P positions, K codes, n samples.
"""

import math
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from deepcanon.layers.checks import rows
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating


@runtime_checkable
class Network(Protocol):
    """What the prior asks of its network, as `GPT` has it."""

    context: int

    def __call__(self, tokens: Tensor) -> Tensor: ...
    def decoder(self) -> Any: ...


@checked
class CodePrior(nn.Module):
    """An autoregressive network over the codes of a frozen autoencoder.

    Args:
        autoencoder: has `encode` (B, *D) -> codes (B, *S), `decode` codes -> distribution, `metrics`: a trained `VQVAE`.
        net: tokens (B, P) -> logits (B, P, K + 1) of the next one, a `GPT` of vocabulary K + 1 and context P or more. Token K stands before
            the first position.
        shape: S.
        num_codes: K.

    Raises:
        ValueError: the positions do not fit the net's context.
    """

    def __init__(self, autoencoder: nn.Module, net: Network, *, shape: tuple[int, ...], num_codes: int):
        super().__init__()
        if math.prod(shape) > net.context:
            raise ValueError(f"{math.prod(shape)} positions do not fit the network's context of {net.context}")
        self.autoencoder: Any = autoencoder.requires_grad_(False)
        self.net, self.shape, self.num_codes = net, shape, num_codes

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean nats a position."""
        return -self.log_prob(self.encode(batch[0])).mean() / math.prod(self.shape)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """What the autoencoder measures, and `prior_bits`, the length of the code under this prior."""
        return self.autoencoder.metrics(batch) | {"prior_bits": -self.log_prob(self.encode(batch[0])) / math.log(2)}

    def encode(self, x: Shaped[Tensor, "B *D"]) -> Int[Tensor, "B P"]:
        """The codes in raster order.

        Raises:
            ValueError: they are not of the shape S.
        """
        with evaluating(self.autoencoder):
            codes = self.autoencoder.encode(x)
        if codes.shape[1:] != self.shape:
            raise ValueError(f"expected codes of shape {self.shape} for each example, got {tuple(codes.shape[1:])}")
        return codes.flatten(1)

    def log_prob(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B"]:
        """log p(v) in nats."""
        before = F.pad(codes[:, :-1], (1, 0), value=self.num_codes)              # (B, P): each position's predecessor
        logits = rows("logits", self.net(before), len(codes))
        return -F.cross_entropy(logits[..., : self.num_codes].mT, codes, reduction="none").sum(1)

    @torch.no_grad()
    def draw(self, n: int) -> Int[Tensor, "n P"]:
        """n codes from p(v), each position computed once."""
        decoder = self.net.decoder()
        token = torch.full((n, 1), self.num_codes, device=next(self.parameters()).device)
        drawn, cache = [], decoder.start(n)
        for _ in range(math.prod(self.shape)):
            logits, cache = decoder(token, cache)
            token = torch.multinomial(logits[:, : self.num_codes].softmax(1), 1)
            drawn.append(token)
        return torch.cat(drawn, 1)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """The pictures (means of p(x|z)) of n codes from the prior."""
        return self.autoencoder.decode(self.draw(n).unflatten(1, self.shape)).mean
