"""The condition of a model: a class, or any observation, as a vector c = condition(y)."""

from jaxtyping import Float, Shaped
from torch import Tensor, nn


def apply_condition(condition: nn.Module | None, y: Shaped[Tensor, "B *Y"] | None) -> Float[Tensor, "B E"] | None:
    """c, or nothing for a model without a condition.

    Raises:
        ValueError: a conditional model without y, or y for a model that has no use for it.
    """
    if condition is None and y is None:
        return None
    if y is None:
        raise ValueError("the model is conditional: it needs the labels y of what it reads or draws")
    if condition is None:
        raise ValueError("the model is not conditional: it takes no labels y")
    return condition(y)


def per_layer(condition: nn.Module | None, width: int, features: int) -> nn.Linear | None:
    """A layer's projection of c, of `width` numbers, to its own features; nothing for a model without a condition."""
    return None if condition is None else nn.Linear(width, features, bias=False)
