"""Historical averaging (Salimans et al. 2016, arXiv 1606.03498): players are drawn to the mean of where they have been.

    L_player + w ||theta - 1/T sum_{i=1..T} theta_i||^2,    theta_i the player's parameters after its update i

It is fictitious play for networks: in games in which gradient steps circle the equilibrium, the circles shrink.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.layers.precision import Float32Buffers, widened


class RunningMean(Float32Buffers, nn.Module):
    """The mean of all values that some parameters have had."""

    count: Tensor

    def __init__(self, params: list[nn.Parameter]):
        super().__init__()
        self.register_buffer("count", torch.tensor(0))
        for i, p in enumerate(params):
            self.register_buffer(f"mean{i}", widened(p.detach()).clone())

    def distance(self, params: list[nn.Parameter]) -> Tensor:
        """||theta - mean||^2."""
        return torch.stack([(p - mean).square().sum() for p, mean in zip(params, self.means(), strict=True)]).sum()

    @torch.no_grad()
    def add(self, params: list[nn.Parameter]) -> None:
        """One more value of each."""
        self.count += 1
        for p, mean in zip(params, self.means(), strict=True):
            mean += (p - mean) / self.count

    def means(self) -> list[Tensor]:
        """One for each parameter."""
        return [self.get_buffer(f"mean{i}") for i in range(len(self._buffers) - 1)]


class HistoricalAveraging(nn.Module):
    """A method whose players are drawn to their own past.

    Args:
        method: with a generator `losses(batch)`.
        players: the names that it yields.
        weight: w.

    Raises:
        ValueError: a player that the method does not have.
    """

    def __init__(self, method: nn.Module, players: tuple[str, ...] = ("discriminator", "generator"), *, weight: float = 1e-3):
        super().__init__()
        self.method, self.weight = method, weight
        if missing := [player for player in players if not hasattr(method, player.split(".")[0])]:
            raise ValueError(f"{type(method).__name__} has no player {missing[0]!r}; name those that its losses yield")
        self.past = nn.ModuleDict({player: RunningMean(self.parameters_of(player)) for player in players})

    def losses(self, batch) -> Iterator[tuple[str, Tensor | dict[str, Tensor]]]:
        method: Any = self.method
        for player, loss in method.losses(batch):
            past: Any = self.past[player]
            drawn = self.weight * past.distance(self.parameters_of(player))
            yield f"method.{player}", {**loss, "loss": loss["loss"] + drawn} if isinstance(loss, dict) else loss + drawn
            past.add(self.parameters_of(player))

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        """The trainable parameters of one player."""
        return [p for p in attrgetter(player)(self.method).parameters() if p.requires_grad]

    def sample(self, n: int) -> Tensor:
        """What the method samples."""
        method: Any = self.method
        return method.sample(n)
