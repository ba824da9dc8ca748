"""Runs of normalizing flows, and of the masked autoencoder beside them."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.data import augment, images
from deepcanon.data.toys import density, toy
from deepcanon.engine import Adam, Factory, Muon, Run, Samples, at_most, cosine, fit, recipe
from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Chain, Flatten, Flow, Logit
from deepcanon.flows.glow import glow
from deepcanon.flows.iaf import iaf
from deepcanon.flows.maf import maf
from deepcanon.flows.nice import nice
from deepcanon.flows.realnvp import realnvp, realnvp_images
from deepcanon.flows.wavenet_distillation import Distillation
from deepcanon.nets.made import MADE
from deepcanon.recipes.judge import JUDGES

DIGITS, MNIST = (1, 8, 8), (1, 28, 28)


@recipe(target={"kl": at_most(0.05)}, seconds=30, paper="Dinh et al. 2017", rows=["GEN-36", "GEN-38"])
def realnvp_toy(data: str = "moons", width: int = 64, layers: int = 8, lr: float = 5e-3, batch: int = 256, steps: int = 1_500, seed: int = 0) -> Run:
    """Real NVP learns a density in the plane from its points; KL(p || flow) on held-out points, in nats."""
    method = Flow(realnvp(2, hidden=(width, width), num_layers=layers), (2,))
    return fit(method, toy(data, batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, clip_norm=1.0,
               evaluate=[toy(data, split="test", batch=1_000), divergence(data)], callbacks=[Samples(density_picture)])


@recipe(target={"kl": at_most(0.05)}, seconds=120, paper="van den Oord et al. 2018", rows=["GEN-40", "GEN-41", "GEN-42"])
def wavenet_distillation_toy(data: str = "moons", width: int = 64, layers: int = 8, lr: float = 1e-3, batch: int = 256, steps: int = 1_500,
                             student_steps: int = 3_000, seed: int = 0) -> Run:
    """A masked autoregressive flow learns a density in the plane, then teaches an inverse one, which samples in one pass: KL(student || teacher)."""
    points, test = toy(data, batch=batch, seed=seed), toy(data, split="test", batch=1_000)
    teacher, student = (Flow(make(2, hidden=(width, width), num_layers=layers), (2,)) for make in (maf, iaf))
    adam = Adam(lr, schedule=cosine(warmup=0.02))
    first = fit(teacher, points, adam, steps=steps, seed=seed, clip_norm=1.0, evaluate=[test, divergence(data)])
    second = fit(Distillation(student, teacher), points, adam, steps=student_steps, seed=seed, clip_norm=1.0, evaluate=test,
                 callbacks=[Samples(lambda m: density_picture(m.student))])
    return replace(second, folder=first.folder, seconds=first.seconds + second.seconds, steps=first.steps + second.steps)


@recipe(target={"bits_per_dim": at_most(2.5)}, seconds=30, paper="Dinh et al. 2015", rows=["GEN-37"])
def nice_digits(width: int = 128, layers: int = 6, lr: float = 2e-3, batch: int = 128, steps: int = 500, seed: int = 0) -> Run:
    """NICE on scikit-learn's 8x8 digits of 17 levels; held-out bits a pixel and Frechet distance."""
    return rows_of_digits(nice(64, hidden=(width, width), num_layers=layers), lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(2.5)}, seconds=40, paper="Papamakarios et al. 2017", rows=["GEN-36", "GEN-40"])
def maf_digits(width: int = 128, layers: int = 5, lr: float = 2e-3, batch: int = 128, steps: int = 500, seed: int = 0) -> Run:
    """Masked autoregressive flow on scikit-learn's 8x8 digits of 17 levels; held-out bits a pixel and Frechet distance."""
    return rows_of_digits(maf(64, hidden=(width, width), num_layers=layers), lr, batch, steps, seed)


def rows_of_digits(transform: nn.Module, lr: float, batch: int, steps: int, seed: int) -> Run:
    """A flow of vectors on digits."""
    method = Dequantized(Flow(Chain(Flatten(DIGITS), Logit(), ActNorm(64), transform), (64,)), UniformNoise(), levels=17)
    return dequantized(method, "digits", lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(2.2)}, seconds=60, paper="Dinh et al. 2017", rows=["GEN-38"])
def realnvp_digits(width: int = 32, lr: float = 2e-3, batch: int = 64, steps: int = 800, seed: int = 0) -> Run:
    """Real NVP on scikit-learn's 8x8 digits of 17 levels; held-out bits a pixel and Frechet distance."""
    method = Dequantized(Flow(Chain(Logit(), realnvp_images(DIGITS, width=width)), DIGITS), UniformNoise(), levels=17)
    return dequantized(method, "digits", lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(2.3)}, seconds=60, paper="Kingma & Dhariwal 2018", rows=["GEN-39"])
def glow_digits(flow_steps: int = 4, width: int = 32, lr: float = 2e-3, batch: int = 64, steps: int = 800, seed: int = 0) -> Run:
    """Glow on scikit-learn's 8x8 digits of 17 levels; held-out bits a pixel and Frechet distance."""
    method = Dequantized(Flow(Chain(Logit(), glow(DIGITS, num_steps=flow_steps, width=width)), DIGITS), UniformNoise(), levels=17)
    return dequantized(method, "digits", lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(1.7)}, seconds=900, paper="Papamakarios et al. 2017", rows=["GEN-40"])
def maf_mnist(width: int = 512, layers: int = 5, lr: float = 1e-3, batch: int = 128, steps: int = 6_000, seed: int = 0) -> Run:
    """Masked autoregressive flow on 8-bit MNIST; held-out bits a pixel: 2.07, not yet the target, after a quarter of an hour."""
    transform = Chain(Flatten(MNIST), Logit(), ActNorm(784), maf(784, hidden=(width,), num_layers=layers, bound=2.0))
    method = Dequantized(Flow(transform, (784,)), UniformNoise())
    return dequantized(method, "mnist", lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(1.3)}, seconds=1_200, published={"bits_per_dim": 1.06},
        source="Grathwohl et al. 2019, arXiv 1810.01367, Table 2", paper="Dinh et al. 2017", rows=["GEN-38"])
def realnvp_mnist(width: int = 32, lr: float = 5e-3, batch: int = 32, steps: int = 3_000, variational: bool = True, seed: int = 0) -> Run:
    """Real NVP on 8-bit MNIST; held-out bits a pixel after twenty minutes on two cores, with learned or uniform dequantisation."""
    method = Dequantized(Flow(Chain(Logit(), realnvp_images(MNIST, width=width)), MNIST), noise(MNIST, variational))
    return dequantized(method, "mnist", lr, batch, steps, seed, optimizer=Muon)


@recipe(target={"bits_per_dim": at_most(1.3)}, seconds=1_200, published={"bits_per_dim": 1.05},
        source="Grathwohl et al. 2019, arXiv 1810.01367, Table 2", paper="Kingma & Dhariwal 2018", rows=["GEN-39"])
def glow_mnist(flow_steps: int = 6, width: int = 48, lr: float = 5e-3, batch: int = 32, steps: int = 3_000, variational: bool = True,
               seed: int = 0) -> Run:
    """Glow on 8-bit MNIST; held-out bits a pixel after twenty minutes on two cores, with learned or uniform dequantisation."""
    method = Dequantized(Flow(Chain(Logit(), glow(MNIST, num_steps=flow_steps, width=width)), MNIST), noise(MNIST, variational))
    return dequantized(method, "mnist", lr, batch, steps, seed, optimizer=Muon)


@recipe(target={"nll": at_most(24.0)}, seconds=20, paper="Germain et al. 2015", rows=["GEN-40"])
def made_digits(width: int = 256, lr: float = 2e-3, batch: int = 128, steps: int = 1_000, seed: int = 0) -> Run:
    """MADE on scikit-learn's 8x8 digits, dynamically binarised; exact held-out negative log-likelihood, in nats."""
    return binary(DIGITS, "digits", width, lr, batch, steps, seed)


@recipe(target={"nll": at_most(95.0)}, seconds=180, paper="Germain et al. 2015", rows=["GEN-40"])
def made_mnist(width: int = 1_024, lr: float = 1e-3, batch: int = 128, steps: int = 8_000, seed: int = 0) -> Run:
    """MADE on dynamically binarised MNIST; exact held-out negative log-likelihood, in nats, after some minutes on two cores."""
    return binary(MNIST, "mnist", width, lr, batch, steps, seed)


def binary(shape: tuple[int, int, int], source: str, width: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """MADE with one hidden layer on images drawn anew from their grey values each time that they are read."""
    method = BernoulliMADE(MADE(shape[1] * shape[2], (width,)), shape)
    train = images(source, batch=batch, seed=seed, augment=augment.binarize)
    test = images(source, split="test", batch=1_000, seed=seed, augment=augment.binarize)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, ema=0.998, evaluate=test,
               callbacks=[Samples(lambda m: m.sample(64))])


def dequantized(method: Dequantized, source: str, lr: float, batch: int, steps: int, seed: int, *, optimizer: Callable[..., Factory] = Adam) -> Run:
    """A flow on images: bits a pixel, and how its samples look to a classifier."""
    return fit(method, images(source, batch=batch, seed=seed), optimizer(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, clip_norm=1.0,
               ema=0.998, evaluate=[images(source, split="test", batch=500), JUDGES[source]()], callbacks=[Samples(lambda m: m.sample(64))])


def noise(shape: tuple[int, int, int], variational: bool) -> UniformNoise | VariationalNoise:
    """What fills the gaps between the levels of an image."""
    return VariationalNoise(noise_couplings(shape, width=16)) if variational else UniformNoise()


def divergence(name: str) -> Callable[[Flow], dict[str, float]]:
    """An evaluation: KL(p || flow), p a toy's density, in nats, on 10,000 of its points that were not trained on."""
    p, (x, _) = density(name), toy(name, split="test", batch=10_000).at(0)

    def measure(method: Flow) -> dict[str, float]:
        return {"kl": (p.log_prob(x) - method.log_prob(x.to(next(method.parameters()))).cpu()).mean().item()}

    return measure


def density_picture(method: Flow, points: int = 96) -> Tensor:
    """p(x) over the square of side 8, brightest where it is highest, as one picture (1, 1, points, points)."""
    line = torch.linspace(-4, 4, points).to(next(method.parameters()))
    p = method.log_prob(torch.cartesian_prod(line, line)).exp().unflatten(0, (points, points))
    return (p / p.max()).T.flip(0)[None, None]
