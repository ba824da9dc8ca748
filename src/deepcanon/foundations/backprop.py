"""Backpropagation, by hand (Linnainmaa 1970; Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors").

    forward:   each step computes and stores  z = f(a_1, a_2, ...)
    backward:  delta(loss) = 1;  for each step, last to first, and each of its inputs:    delta(a) += (df/da)' delta(z)

An input is data, the result of an earlier step, or a parameter: all have names. Because deltas are added, a value with several descendants collects
from all of them, and a parameter used at several steps (a recurrent net's) gets the sum of its gradients.
B batch, I inputs, O outputs.
"""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from deepcanon.foundations import activations


class Function(NamedTuple):
    """A function and its transposed Jacobian.

    Args:
        value: (a_1, a_2, ...) -> z.
        pull: (delta(z), a_1, a_2, ...) -> what delta(z) adds to the delta of each a.
    """

    value: Callable[..., Tensor]
    pull: Callable[..., tuple[Tensor, ...]]


class Step(NamedTuple):
    """One line of a program: output = function(*inputs), by name."""

    output: str
    function: Function
    inputs: tuple[str, ...]


def elementwise(f: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Function:
    """An activation; its Jacobian is diagonal."""
    return Function(f, partial(scaled, slope=slope))


def scaled(delta: Tensor, a: Tensor, *, slope: Callable[[Tensor], Tensor]) -> tuple[Tensor]:
    """f'(a) delta, value by value."""
    return (slope(a) * delta,)


def affine(a: Float[Tensor, "B I"], w: Float[Tensor, "O I"], b: Float[Tensor, "O"]) -> Float[Tensor, "B O"]:
    """a w' + b."""
    return a @ w.T + b


def affine_pull(delta: Tensor, a: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """delta w, delta' a, and the sum of delta over the batch."""
    return delta @ w, delta.T @ a, delta.sum(0)


def add_pull(delta: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """delta for both."""
    return delta, delta


def multiply_pull(delta: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """delta times the other."""
    return delta * b, delta * a


def half_square(a: Tensor, y: Tensor) -> Float[Tensor, ""]:
    """||a - y||^2 / 2."""
    return (a - y).square().sum() / 2


def half_square_pull(delta: Tensor, a: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """delta (a - y), and its negative."""
    return delta * (a - y), delta * (y - a)


LINEAR = Function(affine, affine_pull)
ADD = Function(operator.add, add_pull)
MULTIPLY = Function(operator.mul, multiply_pull)
SQUARED_ERROR = Function(half_square, half_square_pull)
RELU = elementwise(activations.relu, activations.relu_slope)
SIGMOID = elementwise(activations.sigmoid, activations.sigmoid_slope)
TANH = elementwise(activations.tanh, activations.tanh_slope)


def forward(program: Sequence[Step], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every value of the program by name, from those of its data and parameters.

    Raises:
        ValueError: a step whose input nothing has computed, or that computes a value a second time.
    """
    values = dict(values)
    for output, function, inputs in program:
        if output in values or not values.keys() >= set(inputs):
            raise ValueError(f"{output} = f({', '.join(inputs)}) is computed already or needs a value that no earlier step gives")
        values[output] = function.value(*(values[name] for name in inputs))
    return values


def backward(program: Sequence[Step], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of the last step's output, a number, with respect to every value that it depends on.

    Args:
        values: what `forward` returned.

    Raises:
        ValueError: a last output that is not a number, or a delta of another shape than its value.
    """
    loss = program[-1].output
    if values[loss].shape != ():
        raise ValueError(f"expected a program that ends with a number, but {loss} is {tuple(values[loss].shape)}")
    deltas = {loss: values[loss].new_ones(())}
    for output, function, inputs in reversed(program):
        if output in deltas:
            pulled = function.pull(deltas[output], *(values[name] for name in inputs))
            for name, delta in zip(inputs, pulled, strict=True):
                if delta.shape != values[name].shape:
                    raise ValueError(f"the delta of {name} is {tuple(delta.shape)}, its value {tuple(values[name].shape)}: nothing is broadcast here")
                deltas[name] = deltas[name] + delta if name in deltas else delta
    return deltas
