"""Runs of diffusion models of images."""

from functools import partial
from typing import Any

import torch

from deepcanon.data import Images, Source, augment, open_data
from deepcanon.data.batches import Batches
from deepcanon.diffusion.ddpm import DDPM, data as picture, velocity
from deepcanon.diffusion.samplers import ancestral, dpm_solver, forward_variance
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.engine import Adam, Muon, Run, at_least, at_most, cosine, fit, preset, recipe, warmup
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.unet import UNet
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import halved

CLIP = 1.0


@recipe(paper="Ho et al. 2020", systems=["GEN-51", "GEN-52", "GEN-53", "MET-10"], presets=[
    preset("digits", net="perceptron", width=256, lr=2e-3, batch=128, steps=1_500, sampling_steps=15, ema=0.995,
           target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=30),
    preset("mnist", steps=9_000, target={"frechet_distance": at_most(6.5), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("cifar10", "full", net="paper", width=128, lr=2e-4, batch=128, steps=800_000, ema=0.9999, flip=True,
           target={"bits_per_dim": at_most(3.75)}, published={"bits_per_dim": 3.75}, source="Ho et al. 2020, table 1, CIFAR-10 test set")])
def ddpm(data: Images = "digits", *, size: int | None = None, net: str = "unet", width: int = 32, lr: float = 1e-3,
         batch: int = 64, steps: int = 5_000, sampling_steps: int = 30, ema: float = 0.998, flip: bool = False, seed: int = 0) -> Run:
    """DDPM: images out of noise, one denoising step after the other.

    Args:
        data: images by name, folder, file or object.
        size: side in pixels that images are brought to, an even number; by default 32 for your own that differ or are above 64.
        net: "unet" over 2x2 squares of pixels, "perceptron" for very small images, or "paper", 35.7 million parameters and days on a GPU.
        width: maps of the first block, or units of the perceptron.
        sampling_steps: evaluations of the net for a picture ("paper" takes all of its 1,000 levels).
        ema: decay of the averaged weights.
        flip: mirror half of the training images.
    """
    source = open_data(data, "images", size=size)
    change = {"augment": augment.flip()} if flip else {}
    train = source.train(batch=batch, seed=seed, **change)
    if net == "paper":
        return as_in_the_paper(source, train, width, lr, steps, ema, seed)
    if net == "perceptron":
        method = DDPM(ResidualMLP(source.shape, width=width, num_layers=3), source.shape, abar=cosine_schedule(), predict=picture,
                      sampler=dpm_solver, steps=sampling_steps)
        rise = 0.02
    elif net == "unet":
        method = DDPM(UNet(source.shape[0], (width, 2 * width), blocks=1, attention=(), groups=8, patch=patch(source, 2)), source.shape,
                      abar=cosine_schedule(), predict=velocity, steps=sampling_steps)
        rise = 0.05
    else:
        raise ValueError(f"expected net as unet, perceptron or paper, got '{net}'")
    return fit(method, train, Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=rise)), steps=steps, seed=seed, ema=ema,
               evaluate=evaluations(method, source), callbacks=pictures(source), clip_norm=CLIP)


def as_in_the_paper(source: Source, train: Any, width: int, lr: float, steps: int, ema: float, seed: int) -> Run:
    """The paper's net and 1,000 ancestral steps."""
    net = UNet(halved(source, 3)[0], (width, 2 * width, 2 * width, 2 * width), blocks=2, attention=(1,), head_dim=2 * width, dropout=0.1)
    method = DDPM(net, source.shape, abar=linear_schedule(1_000), sampler=partial(ancestral, variance=forward_variance))
    return fit(method, train, Adam(lr, schedule=warmup(5_000)), steps=steps, seed=seed, ema=ema, bf16=True, compile=("net",),
               evaluate=[source.test(batch=500), bits(source.test(batch=500))], callbacks=pictures(source, every=10_000), clip_norm=CLIP)


@recipe(paper="Song et al. 2021", systems=["GEN-54", "MET-10"], presets=[
    preset("digits", width=16, deep=False, steps=400, sampling_steps=20, ema=0.995, likelihood_of=360, fast=False,
           target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60),
    preset("mnist", deep=False),
    preset("fashion", deep=False, steps=9_000, likelihood_of=200, fast=False,
           target={"bits_per_dim": at_most(8.0), "frechet_distance": at_most(4.0), "class_min": at_least(0.04), "class_max": at_most(0.16)})])
def score_sde(data: Images = "digits", *, size: int | None = None, width: int = 32, deep: bool = True, flip: bool = False,
              lr: float = 5e-3, batch: int = 64, steps: int = 5_000, sampling_steps: int = 18, ema: float = 0.998,
              likelihood_of: int = 0, fast: bool = True, seed: int = 0) -> Run:
    """A diffusion in continuous time draws images like those of a folder or a known set; its probability flow gives their likelihood.

    Args:
        data: images by name, folder, file or object.
        size: side in pixels that images are brought to, a multiple of 4; by default 32 for your own that differ or are above 64.
        width: maps of the first block.
        deep: three stages with attention at the last, for photographs; else two without.
        flip: mirror half of the training images.
        sampling_steps: evaluations of the net for a picture.
        ema: decay of the averaged weights.
        likelihood_of: test images whose likelihood is measured, by 40 steps of the probability flow.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    stages, attention = ((width, 2 * width, 4 * width), (2,)) if deep else ((width, 2 * width), ())
    net = UNet(source.shape[0], stages, blocks=1, attention=attention, groups=8, patch=patch(source, len(stages)))
    method = ScoreSDE(net, source.shape, levels=source.levels, steps=sampling_steps, power=1.75)
    train = source.train(batch=batch, seed=seed, augment=augment.flip() if flip else None)
    measured = evaluations(method, source, batch=500)
    if likelihood_of:
        measured.append(bits(source.test(batch=500).take(range(min(likelihood_of, source.test_count))), steps=40))
    return fit(method, train, Muon(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, bf16=fast, ema=ema, evaluate=measured,
               callbacks=pictures(source, every=1_000), clip_norm=CLIP)


def patch(source: Source, stages: int) -> int:
    """Squares of pixels that a UNet of so many stages reads as one: 2 x 2 where the sides allow it and the images are not tiny."""
    sides = halved(source, stages - 1)[1:]
    return 2 if min(sides) >= 16 and all(side % 2**stages == 0 for side in sides) else 1


def bits(data: Batches, **how: Any):
    """An evaluation: bits a value of test images, the variational bound of a DDPM or the probability flow's likelihood."""

    def measure(method: Any) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"bits_per_dim": torch.cat([method.bits_per_dim(x, **how) for x, _ in data.to(device)]).mean().item()}

    return measure
