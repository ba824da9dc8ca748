"""Risk and its minimisation on a sample (Vapnik 1991, "Principles of risk minimization for learning theory").

    R(f) = E_{x,y}[L(f(x), y)],    R_hat(f) = 1/N sum_i L(f(x_i), y_i),    f_hat = argmin_f R_hat(f)

Over-fitted: R_hat is low and R is high; under-fitted: both are high. It all rests on test data that come from where the training data came from.
N examples.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]                                        # (predictions, targets) -> one loss an example
Hypothesis = Callable[[Tensor], Tensor]                                          # x -> predictions


def empirical_risk(loss: Loss, f: Hypothesis, x: Float[Tensor, "N *X"], y: Tensor) -> Float[Tensor, ""]:
    """R_hat(f), in the units of the loss; an unbiased estimate of R(f) for an f that was chosen without looking at x and y.

    Raises:
        ValueError: no examples, or not one target and one loss an example.
    """
    if len(x) == 0 or len(y) != len(x):
        raise ValueError(f"expected one target an example and one example or more, got {len(x)} examples and {len(y)} targets")
    values = loss(f(x), y)
    if values.shape != (len(x),):
        raise ValueError(f"expected one loss an example, ({len(x)},), got {tuple(values.shape)}")
    return values.mean()


def minimize_risk(loss: Loss, hypotheses: Sequence[Hypothesis], x: Float[Tensor, "N *X"], y: Tensor) -> Hypothesis:
    """f_hat, the hypothesis of least empirical risk; the first of them when several tie."""
    risks = torch.stack([empirical_risk(loss, f, x, y) for f in hypotheses])
    return hypotheses[int(risks.argmin())]
