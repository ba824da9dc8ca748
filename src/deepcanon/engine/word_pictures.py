"""Where a captioner looked: the image once for each word, bright at the places of high weight."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from torch import Tensor


def words_png(x: Tensor, words: Sequence[str], weights: Tensor) -> bytes:
    """A picture of an image (C, H, W) in [0, 1] and, for each word, its weights (h, w) laid over it, as a PNG file.

    Each word's weights are drawn from 0 to their largest.
    """
    import matplotlib
    from matplotlib.figure import Figure

    image = x.permute(1, 2, 0).squeeze(-1).clamp(0, 1).numpy()
    columns = min(6, len(words) + 1)
    rows = math.ceil((len(words) + 1) / columns)
    figure = Figure(figsize=(1.6 * columns, 1.85 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flat
    for i, axes in enumerate(places):
        axes.set_axis_off()
        if i > len(words):
            continue
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(0, 1, 0, 1))
        if i:
            weight = weights[i - 1].float().numpy()
            axes.imshow(weight, cmap=matplotlib.colormaps["inferno"], alpha=0.6, vmin=0, extent=(0, 1, 0, 1), interpolation="nearest")
            axes.set_title(words[i - 1], fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
