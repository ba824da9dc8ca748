"""Energy-based model (LeCun et al. 2006; Du & Mordatch 2019, arXiv 1903.08689), trained by the draws of its own chains.

    p(x) = exp(-E(x)) / Z,      grad -log p(x) = grad E(x) + grad log Z,      grad log Z = -E_p[grad E]
    L = E_data[E(x)] - E_p[E(x')] + alpha (E_data[E(x)^2] + E_p[E(x')^2])

whose gradient, but for the last term, which holds the energies near 0, is that of the negative log-likelihood: Z itself is never computed.
The draws x' come from chains that go on from step to step while the energy changes under them; a share r of those in use starts anew at each step:

    r = 0            persistent contrastive divergence (Tieleman 2008, ICML)
    0 < r < 1        a buffer of chains, refreshed now and then (Du & Mordatch 2019)
    r = 1            short runs, each from the start (Nijkamp et al. 2019, arXiv 1904.09770)

B batch, N chains, D shape of a data point.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.energy.langevin_dynamics import Energy
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import Float32Buffers, typed_as, widened

Sampler = Callable[[Energy, Tensor], Tensor]  # (energy, chains) -> the chains, moved towards exp(-energy)


@checked
class EBM(Float32Buffers, nn.Module):
    """An energy and the chains that sample it.

    Args:
        net: (B, *D) -> (B,) or (B, 1), the energy.
        start: n -> n points (n, *D) at which chains begin.
        sampler: moves chains; `langevin` with its options set by `functools.partial`, or any other.
        chains: N, a batch or more.
        restart: r.
        noise: deviation of the noise that is added to data, which have no density without it when they lie on a grid or a surface.
        alpha: weight of the squared energies.

    Raises:
        ValueError: a share of restarts outside [0, 1], no chains, noise or alpha below 0.
    """

    chains: Tensor

    def __init__(self, net: nn.Module, start: Callable[[int], Tensor], *, sampler: Sampler, chains: int = 1_000,
                 restart: float = 0.05, noise: float = 0.0, alpha: float = 0.0):
        super().__init__()
        if not 0 <= restart <= 1:
            raise ValueError(f"expected a share of restarts in [0, 1], got {restart}")
        if chains < 1 or not (noise >= 0 and alpha >= 0):
            raise ValueError(f"expected one chain or more, noise >= 0 and alpha >= 0, got {chains}, {noise} and {alpha}")
        self.net, self.start, self.sampler = net, start, sampler
        self.restart, self.noise, self.alpha = restart, noise, alpha
        self.register_buffer("chains", start(chains))

    def loss(self, batch) -> dict[str, Tensor]:
        """The contrast of data and chains, with the mean energy of each.

        Raises:
            ValueError: a tensor in place of a batch.
        """
        if not isinstance(batch, tuple | list):
            raise ValueError(f"expected batches (x, ...), got {type(batch).__name__}, whose first point alone would be learned")
        x = widened(batch[0])                                                    # (B, *D)
        data, model = self.energy(x + self.noise * torch.randn_like(x)), self.energy(self.draw(len(x)))
        size = data.square().mean() + model.square().mean()
        return {"loss": data.mean() - model.mean() + self.alpha * size, "data": data.mean(), "model": model.mean()}

    def energy(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """E(x): minus the log density, up to a constant that nobody knows."""
        return one_each("energies", widened(self.net(typed_as(self.net, x))), len(x))

    @torch.no_grad()
    def draw(self, n: int) -> Float[Tensor, "n *D"]:
        """n of the chains, moved on, and kept so.

        Raises:
            ValueError: there are fewer than n chains.
        """
        if n > len(self.chains):
            raise ValueError(f"a batch of {n} needs as many chains, got chains={len(self.chains)}")
        rows = torch.randperm(len(self.chains), device=self.chains.device)[:n]
        new = torch.rand(n, device=rows.device) < self.restart
        x = self.chains[rows]
        x[new] = self.start(int(new.sum())).to(x)
        self.chains[rows] = x = self.sampler(self.energy, x)
        return x

    @torch.no_grad()
    def sample(self, n: int, rounds: int | None = None) -> Float[Tensor, "n *D"]:
        """n points at the ends of new chains, moved on `rounds` times; by default as often as a chain of the training lives on average.

        Raises:
            ValueError: no rounds are given and the chains of the training live for ever; a negative number of them.
        """
        if rounds is None and not self.restart:
            raise ValueError("expected a number of rounds: with restart=0 chains have no mean life")
        if rounds is not None and rounds < 0:
            raise ValueError(f"expected rounds >= 0, got {rounds}")
        x = self.start(n).to(self.chains)
        for _ in range(round(1 / self.restart) if rounds is None else rounds):
            x = self.sampler(self.energy, x)
        return x
