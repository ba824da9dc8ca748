"""Pictures with boxes drawn on them, with their classes and scores."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

COLOURS = [
    "#e6194b",
    "#3cb44b",
    "#4363d8",
    "#f58231",
    "#911eb4",
    "#008080",
    "#9a6324",
    "#808000",
    "#000075",
    "#e6007e",
]
LEAST, COLUMNS = 0.3, 4  # scores below are not drawn


def boxes_grid(x: Tensor, found: Sequence[Any], classes: Sequence[str]) -> bytes:
    """Pictures (N, C, H, W) in [0, 1] side by side as a PNG; `found` has boxes, scores and labels of each."""
    columns = min(COLUMNS, len(x))
    rows = math.ceil(len(x) / columns)
    shape = x.shape[3] / x.shape[2]
    return drawn(
        [(x[i], found[i]) for i in range(len(x))],
        classes,
        rows,
        columns,
        (2.6 * columns * max(shape, 0.5), 2.6 * rows),
    )


def boxes_picture(x: Tensor, found: Any, classes: Sequence[str]) -> bytes:
    """One picture (C, H, W) at its own size or larger."""
    side = max(4.0, x.shape[2] / 110)
    return drawn([(x, found)], classes, 1, 1, (side * x.shape[2] / x.shape[1], side))


def drawn(
    pictures: Sequence[tuple[Tensor, Any]],
    classes: Sequence[str],
    rows: int,
    columns: int,
    inches: tuple[float, float],
) -> bytes:
    """The pictures with their boxes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (x, found) in zip(grid, pictures, strict=False):
        draw(axes, x, found, classes)
    for axes in figure.axes:
        axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def draw(axes: Any, x: Tensor, found: Any, classes: Sequence[str]) -> None:
    """One picture and its boxes; the centres of its pixels are at whole numbers."""
    from matplotlib.patches import Rectangle

    pixels = x.permute(1, 2, 0).squeeze(-1).clamp(0, 1).float().numpy()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    parts = (part.tolist() for part in (found.boxes, found.scores, found.labels))
    for (x0, y0, x1, y1), score, label in zip(*parts, strict=True):
        if score >= LEAST:
            colour, corner = COLOURS[label % len(COLOURS)], (x0 - 0.5, y0 - 0.5)
            axes.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))
            name = {"facecolor": colour, "pad": 0.8, "linewidth": 0}
            text = f"{classes[label][:12]} {score:.2f}"
            axes.text(*corner, text, fontsize=6, color="white", va="bottom", bbox=name)
