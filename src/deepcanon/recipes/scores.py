"""Runs of models of the score: noise-conditional networks, diffusion in continuous time, and diffusion that is told what to draw."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import augment, images
from deepcanon.data.batches import Batches
from deepcanon.data.toys import density, toy
from deepcanon.diffusion.annealed import annealed_langevin, geometric
from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM
from deepcanon.diffusion.ddpm import data as picture
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.samplers import dpm_solver
from deepcanon.diffusion.schedules import cosine_schedule
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.engine import Adam, Muon, Run, Samples, at_least, at_most, cosine, fit, recipe
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.text_encoder import TextEncoder
from deepcanon.nets.unet import UNet
from deepcanon.recipes.judge import Judge, chunks, digits_judge, fashion_judge

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PHRASES = ["{}", "a {}", "the digit {}", "a handwritten {}", "this is a {}"]
WORDS = ["", *sorted({word for phrase in PHRASES for word in phrase.format(" ".join(NUMBERS)).split()})]   # number 0 fills up a sentence
LONGEST = max(len(phrase.split()) for phrase in PHRASES)
LONG_CHAINS = partial(annealed_langevin, steps=20, step_size=0.1)     # of a level's surplus of variance 0.95^40 = 0.13 is left at the next
LONGER_CHAINS = partial(annealed_langevin, steps=60, step_size=0.1)   # with the exact score, 0.02 from the weights of two modes; 20 steps, 0.044


@recipe(target={"weight_error": at_most(0.05)}, seconds=60, paper="Song & Ermon 2019", rows=["GEN-49", "GEN-50"])
def ncsn_toy(data: str = "two_gaussians", width: int = 64, levels: int = 20, lr: float = 3e-3, batch: int = 256, steps: int = 2_000,
             seed: int = 0) -> Run:
    """A noise-conditional score network of points in the plane; how far annealed Langevin chains are from the weights of the modes."""
    method = NCSN(ResidualMLP((2,), width=width, num_layers=2, time_dim=64), (2,), sigmas=geometric(8.0, 0.1, levels), bounded=False,
                  sampler=LONGER_CHAINS)
    return fit(method, toy(data, batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, clip_norm=1.0, ema=0.995,
               evaluate=[toy(data, split="test", batch=1_000), weights(data)])


@recipe(target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Song & Ermon 2019", rows=["GEN-49", "GEN-50", "MET-10"])
def ncsn_digits(width: int = 256, layers: int = 3, levels: int = 15, lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """A noise-conditional score network of scikit-learn's 8x8 digits; Frechet distance and class balance of annealed Langevin chains."""
    method = NCSN(ResidualMLP((1, 8, 8), width=width, num_layers=layers), (1, 8, 8), sigmas=geometric(10.0, 0.03, levels), sampler=LONG_CHAINS)
    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.02)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.995, evaluate=[images("digits", split="test"), digits_judge()], callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Song et al. 2021",
        rows=["GEN-54", "MET-10"])
def sde_digits(width: int = 16, lr: float = 5e-3, batch: int = 64, steps: int = 400, sampling_steps: int = 20, ode_steps: int = 40,
               power: float = 1.75, seed: int = 0) -> Run:
    """A VP diffusion of digits of 17 levels (uniform: 4.09 bits a pixel); the probability flow's likelihood of dequantised test images."""
    net = UNet(1, (width, 2 * width), blocks=1, attention=(), groups=8)
    method = ScoreSDE(net, (1, 8, 8), levels=17, steps=sampling_steps, power=power)
    test = images("digits", split="test", batch=360)
    return fit(method, images("digits", batch=batch, seed=seed), Muon(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.995, evaluate=[test, bits(test, ode_steps), digits_judge()], callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"bits_per_dim": at_most(8.0), "fid": at_most(4.0), "class_min": at_least(0.04), "class_max": at_most(0.16)},
        paper="Song et al. 2021", rows=["GEN-54", "MET-10"])
def sde_fashion(width: int = 32, lr: float = 5e-3, batch: int = 64, steps: int = 9_000, sampling_steps: int = 18, ode_steps: int = 40,
                power: float = 1.75, count: int = 200, seed: int = 0) -> Run:
    """A VP diffusion of Fashion-MNIST by a small UNet; Frechet distance, and the probability flow's bits a pixel of `count` test images."""
    net = UNet(1, (width, 2 * width), blocks=1, attention=(), groups=8, patch=2)
    method = ScoreSDE(net, (1, 28, 28), steps=sampling_steps, power=power)
    test = images("fashion", split="test", batch=500)
    return fit(method, images("fashion", batch=batch, seed=seed), Muon(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.998, evaluate=[test, bits(test.take(range(count)), ode_steps), fashion_judge()],
               callbacks=[Samples(lambda m: m.sample(64))])


@recipe(paper="Song et al. 2021", rows=["GEN-54"])
def draw_images(data: str = "digits", size: int = 32, width: int = 32, flip: bool = False, lr: float = 5e-3, batch: int = 64, steps: int = 5_000,
                sampling_steps: int = 18, fast: bool = True, seed: int = 0) -> Run:
    """A diffusion model learns to draw images like those in your own folder of photos, or in a named set."""
    train = images(data, size=size, batch=batch, seed=seed, augment=augment.flip() if flip else None)
    test = images(data, size=size, batch=batch, split="test")
    net = UNet(train.shape[0], (width, 2 * width, 4 * width), blocks=1, attention=(2,), groups=8, patch=2)
    method = ScoreSDE(net, train.shape, steps=sampling_steps, power=1.75)
    return fit(method, train, Muon(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, bf16=fast, clip_norm=1.0, ema=0.998,
               evaluate=test, evaluate_every=1_000, callbacks=[Samples(lambda m: m.sample(64), every=1_000)])


@recipe(target={"named": at_least(0.9), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Ho & Salimans 2022",
        rows=["GEN-55", "MET-10"])
def guided_digits(width: int = 256, layers: int = 3, weight: float = 1.0, lr: float = 2e-3, batch: int = 128, steps: int = 1_500,
                  seed: int = 0) -> Run:
    """Classifier-free guidance on 8x8 digits: share of images in which a judge sees the class asked for; without a class, the balance of all."""
    method = told_digits(nn.Embedding(10, 64), width, layers, weight)
    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.02)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.995, evaluate=[named(digits_judge(), lambda y: y), digits_judge()],
               callbacks=[Samples(lambda m: m.sample(100, torch.arange(100) % 10))])


@recipe(target={"named": at_least(0.9), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Ramesh et al. 2022",
        rows=["GEN-55", "MET-10"])
def captions_digits(width: int = 256, layers: int = 3, weight: float = 1.0, lr: float = 2e-3, batch: int = 128, steps: int = 1_500,
                    seed: int = 0) -> Run:
    """Text to image in small: "a handwritten three" is drawn; share in which a judge sees that digit, and the balance without words."""
    method = told_digits(TextEncoder(len(WORDS), LONGEST, 64), width, layers, weight)
    return fit(method, Captioned(images("digits", batch=batch, seed=seed)), Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.02)), steps=steps,
               seed=seed, clip_norm=1.0, ema=0.995, evaluate=[named(digits_judge(), captions), digits_judge()],
               callbacks=[Samples(lambda m: m.sample(100, captions(torch.arange(100) % 10)))])


def told_digits(encoder: nn.Module, width: int, layers: int, weight: float) -> ConditionalDDPM:
    """A diffusion of 8x8 digits told by an encoder of width 64 what to draw."""
    net = ResidualMLP((1, 8, 8), width=width, num_layers=layers, condition_dim=64)
    diffusion = DDPM(net, (1, 8, 8), abar=cosine_schedule(), predict=picture, sampler=dpm_solver, steps=15)
    return ConditionalDDPM(diffusion, encoder, embed_dim=64, weight=weight)


def numbered(sentence: str) -> list[int]:
    """A sentence as the numbers of its words, filled up to the longest."""
    numbers = [WORDS.index(word) for word in sentence.split()]
    return numbers + [0] * (LONGEST - len(numbers))


def captions(y: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A random sentence about each of some digits, (n,) -> (n, LONGEST)."""
    table = torch.tensor([[numbered(phrase.format(number)) for number in NUMBERS] for phrase in PHRASES])
    return table[torch.randint(len(PHRASES), y.shape, generator=generator), y.cpu()].to(y.device)


class Captioned:
    """Images of digits with a sentence about each in place of its label."""

    def __init__(self, data: Batches):
        self.data, self.key = data, f"captioned:{data.key}"

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`."""
        x, y = self.data.at(step)
        return x, captions(y, torch.Generator().manual_seed(step))

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: torch.device | str) -> "Captioned":
        """The same data on another device."""
        return Captioned(self.data.to(device))

    @property
    def metadata(self) -> dict:
        return self.data.metadata | {"phrases": PHRASES}


def named(judge: Judge, tell: Callable[[Tensor], Tensor], n: int = 1_000) -> Callable[[ConditionalDDPM], dict[str, float]]:
    """An evaluation: how often the judge sees the digit that the model was told to draw, each digit as often."""
    return lambda method: {"named": judge.obedience(method, lambda y: method.sample(n, tell(y)), n)}


def bits(data: Batches, steps: int | None = None) -> Callable[[ScoreSDE], dict[str, float]]:
    """An evaluation: the probability flow's bits a pixel, over so many steps."""

    def measure(method: ScoreSDE) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"bits_per_dim": torch.cat([method.bits_per_dim(x, steps=steps) for x, _ in data.to(device)]).mean().item()}

    return measure


def weights(name: str, n: int = 5_000) -> Callable[[NCSN], dict[str, float]]:
    """An evaluation: the largest difference between the share of each part of a toy among the samples and in truth."""
    mixture = density(name)
    parts = int(mixture.parts.max()) + 1

    def measure(method: NCSN) -> dict[str, float]:
        x = torch.cat([method.sample(size).cpu() for size in chunks(n)])
        part = mixture.parts[torch.cdist(x, mixture.centres).argmin(1)]
        shares, right = (p.bincount(minlength=parts) / len(p) for p in (part, mixture.parts))
        return {"weight_error": (shares - right).abs().max().item(), "log_prob": mixture.log_prob(x).mean().item()}

    return measure
