"""Digit scenes: scikit-learn's digits of several sizes on a canvas, some close together, among clutter.

A scene has two to six digits, 16 to 32 pixels high, at brightness 0.6 to 1; in one scene of three each digit
after the first is put beside an earlier one, so that their boxes touch or overlap by up to a third. Four to
eight pieces of other digits and noise lie behind. Boxes are those of the ink. Digits of the test part are in
test scenes only. Nothing is fetched.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

SIDE, COUNTS = 96, {"train": 4_000, "test": 400}
HEIGHTS = (16, 20, 24, 28, 32)
INK, OVERLAP, TRIES = 60, 0.33, 30
Box = tuple[int, int, int, int]


class Scene(NamedTuple):
    """A picture, uint8 (SIDE, SIDE), its boxes (x0, y0, x1, y1) and their digits."""

    picture: np.ndarray
    boxes: list[Box]
    labels: list[int]


def digit_scenes(split: str, count: int | None = None) -> list[Scene]:
    """The scenes of a split, always the same ones; the first `count` of them."""
    from .pictures import digits

    content = digits(split)
    glyphs = {side: enlarged(content.x, side) for side in HEIGHTS}
    rng = np.random.default_rng(len(COUNTS) if split == "train" else 0)
    return [scene(glyphs, content.y.numpy(), rng) for _ in range(count or COUNTS[split])]


def enlarged(x: torch.Tensor, side: int) -> np.ndarray:
    """Digits (N, 1, 8, 8) of 0..16 as uint8 (N, side, side)."""
    y = F.interpolate(x.float() * (255 / 16), (side, side), mode="bicubic", align_corners=False)
    return y.round().clamp(0, 255).to(torch.uint8)[:, 0].numpy()


def scene(glyphs: dict[int, np.ndarray], labels: np.ndarray, rng: np.random.Generator) -> Scene:
    """One scene."""
    picture = rng.integers(0, 24, (SIDE, SIDE), dtype=np.uint8)
    for _ in range(rng.integers(4, 9)):
        add_clutter(picture, glyphs, len(labels), rng)
    crowded, boxes, found = rng.random() < 1 / 3, [], []
    for _ in range(rng.integers(2, 7)):
        side, row = int(rng.choice(HEIGHTS)), int(rng.integers(len(labels)))
        glyph = glyphs[side][row]
        x0, y0, x1, y1 = ink(glyph)
        glyph = (glyph[y0:y1, x0:x1] * rng.uniform(0.6, 1)).astype(np.uint8)
        beside = boxes[rng.integers(len(boxes))] if crowded and boxes else None
        if box := place(glyph.shape, boxes, beside, rng):
            part = picture[box[1] : box[3], box[0] : box[2]]
            np.maximum(part, glyph, out=part)
            boxes.append(box)
            found.append(int(labels[row]))
    return Scene(picture, boxes, found)


def add_clutter(
    picture: np.ndarray, glyphs: dict[int, np.ndarray], count: int, rng: np.random.Generator
) -> None:
    """A piece of some digit, a quarter of it at most, somewhere."""
    side = int(rng.choice(HEIGHTS))
    piece = glyphs[side][rng.integers(count)]
    height, width = rng.integers(side // 4, side // 2, 2)
    top, left = rng.integers(0, side - height), rng.integers(0, side - width)
    y, x = rng.integers(0, SIDE - height), rng.integers(0, SIDE - width)
    part = picture[y : y + height, x : x + width]
    np.maximum(
        part,
        (piece[top : top + height, left : left + width] * rng.uniform(0.4, 0.8)).astype(np.uint8),
        out=part,
    )


def ink(glyph: np.ndarray) -> Box:
    """The box of what is bright."""
    rows, columns = (np.flatnonzero((glyph > INK).any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def place(
    shape: tuple[int, ...], boxes: list[Box], beside: Box | None, rng: np.random.Generator
) -> Box | None:
    """A place for a digit that covers no other by more than `OVERLAP` (apart: not at all); None when none is
    found among `TRIES`."""
    height, width = shape
    ends = (0, SIDE - width), (0, SIDE - height)
    if beside is not None:
        ends = (beside[0] - width, beside[2]), (beside[1] - height, beside[3])
    x, y = (rng.integers(low, high + 1, TRIES) for low, high in ends)
    corner = np.stack([x.clip(0, SIDE - width), y.clip(0, SIDE - height)], 1)
    tries = np.concatenate([corner, corner + np.array([width, height])], 1)
    fits = covered(tries, np.array(boxes).reshape(-1, 4)).max(1, initial=0) <= (
        0 if beside is None else OVERLAP
    )
    if not fits.any():
        return None
    x0, y0, x1, y1 = tries[fits.argmax()].tolist()
    return x0, y0, x1, y1


def covered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of every a (A, 4) and b (B, 4) the share of the smaller one that lies in the other, (A, B)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return (high - low).clip(0).prod(2) / np.minimum(areas[0][:, None], areas[1])
