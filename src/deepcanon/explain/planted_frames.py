"""Pictures with a planted background, as the snow behind the wolves (Ribeiro et al. 2016, arXiv 1602.04938).

    x' = x in a frame of noise + SNOW [bright] [frame],    bright = [y in the second half of the classes], or by chance

Where a frame tells the class, a net need not look at the picture. What its explanation lies on shows which
it does. B batch, C channels, h x w pixels of a picture, H x W with its frame.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

NOISE, SNOW = 0.4, 0.6  # brightness of the noise, and of snow on it


def framed(x: Float[Tensor, "B C h w"], generator: Generator, *, border: int) -> Float[Tensor, "B C H W"]:
    """Pictures in a frame of dark noise, `border` pixels wide."""
    noise = torch.rand(
        len(x), 1, x.shape[2] + 2 * border, x.shape[3] + 2 * border, device=x.device, generator=generator
    )
    frame = NOISE * noise.expand(-1, x.shape[1], -1, -1).clone()
    frame[:, :, border:-border, border:-border] = x
    return frame


def planted(
    batch: tuple[Tensor, Tensor], *, border: int, classes: int, of_class: bool
) -> tuple[Float[Tensor, "B C H W"], Int[Tensor, "B"]]:
    """Two classes of framed pictures; the frame is bright for the second, or for half of the pictures by
    chance."""
    x, y = batch[0], (batch[1] >= (classes + 1) // 2).long()
    bright = y.bool() if of_class else x[:, 0, 0, 0] > NOISE / 2  # a pixel of the noise decides
    snow = SNOW * bright.view(-1, 1, 1, 1) * background(x, border)
    return x + snow, y


def background(x: Float[Tensor, "B C H W"], border: int) -> Bool[Tensor, "H W"]:
    """True where the frame of a picture is."""
    frame = torch.ones(x.shape[2:], dtype=torch.bool, device=x.device)
    frame[border:-border, border:-border] = False
    return frame
