"""How far the empirical risk can be from the risk (Hoeffding 1963; Vapnik & Chervonenkis 1971).

    P( max_h |R(h) - R_hat(h)| <= eps ) >= 1 - delta,    eps = sqrt( log(2 H / delta) / (2 N) )

for H hypotheses fixed before the data are seen, losses in [0, 1], and N independent examples from the distribution that R refers to. When the test
distribution is another one, nothing holds.
"""

import math


def deviation(examples: int, hypotheses: int = 1, delta: float = 0.05) -> float:
    """eps: with probability 1 - delta no hypothesis is measured wrongly by more.

    Raises:
        ValueError: a count below 1, or a delta outside (0, 1).
    """
    check(examples, hypotheses, delta)
    return math.sqrt(math.log(2 * hypotheses / delta) / (2 * examples))


def examples_needed(eps: float, hypotheses: int = 1, delta: float = 0.05) -> int:
    """The least N whose deviation is at most eps: it grows with the logarithm of H.

    Raises:
        ValueError: an eps that is not positive, and as `deviation`.
    """
    if not eps > 0:
        raise ValueError(f"expected a positive deviation, got {eps}")
    check(1, hypotheses, delta)
    return math.ceil(math.log(2 * hypotheses / delta) / (2 * eps**2))


def check(examples: int, hypotheses: int, delta: float) -> None:
    """Refuse what the bound is not about."""
    if examples < 1 or hypotheses < 1 or not 0 < delta < 1:
        raise ValueError(f"expected examples and hypotheses of 1 or more and 0 < delta < 1, got {examples}, {hypotheses} and {delta}")
