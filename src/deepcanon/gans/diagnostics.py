"""Signs of mode collapse and of instability.

    modes           centres near which at least a tenth of their share of the points lies, of K
    high quality    share of the points within `radius` of a centre (Srivastava et al. 2017, arXiv 1705.07761)
    diversity       E||x - x'|| of generated points / E||x - x'|| of data;  0 when all points are the same
    drift           how far the mean of the generated points moves between two looks / E||x - x'|| of data;  0 when they have settled

A few samples can satisfy a discriminator as well as all of the data, and the two players can circle for ever, so neither shows in the losses.
N points, K centres, D shape of a point.
"""

import warnings
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.modes import evaluating


class Coverage(NamedTuple):
    """How many of the centres the points are at, and which share of the points is at one."""

    modes: Tensor
    high_quality: Tensor


def coverage(x: Float[Tensor, "N D"], centres: Float[Tensor, "K D"], radius: float, least: float = 0.1) -> Coverage:
    """Of points whose modes are known; a mode counts with `least` of its equal share of the points."""
    distance, nearest = torch.cdist(x, centres).min(1)
    near = distance < radius
    counts = torch.bincount(nearest[near], minlength=len(centres))
    return Coverage((counts >= max(1, least * len(x) / len(centres))).sum(), near.float().mean())


def spread(x: Float[Tensor, "N *D"]) -> Float[Tensor, ""]:
    """E||x - x'|| over the pairs of different points."""
    x = x.flatten(1)
    return torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))


class Watch:
    """A callback that warns, or stops the run, when the generated points are far less spread than the data or keep moving from place to place.

    Args:
        data: what the generator should resemble, (N, *D), a few hundred points.
        least: the diversity below which it counts as collapsed.
        most: the drift above which it counts as unstable.
        every: steps between two looks.
        patience: looks in a row before it speaks.
        stop: end the run then, instead of a warning.

    Attributes: `.diversity` and `.drift`, at every look so far.
    """

    def __init__(self, data: Float[Tensor, "N *D"], *, least: float = 0.2, most: float = 0.5, every: int = 100, patience: int = 3,
                 stop: bool = False):
        self.n, self.reference = len(data), float(spread(data))
        self.least, self.most, self.every, self.patience, self.ends = least, most, every, patience, stop
        self.diversity: list[float] = []
        self.drift: list[float] = []
        self.mean: Tensor | None = None

    def step(self, trainer: Any) -> None:
        """Looks at the method of a trainer of the engine, without a change to the random numbers of its training."""
        if trainer.step % self.every:
            return
        self.look(trainer.method)
        if sign := self.sign():
            message = f"{sign}, at step {trainer.step}"
            if self.ends:
                trainer.stop = message
            else:
                warnings.warn(message, stacklevel=2)

    def look(self, method: Any) -> None:
        """Notes the diversity of as many generated points as there are of data, and how far their mean has moved since the last look."""
        with torch.no_grad(), torch.random.fork_rng(), evaluating(method):
            x = method.sample(self.n)
        mean = x.flatten(1).mean(0)
        self.diversity.append(float(spread(x)) / self.reference)
        self.drift.append(0.0 if self.mean is None else float((mean - self.mean).norm()) / self.reference)
        self.mean = mean

    def sign(self) -> str:
        """What the last looks have in common; nothing if all is well."""
        diversity, drift = (values[-self.patience :] for values in (self.diversity, self.drift))
        if len(diversity) == self.patience and max(diversity) < self.least:
            return f"mode collapse: generated points are spread {diversity[-1]:.2g} times as far as the data"
        if len(drift) == self.patience and min(drift) > self.most:
            return f"instability: the mean of the generated points moved by {drift[-1]:.2g} of the spread of the data since the last look"
        return ""

    def state_dict(self) -> dict:
        return {"diversity": self.diversity, "drift": self.drift, "mean": self.mean}

    def load_state_dict(self, state: dict) -> None:
        self.diversity, self.drift, self.mean = list(state["diversity"]), list(state["drift"]), state["mean"]
