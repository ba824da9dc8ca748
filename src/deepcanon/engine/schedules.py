"""Learning-rate schedules: plain functions (step, total) -> factor of the peak rate.

    constant      1
    warmup(w)     min(1, (t + 1) / w),    or from a given start s:  min(1, s + (1 - s) t / w)
    linear        1 - (1 - f) u
    cosine        f + (1 - f) (1 + cos(pi u)) / 2            Loshchilov & Hutter 2017, arXiv 1608.03983
    step_decay    gamma ** #{m in milestones: m <= t / T}

t is the number of optimizer steps taken, T the length of the run, w a linear warm-up (Goyal et al. 2017, arXiv 1706.02677),
u = (t - w) / (T - w) the part of the run behind us after the warm-up, f the final factor. Every factory takes
`warmup` in steps or, below 1, as a part of the run, and `start`, the factor of the first step of the warm-up.
Without it the line is at 0 before the first step, whose factor is 1 / w; with `start=0` the first step
has the rate 0 and moves nothing. What they give back can be copied and pickled.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

Schedule = Callable[[int, int | None], float]
Shape = Callable[[float], float]        # u -> factor after the warm-up; None: 1 throughout


def constant() -> Schedule:
    """The peak rate throughout."""
    return _always


def warmup(steps: float, start: float | None = None) -> Schedule:
    """Linear rise to the peak rate over the first `steps`, then constant."""
    if steps == 0:
        raise ValueError("expected a warm-up of 1 step or more, or of a part of the run, got 0: use constant()")
    return _after_warmup(steps, start, None)


def linear(warmup: float = 0, final: float = 0.0, start: float | None = None) -> Schedule:
    """A straight line from the peak rate to `final` times it."""
    _check_final(final)
    return _after_warmup(warmup, start, partial(_line, final=final))


def cosine(warmup: float = 0, final: float = 0.0, start: float | None = None) -> Schedule:
    """Half a cosine from the peak rate to `final` times it."""
    _check_final(final)
    return _after_warmup(warmup, start, partial(_half_cosine, final=final))


def step_decay(milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1, warmup: float = 0,
               start: float | None = None) -> Schedule:
    """The rate times `gamma` at each milestone, a fraction of the run (after the warm-up) in (0, 1)."""
    if not all(0 < m < 1 for m in milestones):
        raise ValueError(f"expected milestones as fractions of the run in (0, 1), got {tuple(milestones)}")
    if not gamma > 0:
        raise ValueError(f"expected a gamma above 0, got {gamma}")
    return _after_warmup(warmup, start, partial(_stairs, milestones=tuple(milestones), gamma=gamma))


def _check_final(final: float) -> None:
    if not final >= 0:
        raise ValueError(f"expected a final factor of 0 or more, got {final}")


def _always(step: int, total: int | None) -> float:
    return 1.0


def _line(u: float, *, final: float) -> float:
    return 1 - (1 - final) * u


def _half_cosine(u: float, *, final: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * u)) / 2


def _stairs(u: float, *, milestones: Sequence[float], gamma: float) -> float:
    return gamma ** sum(m <= u for m in milestones)


def _after_warmup(warmup: float, start: float | None, shape: Shape | None) -> Schedule:
    if not warmup >= 0:
        raise ValueError(f"expected a warm-up of 0 steps or more, got {warmup}")
    if start is not None and not 0 <= start <= 1:
        raise ValueError(f"expected a start of the warm-up as a part of the peak rate in [0, 1], got {start}")
    if start is not None and warmup == 0:
        raise ValueError(f"start={start} is of a warm-up, and there is none: give warmup too")
    return partial(_factor, warmup=warmup, start=start, shape=shape)


def _factor(step: int, total: int | None, *, warmup: float, start: float | None,
            shape: Shape | None) -> float:
    if total is None:
        if shape or 0 < warmup < 1:
            raise ValueError("this schedule needs a run of known length: give steps or epochs, or use "
                             "constant() or warmup(steps)")
        return _rise(step, warmup, start)
    if total < 1:
        raise ValueError(f"a schedule needs a run of 1 step or more, got {total}")
    w = warmup if warmup >= 1 else warmup * total
    if shape and total <= w:
        raise ValueError(f"the warm-up of {warmup} steps leaves nothing of a run of {total} steps")
    if step < w:
        return _rise(step, w, start)
    return shape(min(1.0, (step - w) / (total - w))) if shape else 1.0


def _rise(step: int, w: float, start: float | None) -> float:
    return min(1.0, (step + 1) / w if start is None else start + (1 - start) * step / w)
