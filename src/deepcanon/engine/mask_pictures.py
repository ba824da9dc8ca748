"""Label maps as pictures: colours far apart, drawn over images, and palette PNG files whose indices are the labels."""

from __future__ import annotations

import colorsys
import io

import torch
from torch import Tensor

OPAQUE = 0.55                                           # of colours over an image
GOLDEN = 0.6180339887                                   # turns between neighbouring hues: all of any number lie far apart
IGNORED = 255


def palette(background: bool = True) -> Tensor:
    """256 colours, uint8 (256, 3): black for label 0 where it is the background, white for the ignored one."""
    hues = [colorsys.hsv_to_rgb(GOLDEN * k % 1, (0.85, 0.6)[k % 2], (1.0, 0.8)[k // 2 % 2]) for k in range(256)]
    colours = (255 * torch.tensor(hues)).round().to(torch.uint8)
    if background:
        colours[0] = 0
    colours[IGNORED] = 255
    return colours


def coloured(y: Tensor, background: bool = True) -> Tensor:
    """Label maps (..., H, W) as colours in [0, 1], (..., 3, H, W); numbers of objects above 254 begin anew at 1."""
    labels = torch.where(y > IGNORED, (y - 1) % (IGNORED - 1) + 1, y).clamp(min=0).long()
    return palette(background)[labels].movedim(-1, -3).float() / 255


def overlay(x: Tensor, y: Tensor, background: bool = True) -> Tensor:
    """Images (B, C, H, W) in [0, 1] with the colours of their label maps (B, H, W) over them; the background stays clear."""
    x = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] != 3 else x
    colours, shown = coloured(y, background), (y > 0 if background else y >= 0)[:, None]
    return torch.where(shown, (1 - OPAQUE) * x + OPAQUE * colours, x)


def palette_png(y: Tensor, background: bool = True) -> bytes:
    """A label map (H, W) as a PNG file: one byte a pixel with a palette, of numbers above 255 sixteen bits in grey."""
    import numpy as np
    from PIL import Image

    if int(y.max()) > IGNORED:
        picture = Image.fromarray(y.numpy().astype(np.uint16))
    else:
        picture = Image.fromarray(y.to(torch.uint8).numpy(), mode="P")
        picture.putpalette(palette(background).flatten().tolist())
    picture.save(file := io.BytesIO(), format="png")
    return file.getvalue()
