"""What recipes ask of their data beyond `open_data`: a size, sides that can be halved, classes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcanon.data import Source

SIDE = 32                   # of the user's own images, where a method cannot take any


def size_of(source: Source) -> int:
    """How many numbers a data point has."""
    return math.prod(source.shape)


def halved(source: Source, times: int) -> tuple[int, int, int]:
    """The shape (C, H, W) of images whose sides can be halved so often; ValueError names a size that can."""
    if times < 1:
        raise ValueError(f"expected one halving of the images' sides or more, got {times}")
    multiple, (channels, *sides) = 2**times, source.shape
    if any(side % multiple for side in sides):
        nearest = max(1, sides[-1] // multiple) * multiple
        raise ValueError(f"{source.name}: expected images whose sides are multiples of {multiple}, "
                         f"got {' x '.join(map(str, sides))}; pass size={nearest}")
    return channels, sides[0], sides[1]


def square(source: Source) -> int:
    """The side of square images; ValueError where they are not square."""
    _, height, width = source.shape
    if height != width:
        raise ValueError(f"{source.name}: this method takes square images, got {height} x {width}; pass size={max(16, height)}")
    return height


def class_count(source: Source) -> int:
    """How many classes there are; ValueError where there are fewer than two."""
    if source.num_classes < 2:
        path = source.kind == "images" and not source.name.startswith("<")
        hint = "; a class is a folder of its own pictures" if path else ""
        raise ValueError(f"{source.name}: this method needs two classes or more, got {source.num_classes}{hint}")
    return source.num_classes


def in_turn(source: Source, draw: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, int], Tensor]:
    """From (method, y) -> draws of these classes: (method, n) -> n draws, of all classes in turn."""
    return lambda m, n: draw(m, torch.arange(n, device=next(m.parameters()).device) % class_count(source))
