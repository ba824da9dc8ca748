"""Backpropagation, by hand (Linnainmaa 1970; Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors").

    forward:   each step computes and stores  z = f(a_1, a_2, ...)
    backward:  delta(loss) = 1;  for each step, last to first, and each of its inputs:    delta(a) += (df/da)' delta(z)

An input is data, the result of an earlier step, or a parameter: all have names. Because deltas are added, a value with several descendants collects
from all of them, and a parameter used at several steps (a recurrent net's) gets the sum of its gradients.
B batch, I inputs, O outputs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

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
    return Function(f, lambda delta, a: (slope(a) * delta,))


LINEAR = Function(lambda a, w, b: a @ w.T + b, lambda delta, a, w, b: (delta @ w, delta.T @ a, delta.sum(0)))  # a (B, I), w (O, I), b (O,)
ADD = Function(lambda a, b: a + b, lambda delta, a, b: (delta, delta))
MULTIPLY = Function(lambda a, b: a * b, lambda delta, a, b: (delta * b, delta * a))
SQUARED_ERROR = Function(lambda a, y: (a - y).square().sum() / 2, lambda delta, a, y: (delta * (a - y), delta * (y - a)))
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
