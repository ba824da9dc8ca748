"""Sounds in 256 companded levels: the user's own, cut into pieces, and a resonance whose law is known."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from deepcanon.autoregressive.density import AutoregressiveDensity
from deepcanon.autoregressive.mu_law import compand, expand
from deepcanon.data import Source, arrays, augment, open_data


def open_sounds(data: Any, length: int, *, batch: int, seed: int) -> tuple[Any, list[Any], tuple[int, int]]:
    """Batches to train on, evaluations, and the shape (channels, T): of "resonance" or the user's sounds."""
    if isinstance(data, str) and data == "resonance":
        (sound, _), (heard, bits) = resonance(4_096, length, seed=1), resonance(512, length, seed=2)
        test = arrays(heard, batch=256, shuffle=False)
        return arrays(sound, batch=batch, seed=seed), [test, excess(test, bits.item())], (1, length)
    source = open_data(data, "arrays")
    shape, cut = pieces(source, length)
    return source.train(batch=batch, seed=seed, augment=cut), [source.test(batch=256, augment=cut)], shape


def pieces(source: Source, length: int) -> tuple[tuple[int, int], augment.Augment]:
    """The shape (channels, T) of pieces of sounds, and what makes them: levels, cut at one place a batch."""
    if len(source.shape) not in (1, 2):
        raise ValueError(f"{source.name}: expected sounds (N, T) or (N, channels, T), got shape (N, "
                         f"{', '.join(map(str, source.shape))})")
    levels = cache(lambda: levels_of(source))

    def cut(x: Tensor, generator: torch.Generator) -> Tensor:
        x = x[:, None] if x.ndim == 2 else x
        start = torch.randint(max(1, x.shape[-1] - length + 1), (), generator=generator, device=x.device)
        return levels()(x[..., start : start + length])

    return ((*source.shape[:-1], 1)[0], min(length, source.shape[-1])), cut


def levels_of(source: Source) -> Callable[[Tensor], Tensor]:
    """How the values of sounds become levels in [0, 1]; ValueError for a range that is none of a sound."""
    content = source.train().content
    low, high = (float(v) for v in content.x.aminmax())
    if content.peak:
        return lambda x: x
    if low >= -1 and high <= 1:
        return compand
    if low >= 0 and high <= 255:
        return lambda x: x / 255
    if low >= -32_768 and high <= 32_767:
        return lambda x: compand(x / 32_768)
    raise ValueError(f"{source.name}: expected sounds from -1 to 1, of 16 bits, or in levels 0 to 255, "
                     f"got values from {low:g} to {high:g}")


def excess(test: Any, true_bits: float) -> Callable[[AutoregressiveDensity], dict[str, float]]:
    """An evaluation: bits a value above those of the law that the sounds are drawn from."""

    def measure(method: AutoregressiveDensity) -> dict[str, float]:
        batches = test.to(next(method.parameters()).device)
        bits = torch.cat([method.bits_per_dim(x) for x, _ in batches]).mean().item()
        return {"excess_bits": bits - true_bits, "true_bits": true_bits}

    return measure


def resonance(n: int, length: int, *, seed: int, decay: float = 0.95, period: float = 12.0,
              loudness: float = 0.2) -> tuple[Tensor, Tensor]:
    """n sounds (n, 1, T) as companded levels, and the bits a value of their law.

    s_t = a s_{t-1} + b s_{t-2} + sigma N(0, 1), the sound of a resonance that noise strikes. The law knows
    the two values before exactly, not as levels: no model can have fewer bits in the mean.
    """
    a, b = 2 * decay * math.cos(2 * math.pi / period), -(decay**2)
    sigma = loudness * math.sqrt((1 + b) * ((1 - b) ** 2 - a**2) / (1 - b))
    generator = torch.Generator().manual_seed(seed)
    noise = sigma * torch.randn(length + 200, n, generator=generator, dtype=torch.float64)
    s: list[Tensor] = [torch.zeros_like(noise[0])] * 2
    for e in noise:
        s.append((a * s[-1] + b * s[-2] + e).clamp(-1, 1))
    sound = torch.stack(s, 1)[:, -length - 2 :]                      # (n, 2 + T): two more at the start
    expected, level = a * sound[:, 1:-1] + b * sound[:, :-2], compand(sound[:, 2:])
    edges: Sequence[Tensor] = [expand(level + half).sub(expected) / sigma for half in (-0.5 / 255, 0.5 / 255)]
    inside = torch.special.ndtr(edges[1]) - torch.special.ndtr(edges[0])
    return level.float()[:, None], -inside.log2().mean()
