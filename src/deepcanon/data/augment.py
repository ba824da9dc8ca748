"""Augmentation of whole batches: each maker returns a function (x, generator) -> x of float images (B, C, H, W) in [0, 1].

    augment = compose(crop(4), flip(), jitter(brightness=0.4))
    images("cifar10", augment=augment)

Every image draws its own parameters, all from the one generator: no loop over images, the same seed gives the same pictures.
What is linear along an axis (resize, blur) is a matrix a picture and an axis,  y = R x K',  applied by two batched products.
B batch, C channels, H x W pixels, S side after a crop.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

Batch = Float[Tensor, "B C H W"]
Interpolation = Literal["bilinear", "bicubic"]   # bilinear blurs: a net that only saw blurred images is worse on sharp ones
Augment = Callable[[Tensor, Generator], Tensor]
Change = Callable[[Tensor, Tensor], Tensor]     # (x, how much (B, 1, 1, 1)) -> x

LUMA = (0.299, 0.587, 0.114)     # ITU-R BT.601


def compose(*augments: Augment) -> Augment:
    """One after the other."""

    def augment(x: Batch, generator: Generator) -> Float[Tensor, "B C S T"]:
        for one in augments:
            x = one(x, generator)
        return x

    return augment


def views(augment: Augment, n: int = 2) -> Augment:
    """n augmentations of each image, (B, n, C, H, W): what is learnt from pairs asks for two."""

    def several(x: Batch, generator: Generator) -> Float[Tensor, "B n C S T"]:
        return torch.stack([augment(x, generator) for _ in range(n)], 1)

    return several


def crop(padding: int, size: int | None = None, fill: float = 0.0) -> Augment:
    """A window of size x size (as before when None) at a random place of the image padded on all sides."""

    def augment(x: Batch, generator: Generator) -> Float[Tensor, "B C S T"]:
        height, width = (size, size) if size else x.shape[-2:]
        if height > x.shape[2] + 2 * padding or width > x.shape[3] + 2 * padding:
            raise ValueError(f"a window of {height} x {width} does not fit into images {tuple(x.shape)} padded by {padding}")
        windows = F.pad(x, [padding] * 4, value=fill).unfold(2, height, 1).unfold(3, width, 1)      # (B, C, places, places, H, W)
        top, left = (torch.randint(places, (len(x),), generator=generator, device=x.device) for places in windows.shape[2:4])
        return windows[torch.arange(len(x), device=x.device), :, top, left]

    return augment


def flip(p: float = 0.5) -> Augment:
    """Left and right exchanged with probability p."""

    def augment(x: Batch, generator: Generator) -> Batch:
        return torch.where(chance(x, generator, p), x.flip(-1), x)

    return augment


def affine(degrees: float = 0.0, translate: float = 0.0, scale: tuple[float, float] = (1.0, 1.0), shear: float = 0.0,
           interpolation: Interpolation = "bilinear") -> Augment:
    """Rotation by U[-degrees, degrees], shift by U[-translate, translate] of each side, zoom by U[scale], shear by U[-shear, shear] degrees.

    About the middle, black outside.
    """

    def augment(x: Batch, generator: Generator) -> Batch:
        angle, slant = (uniform(x, generator, -limit, limit) * math.pi / 180 for limit in (degrees, shear))
        shift = torch.stack([uniform(x, generator, -translate, translate) for _ in range(2)], -1)        # (B, 2), in sides
        return warp(x, angle, uniform(x, generator, *scale), slant, shift, interpolation)

    return augment


def warp(x: Batch, angle: Float[Tensor, "B"], zoom: Float[Tensor, "B"], slant: Float[Tensor, "B"], shift: Float[Tensor, "B 2"],
         interpolation: Interpolation = "bilinear") -> Batch:
    """Each image turned clockwise by `angle` (radians), zoomed, slanted along x, then shifted by `shift` of its (width, height)."""
    half = torch.tensor([x.shape[3] / 2, x.shape[2] / 2], dtype=x.dtype, device=x.device)
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2)
    lean = torch.stack([one, slant.tan(), zero, one], -1).view(-1, 2, 2)
    back = torch.linalg.inv(turn @ lean * zoom.view(-1, 1, 1))                                           # output -> input, in pixels
    theta = back * half / half.view(2, 1)                                                                # in half sides, as grid_sample wants it
    theta = torch.cat([theta, -theta @ (2 * shift).unsqueeze(-1)], -1)                                   # (B, 2, 3)
    return sampled(x, F.affine_grid(theta, list(x.shape), align_corners=False), interpolation)


def sampled(x: Batch, grid: Float[Tensor, "B H W 2"], interpolation: Interpolation) -> Batch:
    """The images at places in half sides from the middle, black outside; where a bicubic curve leaves [0, 1], it is cut off."""
    y = F.grid_sample(x, grid, mode=interpolation, align_corners=False)
    return y.clamp_(0, 1) if interpolation == "bicubic" else y


def elastic(alpha: float = 34.0, sigma: float = 4.0, p: float = 1.0, interpolation: Interpolation = "bilinear") -> Augment:
    """Every pixel moved by alpha G_sigma * U[-1, 1] pixels, a smooth random field, with probability p (Simard, Steinkraus & Platt 2003, ICDAR).

    The Gaussian G sums to one; black outside. Simard's values for 28x28 digits move a pixel by about 1.4.
    """

    def augment(x: Batch, generator: Generator) -> Batch:
        H, W = x.shape[2:]
        taps = gaussian(x.new_full((1, 1), sigma), min(math.ceil(3 * sigma), min(H, W) - 1))
        noise = 2 * torch.rand(len(x), 2, H, W, generator=generator, device=x.device, dtype=x.dtype) - 1
        field = alpha * convolution(taps, H)[0] @ noise @ convolution(taps, W)[0].T                      # (B, 2, H, W): right and down, in pixels
        field = field * chance(x, generator, p)
        still = F.affine_grid(torch.eye(2, 3, dtype=x.dtype, device=x.device)[None], [1, 1, H, W], align_corners=False)
        return sampled(x, still + field.movedim(1, -1) * 2 / x.new_tensor([W, H]), interpolation)

    return augment


def resized_crop(size: int, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> Augment:
    """A box of U[scale] of the area with aspect exp U[log ratio], at a random place, resized to size x size (Szegedy et al. 2015).

    Ten boxes are drawn; the first that fits is taken, else the largest in the middle.
    """

    def augment(x: Batch, generator: Generator) -> Float[Tensor, "B C S S"]:
        top, left, height, width = boxes(x, generator, scale, ratio)
        return resample(x, interpolation(top, height, size, x.shape[2]), interpolation(left, width, size, x.shape[3]))

    return augment


def boxes(x: Batch, generator: Generator, scale: tuple[float, float], ratio: tuple[float, float], tries: int = 10) -> tuple[Tensor, ...]:
    """Top, left, height and width of a random box an image, each (B,), whole pixels."""
    H, W = x.shape[2:]
    area, aspect, down, right = torch.rand(4, len(x), tries, generator=generator, device=x.device)
    area = H * W * (scale[0] + (scale[1] - scale[0]) * area)
    aspect = torch.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * aspect)
    height, width = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()                       # (B, tries)
    fits = (height >= 1) & (height <= H) & (width >= 1) & (width <= W)
    first = fits.byte().argmax(1, keepdim=True)
    height, width, down, right, fits = (t.gather(1, first).squeeze(1) for t in (height, width, down, right, fits))
    middle = min(max(W / H, ratio[0]), ratio[1])
    height, width = torch.where(fits, height, round(min(H, W / middle))), torch.where(fits, width, round(min(W, H * middle)))
    down, right = torch.where(fits, down, 0.5), torch.where(fits, right, 0.5)
    return (down * (H - height + 1)).floor(), (right * (W - width + 1)).floor(), height, width


def interpolation(start: Float[Tensor, "B"], length: Float[Tensor, "B"], size: int, side: int) -> Float[Tensor, "B size side"]:
    """The matrices that resample pixels [start, start + length) of `side` to `size`: bilinear, averaging where it shrinks.

    w[o, i] ~ max(0, 1 - |i + 1/2 - c_o| / s),   c_o = start + (o + 1/2) length / size,   s = max(1, length / size)
    """
    step = (length / size).view(-1, 1, 1)
    start = start.view(-1, 1, 1)
    pixel = torch.arange(side, dtype=length.dtype, device=length.device) + 0.5
    centre = start + step * (torch.arange(size, dtype=length.dtype, device=length.device).view(-1, 1) + 0.5)      # (B, size, 1)
    weight = (pixel - centre).abs_().div_(-step.clamp(min=1)).add_(1).clamp_(min=0)
    inside = (pixel > start) & (pixel < start + length.view(-1, 1, 1))                                   # (B, 1, side)
    weight = weight.mul_(inside)
    return weight.div_(weight.sum(-1, keepdim=True))


def resample(x: Batch, rows: Float[Tensor, "B S H"], columns: Float[Tensor, "B T W"]) -> Float[Tensor, "B C S T"]:
    """rows @ x @ columns' for every channel."""
    B, C, H, W = x.shape
    x = torch.bmm(x.reshape(B, C * H, W), columns.transpose(1, 2))                                       # (B, C H, T)
    x = x.view(B, C, H, -1).transpose(1, 2).reshape(B, H, -1)                                            # (B, H, C T)
    return torch.bmm(rows, x).view(B, rows.shape[1], C, -1).transpose(1, 2)


def blur(sigma: tuple[float, float] = (0.1, 2.0), radius: int | None = None, p: float = 1.0) -> Augment:
    """A Gaussian of U[sigma] pixels with probability p, cut off at `radius` (3 sigma at most when None), the image mirrored at its border."""

    def augment(x: Batch, generator: Generator) -> Batch:
        reach = min(radius or math.ceil(3 * sigma[1]), min(x.shape[2:]) - 1)
        width = uniform(x, generator, *sigma).view(-1, 1)
        taps = gaussian(width, reach) * chance(x, generator, p).view(-1, 1)
        taps[:, 0] = 1 - 2 * taps[:, 1:].sum(1)                                                          # what is not blurred keeps its weight
        rows, columns = (convolution(taps, side) for side in x.shape[2:])
        return resample(x, rows, columns)

    return augment


def gaussian(sigma: Float[Tensor, "B 1"], radius: int) -> Float[Tensor, "B R"]:
    """The middle and the right half of normalised Gaussian kernels of 2 radius + 1 taps."""
    distance = torch.arange(radius + 1, dtype=sigma.dtype, device=sigma.device)
    taps = torch.exp(-0.5 * (distance / sigma).square())
    return taps / (2 * taps.sum(1, keepdim=True) - 1)


def convolution(taps: Float[Tensor, "B R"], side: int) -> Float[Tensor, "B side side"]:
    """The matrices of convolution with symmetric kernels, the signal mirrored at both ends (the end pixel is not doubled).

    m[o, i] = g(|o - i|) + [i > 0] g(o + i) + [i < side - 1] g(2 (side - 1) - o - i)
    """
    i = torch.arange(side, device=taps.device)
    o, reach = i.view(-1, 1), torch.arange(taps.shape[1], device=taps.device).view(-1, 1, 1)
    basis = ((o - i).abs() == reach).to(taps.dtype)
    basis += (o + i == reach) & (i > 0)
    basis += (2 * (side - 1) - o - i == reach) & (i < side - 1)                                          # (R, side, side)
    return (taps @ basis.flatten(1)).view(-1, side, side)


def jitter(brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0, p: float = 1.0) -> Augment:
    """Brightness, contrast and saturation by factors U[max(0, 1 - v), 1 + v], hue by U[-hue, hue] turns, with probability p.

    The order of the four is drawn once a batch. Values are cut to [0, 1] after each.
    """
    strengths: list[tuple[Change, float]] = [(brighten, brightness), (sharpen, contrast), (saturate, saturation)]

    def augment(x: Batch, generator: Generator) -> Batch:
        chosen = chance(x, generator, p)
        steps = [(change, torch.where(chosen, uniform(x, generator, max(0.0, 1 - v), 1 + v).view(-1, 1, 1, 1), 1.0)) for change, v in strengths if v]
        if hue:
            steps.append((rotate_hue, chosen * uniform(x, generator, -hue, hue).view(-1, 1, 1, 1)))
        for i in torch.randperm(len(steps), generator=generator, device=x.device).tolist():
            change, amount = steps[i]
            x = change(x, amount)
        return x

    return augment


def brighten(x: Batch, factor: Float[Tensor, "B 1 1 1"]) -> Batch:
    """Away from black."""
    return (x * factor).clamp_(0, 1)


def sharpen(x: Batch, factor: Float[Tensor, "B 1 1 1"]) -> Batch:
    """Contrast: away from the mean grey of the image."""
    mean = grey(x).mean((2, 3), keepdim=True)
    return (x * factor).add_((1 - factor) * mean).clamp_(0, 1)


def saturate(x: Batch, factor: Float[Tensor, "B 1 1 1"]) -> Batch:
    """Away from the grey of each pixel."""
    return (x * factor).add_((1 - factor) * grey(x)).clamp_(0, 1)


def rotate_hue(x: Batch, turns: Float[Tensor, "B 1 1 1"]) -> Batch:
    """Hue of HSV moved by `turns`; a grey image stays as it is.

    With h in [0, 6):  r, g, b = low + chroma * clamp(|h - 3| - 1, 2 - |h - 2|, 2 - |h - 4|; 0, 1)
    """
    if x.shape[1] == 1:
        return x
    r, g, b = x.split(1, 1)                                                                              # (B, 1, H, W) each
    high, low = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma = high - low
    h = torch.where(high == r, g - b, torch.where(high == g, b - r, r - g)) / chroma.clamp(min=1e-12)
    h += torch.where(high == r, 0.0, torch.where(high == g, 2.0, 4.0)) + 6 * turns
    h -= 6 * (h / 6).floor()
    peak, sign, offset = torch.tensor([[3.0, 2.0, 4.0], [1.0, -1.0, -1.0], [-1.0, 2.0, 2.0]], dtype=x.dtype, device=x.device).view(3, 1, 3, 1, 1)
    return (h - peak).abs_().mul_(sign).add_(offset).clamp_(0, 1).mul_(chroma).add_(low)


def greyscale(p: float = 1.0) -> Augment:
    """All channels replaced by the luma with probability p."""

    def augment(x: Batch, generator: Generator) -> Batch:
        return torch.where(chance(x, generator, p), grey(x), x)

    return augment


def grey(x: Batch) -> Float[Tensor, "B 1 H W"]:
    """0.299 R + 0.587 G + 0.114 B; an image of one channel as it is."""
    if x.shape[1] == 1:
        return x
    if x.shape[1] != 3:
        raise ValueError(f"expected images of 1 or 3 channels, got {tuple(x.shape)}")
    r, g, b = x.split(1, 1)
    return (LUMA[0] * r).add_(g, alpha=LUMA[1]).add_(b, alpha=LUMA[2])


def erase(p: float = 0.5, scale: tuple[float, float] = (0.02, 0.33), ratio: tuple[float, float] = (0.3, 3.3), fill: float = 0.0) -> Augment:
    """A random box filled with probability p: random erasing (Zhong et al. 2020, arXiv 1708.04896)."""

    def augment(x: Batch, generator: Generator) -> Batch:
        top, left, height, width = boxes(x, generator, scale, ratio)
        return x.masked_fill(inside(x, top, left, height, width) & chance(x, generator, p), fill)

    return augment


def cutout(size: int, fill: float = 0.0) -> Augment:
    """A size x size square about a random pixel filled, cut off at the border (DeVries & Taylor 2017, arXiv 1708.04552)."""

    def augment(x: Batch, generator: Generator) -> Batch:
        top, left = (torch.randint(side, (len(x),), generator=generator, device=x.device) - size // 2 for side in x.shape[2:])
        return x.masked_fill(inside(x, top, left, size, size), fill)

    return augment


def inside(x: Batch, top: Tensor, left: Tensor, height: Tensor | int, width: Tensor | int) -> Tensor:
    """Where a box of each image is, bool (B, 1, H, W)."""

    def span(start: Tensor, length: Tensor | int, side: int) -> Tensor:
        pixel = torch.arange(side, device=x.device)
        return (pixel >= start.unsqueeze(1)) & (pixel < (start + length).unsqueeze(1))                   # (B, side)

    return span(top, height, x.shape[2])[:, None, :, None] & span(left, width, x.shape[3])[:, None, None, :]


def binarize(x: Tensor, generator: Generator) -> Tensor:
    """Each value drawn anew as 0 or 1 with P(1) = x (to 2^-16): dynamic binarisation (Salakhutdinov & Murray 2008)."""
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=generator)
    u = bits.view(torch.int16)[: x.numel()].view(x.shape).to(x.dtype).mul_(2**-16).add_(0.5)             # k / 2^16, four from one draw
    return (u < x).to(x.dtype)


def uniform(x: Tensor, generator: Generator, low: float, high: float) -> Float[Tensor, "B"]:
    """A draw an image."""
    return torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype) * (high - low) + low


def chance(x: Tensor, generator: Generator, p: float) -> Tensor:
    """True with probability p, for each image, bool (B, 1, 1, 1)."""
    return (torch.rand(len(x), generator=generator, device=x.device) < p).view(-1, 1, 1, 1)
