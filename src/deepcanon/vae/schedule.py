"""A number that changes with the step: the weight beta of a VAE's KL term (Bowman et al. 2016, arXiv 1511.06349), a temperature that cools.

    ramp      v(t) = low + (high - low) min(t / T, 1)
    cycle     v(t) = low + (high - low) min(2 (t mod T) / T, 1)                   Fu et al. 2019, arXiv 1903.10145
    cooling   v(t) = low + (high - low) exp(-t / T)

From low to high, a code is learned before it is compressed. t counts the training steps and is part of the state dict, so that a resumed run goes on
where it was. t step, T steps.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

Schedule = Callable[[Tensor], Tensor]     # t -> v(t)


class Scheduled(nn.Module):
    """The value of a schedule at the current step; in training every call is a step.

    Args:
        schedule: t, an integer tensor (), -> v(t).
    """

    count: Tensor

    def __init__(self, schedule: Schedule):
        super().__init__()
        self.schedule = schedule
        self.register_buffer("count", torch.tensor(0))

    def forward(self) -> Float[Tensor, ""]:
        value = self.schedule(self.count)
        if self.training:
            self.count += 1
        return value.float()


def ramp(low: float, high: float, steps: int) -> Schedule:
    """Straight from low to high, then constant."""
    return partial(rising, low=low, high=high, steps=positive(steps))


def cycle(low: float, high: float, steps: int) -> Schedule:
    """Up in the first half of each `steps`, constant in the second."""
    return partial(cycling, low=low, high=high, steps=positive(steps))


def cooling(high: float, low: float, steps: int) -> Schedule:
    """From high towards low, by a factor e nearer every `steps`."""
    return partial(falling, high=high, low=low, steps=positive(steps))


def rising(t: Tensor, *, low: float, high: float, steps: int) -> Tensor:
    """v(t) of `ramp`."""
    return low + (high - low) * (t / steps).clamp(max=1)


def cycling(t: Tensor, *, low: float, high: float, steps: int) -> Tensor:
    """v(t) of `cycle`."""
    return low + (high - low) * (2 * (t % steps) / steps).clamp(max=1)


def falling(t: Tensor, *, high: float, low: float, steps: int) -> Tensor:
    """v(t) of `cooling`."""
    return low + (high - low) * torch.exp(-t / steps)


def value_at(value: float | Scheduled) -> float | Tensor:
    """The value at this step, of a number or a schedule."""
    return value() if isinstance(value, Scheduled) else value


def positive(steps: int) -> int:
    """`steps`, if above 0.

    Raises:
        ValueError: they are not.
    """
    if not steps > 0:
        raise ValueError(f"expected steps above 0, got {steps}")
    return steps
