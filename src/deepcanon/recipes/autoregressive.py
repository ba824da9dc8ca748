"""Runs of autoregressive density models."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from deepcanon.autoregressive.density import AutoregressiveDensity
from deepcanon.autoregressive.mu_law import compand, expand
from deepcanon.autoregressive.pixels import LogisticMixture, Softmax
from deepcanon.data import arrays, images
from deepcanon.engine import AdamW, Factory, Muon, Run, Samples, at_least, at_most, cosine, fit, recipe
from deepcanon.nets.image_transformer import ImageTransformer, local_1d, local_2d
from deepcanon.nets.pixelcnn import GatedPixelCNN
from deepcanon.nets.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM
from deepcanon.nets.wavenet import WaveNet
from deepcanon.recipes.judge import Judge, digits_judge


@recipe(target={"bits_per_dim": at_most(1.95), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=40,
        paper="van den Oord et al. 2016, arXiv 1606.05328", rows=["GEN-28", "GEN-30"])
def pixelcnn_digits(width: int = 32, lr: float = 3e-3, batch: int = 64, steps: int = 400, seed: int = 0) -> Run:
    """Gated PixelCNN on scikit-learn's 8x8 digits of 17 levels; bits a pixel, Frechet distance and class balance."""
    return on_digits(GatedPixelCNN(1, 17, width=width, first=5, dilations=(1, 2, 1, 2)), optimizer=adamw(lr), batch=batch, steps=steps, seed=seed)


@recipe(target={"bits_per_dim": at_most(1.0)}, seconds=1_200, published={"bits_per_dim": 0.808},
        source="Lippe 2022, UvA Deep Learning Tutorials, 12: gated PixelCNN, 7 layers of 64",
        paper="van den Oord et al. 2016, arXiv 1606.05328", rows=["GEN-28", "GEN-30"])
def pixelcnn_mnist(width: int = 32, lr: float = 1e-2, batch: int = 16, steps: int = 1_600, fast: bool = True, seed: int = 0) -> Run:
    """Gated PixelCNN on 8-bit MNIST; bits a pixel after a quarter of an hour on one core. 2,500 steps reach 0.86."""
    net = GatedPixelCNN(1, 256, width=width, dilations=(1, 2, 1, 4, 1, 2, 1), levels=256)
    return on_mnist(net, lr=lr, batch=batch, steps=steps, fast=fast, seed=seed)


@recipe(target={"bits_per_dim": at_most(0.85)}, published={"bits_per_dim": 0.808},
        source="Lippe 2022, UvA Deep Learning Tutorials, 12: gated PixelCNN, 7 layers of 64",
        paper="van den Oord et al. 2016, arXiv 1606.05328", rows=["GEN-28", "GEN-30"])
def pixelcnn_mnist_full(width: int = 64, lr: float = 1e-2, batch: int = 128, epochs: int = 60, fast: bool = True, seed: int = 0) -> Run:
    """Gated PixelCNN on 8-bit MNIST, 64 wide, 13 layers: sized for a GPU."""
    net = GatedPixelCNN(1, 256, width=width, dilations=(1, 2, 1, 4, 1, 2) * 2, levels=256)
    return on_mnist(net, lr=lr, batch=batch, epochs=epochs, fast=fast, compiled=fast, seed=seed)


@recipe(target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=40,
        paper="Salimans et al. 2017", rows=["GEN-33"])
def logistic_pixelcnn_digits(width: int = 32, components: int = 4, lr: float = 3e-3, batch: int = 64, steps: int = 400, seed: int = 0) -> Run:
    """Gated PixelCNN on scikit-learn's 8x8 digits with a mixture of discretised logistics a pixel; bits a pixel and class balance."""
    likelihood = LogisticMixture(1, components, 17)
    net = GatedPixelCNN(1, likelihood.size, width=width, first=5, dilations=(1, 2, 1, 2))
    return on_digits(net, likelihood, optimizer=adamw(lr), batch=batch, steps=steps, seed=seed)


@recipe(target={"bits_per_dim": at_most(2.2), "asked_for": at_least(0.85)}, seconds=40, paper="van den Oord et al. 2016, arXiv 1606.05328",
        rows=["GEN-32"])
def conditional_pixelcnn_digits(width: int = 32, lr: float = 3e-3, batch: int = 64, steps: int = 400, seed: int = 0) -> Run:
    """Gated PixelCNN on scikit-learn's 8x8 digits, told the class; bits a pixel, and the share of draws that are the digit asked for."""
    net = GatedPixelCNN(1, 17, width=width, first=5, dilations=(1, 2, 1, 2), condition=nn.Embedding(10, width))
    return on_digits(net, judge=obedience(digits_judge()), optimizer=adamw(lr), batch=batch, steps=steps, seed=seed)


@recipe(target={"bits_per_dim": at_most(2.2), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60,
        paper="van den Oord et al. 2016, arXiv 1601.06759", rows=["GEN-28", "GEN-29"])
def pixelrnn_digits(rows: bool = False, width: int = 32, layers: int = 2, lr: float = 3e-3, batch: int = 64, steps: int = 300, seed: int = 0) -> Run:
    """PixelRNN on scikit-learn's 8x8 digits, diagonal bidirectional LSTMs or LSTMs over rows; bits a pixel and class balance."""
    net = PixelRNN(1, 17, RowLSTM if rows else DiagonalBiLSTM, width=width, num_layers=layers)
    return on_digits(net, optimizer=adamw(lr), batch=batch, steps=steps, seed=seed)


@recipe(target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Parmar et al. 2018",
        rows=["GEN-28", "GEN-31"])
def image_transformer_digits(rows: bool = False, width: int = 64, layers: int = 3, lr: float = 5e-3, batch: int = 64, steps: int = 240,
                             seed: int = 0) -> Run:
    """Image Transformer on scikit-learn's 8x8 digits, attention local in two dimensions or in the raster; bits a pixel and class balance."""
    mask = local_1d((8, 8), 8, 24) if rows else local_2d((8, 8), (4, 4), (4, 3))
    net = ImageTransformer(1, 17, mask, size=(8, 8), embed_dim=width, num_layers=layers)
    return on_digits(net, optimizer=muon(lr), batch=batch, steps=steps, seed=seed)


@recipe(target={"excess_bits": at_most(0.15)}, seconds=60, paper="van den Oord et al. 2016, arXiv 1609.03499", rows=["GEN-35"])
def wavenet_resonance(width: int = 24, moments: int = 128, lr: float = 3e-3, batch: int = 32, steps: int = 600, seed: int = 0) -> Run:
    """WaveNet on the sound of a resonance struck by noise, in 256 companded levels; bits a moment above those of the true law."""
    (sound, _), (heard, bits) = resonance(4_096, moments, seed=1), resonance(512, moments, seed=2)
    train, test = arrays(sound, batch=batch, seed=seed), arrays(heard, batch=256, shuffle=False)
    method = AutoregressiveDensity(WaveNet(1, 256, width=width, dilations=(1, 2, 4, 8, 16, 32)), Softmax(1, 256), shape=(1, moments))

    def excess(method: AutoregressiveDensity) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"excess_bits": torch.cat([method.bits_per_dim(x) for x, _ in test.to(device)]).mean().item() - bits.item(), "true_bits": bits.item()}

    return fit(method, train, adamw(lr), steps=steps, seed=seed, clip_norm=1.0, ema=0.99, evaluate=[test, excess])


def on_digits(net: nn.Module, likelihood: nn.Module | None = None, *, judge: Callable | None = None, optimizer: Factory, batch: int,
              steps: int, seed: int) -> Run:
    """The model of scikit-learn's digits, a softmax over their levels unless another likelihood is given."""
    train, test = images("digits", batch=batch, seed=seed), images("digits", split="test")
    method = AutoregressiveDensity(net, likelihood or Softmax(1, 17), shape=(1, 8, 8))
    pictures = Samples(lambda m: m.sample(64, classes(m, 64) if m.conditional else None))
    return fit(method, train, optimizer, steps=steps, seed=seed, clip_norm=1.0, ema=0.99, evaluate=[test, judge or digits_judge()],
               callbacks=[pictures])


def on_mnist(net: nn.Module, *, lr: float, batch: int, steps: int | None = None, epochs: int | None = None, fast: bool, compiled: bool = False,
             seed: int) -> Run:
    """The model of MNIST's 256 levels."""
    train, test = images("mnist", batch=batch, seed=seed), images("mnist", split="test", batch=100)
    return fit(AutoregressiveDensity(net, Softmax(1, 256), shape=(1, 28, 28)), train, muon(lr), steps=steps, epochs=epochs, seed=seed,
               clip_norm=1.0, ema=0.998, bf16=fast, compile=("net",) if compiled else (), evaluate=test, callbacks=[Samples(lambda m: m.sample(64))])


def adamw(lr: float) -> Factory:
    """With a short warm-up, down to nothing."""
    return AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.05))


def muon(lr: float) -> Factory:
    """The same with Muon, which needs fewer steps."""
    return Muon(lr, weight_decay=0.01, schedule=cosine(warmup=0.05))


def obedience(judge: Judge, n: int = 1_000) -> Callable[[AutoregressiveDensity], dict[str, float]]:
    """An evaluation: the share of n draws, as many of each class, that the judge takes for the class asked for."""
    return lambda method: {"asked_for": judge.obedience(method, lambda y: method.sample(n, y), n)}


def classes(method: AutoregressiveDensity, n: int) -> Tensor:
    """0, 1, ... 9 in turn, n of them."""
    return torch.arange(n, device=next(method.parameters()).device) % 10


def resonance(n: int, moments: int, *, seed: int, decay: float = 0.95, period: float = 12.0, loudness: float = 0.2) -> tuple[Tensor, Tensor]:
    """n sounds (n, 1, T) as companded levels, and the bits a moment of the law they are drawn from, s_t = a s_{t-1} + b s_{t-2} + sigma N(0, 1).

    The law is told the two moments before exactly, not as levels: no model can have fewer bits in the mean.
    """
    a, b = 2 * decay * math.cos(2 * math.pi / period), -(decay**2)
    sigma = loudness * math.sqrt((1 + b) * ((1 - b) ** 2 - a**2) / (1 - b))
    noise = sigma * torch.randn(moments + 200, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    s: list[Tensor] = [torch.zeros_like(noise[0])] * 2
    for e in noise:
        s.append((a * s[-1] + b * s[-2] + e).clamp(-1, 1))
    sound = torch.stack(s, 1)[:, -moments - 2 :]                                 # (n, 2 + T): two moments more at the start
    expected, level = a * sound[:, 1:-1] + b * sound[:, :-2], compand(sound[:, 2:])
    edges: Sequence[Tensor] = [expand(level + half).sub(expected) / sigma for half in (-0.5 / 255, 0.5 / 255)]
    inside = torch.special.ndtr(edges[1]) - torch.special.ndtr(edges[0])
    return level.float()[:, None], -inside.log2().mean()
