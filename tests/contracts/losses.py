"""The losses of a method, apart from its training."""

import torch

from deepcanon.engine import players


def losses(method, batch, seed: int = 0) -> dict[str, torch.Tensor]:
    """The losses of one step, without any update."""
    torch.manual_seed(seed)
    return {player: (loss["loss"] if isinstance(loss, dict) else loss).detach() for player, loss in players(method, batch)}
