"""How numbers are written: four digits, a mean with its spread, a bound and whether it is met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

SIGNS = {">=": "≥", "<=": "≤"}


def holds(value: float | int | None, sign: str, bound: float | int) -> bool:
    """Whether a measured value is ">=" or "<=" its bound."""
    return value is not None and (value >= bound if sign == ">=" else value <= bound)


def mark(good: bool) -> str:
    """Whether a target is met, in one character."""
    return "✓" if good else "✗"


def number(value: float | int) -> str:
    """Four significant digits, without an exponent where that is readable."""
    return f"{value:,.0f}" if abs(value) >= 10_000 and math.isfinite(value) else f"{value:.4g}"


def spread(values: Sequence[float]) -> str:
    """The mean and, of two values or more, the standard deviation, to the digits that it leaves standing."""
    if len(values) < 2:
        return number(values[0])
    mean = statistics.mean(values)
    deviation = statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
    if not 1e-6 < deviation < math.inf:
        return f"{number(mean)} ± {number(deviation)}"
    digits = min(6, max(0, 1 - math.floor(math.log10(deviation))))
    return f"{mean:,.{digits}f} ± {deviation:,.{digits}f}"


def duration(seconds: float | int) -> str:
    """Seconds as a person says them: 4.2 s, 12 min 30 s, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"
