"""Gymnasium's spaces as what agents see: observations as one float32 array, actions as a number 0 .. n - 1 or
one real vector.

    observations    Box                            its array
                    Discrete                       one-hot of o - start
                    other, Dict and Tuple          Gymnasium's `flatten`
    actions         Discrete                       start + a
                    MultiDiscrete, MultiBinary     the a-th combination
                    Box, Dict and Tuple of Boxes   clipped to the bounds, in the type of the space
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from deepcanon.data.env_checks import as_array, as_number, as_observation, as_vector, shown

MAX_COMBINATIONS = 10_000  # of a MultiDiscrete as one discrete action


class Observations(NamedTuple):
    """Shape of the agent's observations, how one is made from the environment's, and a note that says so."""

    shape: tuple[int, ...]
    encode: Callable[[Any], np.ndarray]
    note: str


class Actions(NamedTuple):
    """The agent's actions, how one becomes the environment's, and a note that says so; bounds of real actions are
    float32, of `shape`."""

    num_actions: int | None
    shape: tuple[int, ...]
    bounds: tuple[np.ndarray, np.ndarray] | None
    decode: Callable[[Any], Any]
    note: str


def leaves(space: spaces.Space) -> Iterator[spaces.Space]:
    """The spaces that a Dict or Tuple is made of, at any depth."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for part in space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces:
            yield from leaves(part)
    else:
        yield space


# observations


def observations(space: Any) -> Observations:
    """How observations of a space are read.

    Raises:
        ValueError: a space without a fixed number of numbers.
    """
    if isinstance(space, spaces.Box):
        shape = space.shape or (1,)
        return Observations(
            shape, partial(as_observation, shape=shape), f"{space.dtype} copied to float32, not rescaled"
        )
    known = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    other = [leaf for leaf in leaves(space) if not isinstance(leaf, known)]
    if other or not isinstance(space, spaces.Space):
        raise ValueError(
            f"observations {other[0] if other else space}: expected a Box, Discrete, MultiDiscrete or "
            "MultiBinary space, "
            "or a Dict or Tuple of them"
        )
    flat = float_boxes(space)
    shape = spaces.flatten_space(flat).shape or (0,)

    def encode(value: Any) -> np.ndarray:
        return np.asarray(spaces.flatten(flat, conform(space, value, "observation")), np.float32)

    if isinstance(space, spaces.Discrete):
        return Observations(shape, encode, f"one-hot vectors of {space.n} numbers")
    return Observations(shape, encode, f"flattened to {shape[0]} numbers in float32, discrete parts one-hot")


def float_boxes(space: Any) -> Any:
    """The space with its Boxes in float32, so that flattening one rounds no number to an integer."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict(OrderedDict((key, float_boxes(part)) for key, part in space.spaces.items()))
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([float_boxes(part) for part in space.spaces])
    return spaces.Box(-np.inf, np.inf, space.shape, np.float32) if isinstance(space, spaces.Box) else space


def conform(space: Any, value: Any, name: str) -> Any:
    """The value in the form that Gymnasium's `flatten` expects; ValueError says which part of it is not in
    the space."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            found = sorted(value) if isinstance(value, Mapping) else shown(value)
            raise ValueError(f"expected {name} with the keys {sorted(space.spaces)}, got {found}")
        return {key: conform(part, value[key], f"{name}[{key!r}]") for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            raise ValueError(f"expected {name} to be a tuple of {len(space.spaces)}, got {shown(value)}")
        return tuple(conform(part, value[i], f"{name}[{i}]") for i, part in enumerate(space.spaces))
    if isinstance(space, spaces.Box):
        try:
            return as_observation(value, space.shape)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return whole_numbers(space, value, name)


def whole_numbers(space: Any, value: Any, name: str) -> Any:
    """A value of a Discrete, MultiDiscrete or MultiBinary space, as an integer or an array of them."""
    low = getattr(space, "start", 0)
    count = space.n if isinstance(space, spaces.Discrete) else getattr(space, "nvec", 2)
    array = as_array(value)
    if isinstance(space, spaces.Discrete) and array is not None and array.size == 1:
        array = array.reshape(())
    if (
        array is None
        or array.shape != space.shape
        or not ((array == np.rint(array)) & (low <= array) & (array < low + count)).all()
    ):
        raise ValueError(f"expected {name} in {space}, got {shown(value)}")
    return int(array) if isinstance(space, spaces.Discrete) else array.astype(space.dtype)


# actions


def actions(space: Any) -> Actions:
    """How actions of a space are chosen.

    Raises:
        ValueError: actions that are neither a number nor a real vector, or more than 10,000 combinations.
    """
    if isinstance(space, spaces.Discrete):
        start, n = int(space.start), int(space.n)
        convert = space.dtype.type
        note = f"{start}..{start + n - 1}, numbered 0..{n - 1} for the agent" if start else f"0..{n - 1}"
        return Actions(n, (), None, lambda action: convert(start + as_number(action, n)), note)
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        return combinations(space)
    if isinstance(space, spaces.Box):
        return vectors(space, lambda vector: vector.reshape(space.shape))
    if isinstance(space, spaces.Dict | spaces.Tuple) and all(
        isinstance(p, spaces.Box) and p.dtype.kind == "f" for p in leaves(space)
    ):
        return vectors(spaces.flatten_space(space), partial(spaces.unflatten, space))
    raise ValueError(
        f"actions {space}: expected a Discrete, MultiDiscrete, MultiBinary or Box space, or a Dict or "
        "Tuple of real Boxes"
    )


def combinations(space: Any) -> Actions:
    """Every combination of several discrete choices as one discrete action, the last choice fastest."""
    sizes = (
        [int(n) for n in space.nvec.flat]
        if isinstance(space, spaces.MultiDiscrete)
        else [2] * math.prod(space.shape)
    )
    total, start = math.prod(sizes), getattr(space, "start", 0)
    if total > MAX_COMBINATIONS:
        raise ValueError(
            f"actions {space}: expected at most {MAX_COMBINATIONS:,} combinations, which become one "
            "discrete action, "
            f"got {total:,}"
        )

    def decode(action: Any) -> np.ndarray:
        chosen = np.unravel_index(as_number(action, total), sizes)
        return (np.array(chosen).reshape(space.shape) + start).astype(space.dtype)

    return Actions(
        total,
        (),
        None,
        decode,
        f"the {total} combinations of {len(sizes)} choices, numbered 0..{total - 1} for the agent",
    )


def vectors(space: Any, shape_back: Callable[[np.ndarray], Any]) -> Actions:
    """Real vectors, clipped to the bounds of a Box on their way, and rounded if its type is an integer."""
    size = math.prod(space.shape)
    low, high = space.low.reshape(size), space.high.reshape(size)

    def decode(action: Any) -> Any:
        return shape_back(as_vector(action, (size,), space.dtype, low, high))

    how = "rounded, clipped to the bounds" if space.dtype.kind in "iu" else "clipped to the bounds"
    return Actions(
        None,
        (size,),
        (low.astype(np.float32), high.astype(np.float32)),
        decode,
        f"{how} and passed on as {space.dtype}",
    )
