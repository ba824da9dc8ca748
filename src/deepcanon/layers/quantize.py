"""Vector quantization: each vector becomes the nearest of K codes (van den Oord et al. 2017, arXiv 1711.00937, sections 3.1, 3.2 and appendix A.1).

    v = argmin_j ||z - e_j||,      q = e_v,      forward: z + sg(q - z), which is q with the gradient of z (straight-through)

    gradient codebook    L = ||sg(z) - q||^2 + beta ||z - sg(q)||^2                  the first term moves the codes, the second the encoder
    averaged codebook    n_j <- gamma n_j + (1 - gamma) sum_{v=j} 1,    m_j <- gamma m_j + (1 - gamma) sum_{v=j} z,    e_j = m_j / n_j
                         L = beta ||z - sg(q)||^2

sg is stop-gradient. A code that no vector is near gets no update and stays dead; it may be restarted at a vector of the batch (Williams et al. 2020,
arXiv 2002.08111).
B batch, P positions, K codes, Z their dimension.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import finite
from deepcanon.layers.joint import batch_stack, batch_sum
from deepcanon.layers.precision import Float32Buffers, widened


class Quantized(NamedTuple):
    """What a quantizer returns: q with z's gradient, the code numbers v, and the loss of each vector, a squared distance."""

    vectors: Float[Tensor, "*P Z"]
    codes: Int[Tensor, "*P"]
    loss: Float[Tensor, "*P"]


class VectorQuantizer(Float32Buffers, nn.Module):
    """A codebook that learns by gradient.

    Args:
        num_codes: K.
        dim: Z.
        beta: weight of the commitment of z to its code.
        restart: while training, codes start anew whose share of the vectors, averaged over some hundred batches, falls below restart / K.
    """

    share: Tensor

    def __init__(self, num_codes: int, dim: int, *, beta: float = 0.25, restart: float = 0.0):
        super().__init__()
        check(num_codes, dim)
        self.num_codes, self.beta, self.restart = num_codes, beta, restart
        self.codebook = nn.Parameter(torch.randn(num_codes, dim) * dim**-0.5)
        self.register_buffer("share", torch.full((num_codes,), 1 / num_codes))

    def forward(self, z: Float[Tensor, "*P Z"]) -> Quantized:
        codes = nearest(z, self.codebook)
        if self.training and self.restart:
            revive(self.codebook, self.share, z, codes, self.restart)
            codes = nearest(z, self.codebook)
        q = self.codebook[codes]                                                 # (*P, Z)
        loss = squared(z.detach() - q) + self.beta * squared(z - q.detach())
        return Quantized(straight_through(z, q), codes, loss)


class AveragedQuantizer(Float32Buffers, nn.Module):
    """A codebook that follows the running means of the vectors it stands for: k-means, a batch at a time, without gradient.

    Args:
        num_codes: K.
        dim: Z.
        beta: weight of the commitment of z to its code.
        decay: gamma.
        restart: as of `VectorQuantizer`.
    """

    codebook: Tensor
    share: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, num_codes: int, dim: int, *, beta: float = 0.25, decay: float = 0.99, restart: float = 0.0):
        super().__init__()
        check(num_codes, dim)
        if not 0 <= decay < 1:
            raise ValueError(f"expected a decay in [0, 1), got {decay}")
        self.num_codes, self.beta, self.decay, self.restart = num_codes, beta, decay, restart
        self.register_buffer("codebook", torch.randn(num_codes, dim) * dim**-0.5)
        self.register_buffer("share", torch.full((num_codes,), 1 / num_codes))
        self.register_buffer("count", torch.ones(num_codes))
        self.register_buffer("total", self.codebook.clone())

    def forward(self, z: Float[Tensor, "*P Z"]) -> Quantized:
        codes = nearest(z, self.codebook)
        q = self.codebook[codes]                                                 # (*P, Z), before this batch's update
        if self.training:
            self.follow(z, codes)
        return Quantized(straight_through(z, q), codes, self.beta * squared(z - q))

    @torch.no_grad()
    def follow(self, z: Float[Tensor, "*P Z"], codes: Int[Tensor, "*P"]) -> None:
        """Moves the averages, and with them the codes, towards these vectors."""
        rows, v = z.flatten(0, -2).to(self.total), codes.flatten()
        count = torch.zeros_like(self.count).index_add_(0, v, torch.ones_like(rows[:, 0]))
        self.count.lerp_(batch_sum(count), 1 - self.decay)
        self.total.lerp_(batch_sum(torch.zeros_like(self.total).index_add_(0, v, rows)), 1 - self.decay)
        alive = self.count.unsqueeze(1) > 1e-5
        self.codebook.copy_(torch.where(alive, self.total / self.count.unsqueeze(1), self.codebook))
        if self.restart:
            new = revive(self.codebook, self.share, z, codes, self.restart)
            self.count[new], self.total[new] = 1.0, self.codebook[new]


def nearest(z: Float[Tensor, "*P _"], codebook: Float[Tensor, "K Z"]) -> Int[Tensor, "*P"]:
    """The number of the code nearest to each vector, by ||z - e||^2 = ||z||^2 - 2 z.e + ||e||^2.

    Raises:
        ValueError: the vectors have another dimension than the codes; where no gradient is asked for, vectors that are not finite, which
            no code is nearest to. (In training their loss is not finite either, and says so.)
    """
    if z.shape[-1] != codebook.shape[-1]:
        raise ValueError(f"expected vectors of the codes' dimension {codebook.shape[-1]}, got {tuple(z.shape)}")
    if not torch.is_grad_enabled():
        finite(z)
    with torch.autocast(z.device.type, enabled=False):                           # a difference of large numbers, the smaller about the codes' mean
        codebook = widened(codebook.detach())
        mean = codebook.mean(0)
        z, e = z.detach().to(mean) - mean, codebook - mean
        return (e.square().sum(1) - 2 * z @ e.T).argmin(-1)


def straight_through(z: Float[Tensor, "*P Z"], q: Float[Tensor, "*P Z"]) -> Float[Tensor, "*P Z"]:
    """The value of q with the gradient of z, in the type of z."""
    return z + (q.to(z.dtype) - z).detach()


@torch.no_grad()
def revive(codebook: Tensor, share: Tensor, z: Tensor, codes: Tensor, threshold: float) -> Tensor:
    """Puts codes whose averaged share of the vectors is below threshold / K at vectors drawn from z, in place; which they are, (K,)."""
    K, used = len(share), batch_sum(torch.bincount(codes.flatten(), minlength=len(share)))
    share.lerp_(used.to(share) / used.sum(), 0.01)
    dead = share < threshold / K
    rows = z.flatten(0, -2).to(codebook)
    drawn = batch_stack(rows[torch.randint(len(rows), (K,), device=z.device)])   # for all K: the same draws, however many are dead
    j = torch.arange(K, device=z.device)
    drawn = drawn[j % len(drawn), j]                                             # (K, Z), of the parts of the batch in turn
    codebook.copy_(torch.where(dead.unsqueeze(1), drawn, codebook))
    share.masked_fill_(dead, 1 / K)
    return dead


def squared(x: Float[Tensor, "*P Z"]) -> Float[Tensor, "*P"]:
    """||x||^2."""
    return widened(x).square().sum(-1)


def check(num_codes: int, dim: int) -> None:
    """A codebook has two codes or more, of some dimension."""
    if num_codes < 2 or dim < 1:
        raise ValueError(f"expected 2 codes or more of dimension 1 or more, got {num_codes} of {dim}")
