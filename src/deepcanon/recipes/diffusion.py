"""Runs of diffusion models."""

from collections.abc import Callable
from functools import partial

import torch

from deepcanon.data import augment, images
from deepcanon.diffusion.ddpm import DDPM, velocity
from deepcanon.diffusion.ddpm import data as picture
from deepcanon.diffusion.samplers import ancestral, dpm_solver, forward_variance
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, cosine, fit, recipe, warmup
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.unet import UNet
from deepcanon.recipes.judge import digits_judge, mnist_judge


@recipe(target={"fid": at_most(6.5), "class_min": at_least(0.04), "class_max": at_most(0.16)}, paper="Ho et al. 2020",
        rows=["GEN-51", "GEN-52", "MET-10"])
def ddpm_mnist(width: int = 32, lr: float = 1e-3, batch: int = 64, steps: int = 9_000, sampling_steps: int = 30, seed: int = 0) -> Run:
    """DDPM on MNIST with a small UNet over 2x2 squares of pixels; Frechet distance in a LeNet's features, and class balance."""
    net = UNet(1, (width, 2 * width), blocks=1, attention=(), groups=8, patch=2)
    method = DDPM(net, (1, 28, 28), abar=cosine_schedule(), predict=velocity, steps=sampling_steps)
    return fit(method, images("mnist", batch=batch, seed=seed), Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.05)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.998, evaluate=[images("mnist", split="test", batch=1_000), mnist_judge()],
               callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=30, paper="Ho et al. 2020", rows=["GEN-51", "GEN-52", "MET-10"])
def ddpm_digits(width: int = 256, layers: int = 3, lr: float = 2e-3, batch: int = 128, steps: int = 1_500, sampling_steps: int = 15,
                seed: int = 0) -> Run:
    """DDPM on scikit-learn's 8x8 digits with a residual perceptron; Frechet distance and class balance after half a minute."""
    method = DDPM(ResidualMLP((1, 8, 8), width=width, num_layers=layers), (1, 8, 8), abar=cosine_schedule(), predict=picture,
                  sampler=dpm_solver, steps=sampling_steps)
    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.02)), steps=steps, seed=seed,
               clip_norm=1.0, ema=0.995, evaluate=[images("digits", split="test"), digits_judge()],
               callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"bits_per_dim": at_most(3.75)}, paper="Ho et al. 2020", rows=["GEN-51", "GEN-52", "GEN-53"],
        published={"bits_per_dim": 3.75}, source="Ho et al. 2020, table 1, CIFAR-10 test set")
def ddpm_cifar10_full(data: str = "cifar10", width: int = 128, lr: float = 2e-4, batch: int = 128, steps: int = 800_000,
                      levels: int = 1_000, dropout: float = 0.1, fast: bool = True, seed: int = 0) -> Run:
    """DDPM as in the paper: 35.7 million parameters, 32x32, 1,000 ancestral steps; days on one GPU."""
    train = images(data, size=32, batch=batch, seed=seed, augment=augment.flip())
    net = UNet(train.shape[0], (width, 2 * width, 2 * width, 2 * width), blocks=2, attention=(1,), head_dim=2 * width, dropout=dropout)
    method = DDPM(net, train.shape, abar=linear_schedule(levels), sampler=partial(ancestral, variance=forward_variance))
    test = images(data, split="test", size=32, batch=500)
    return fit(method, train, Adam(lr, schedule=warmup(5_000)), steps=steps, seed=seed, clip_norm=1.0, ema=0.9999, bf16=fast,
               compile=("net",) if fast else (), evaluate=[test, bound(test)], callbacks=[Samples(lambda m: m.sample(64), every=10_000)])


def bound(data) -> Callable[[DDPM], dict[str, float]]:
    """An evaluation: the variational bound of the data, in bits a value."""

    def measure(method: DDPM) -> dict[str, float]:
        return {"bits_per_dim": torch.cat([method.bits_per_dim(x) for x, _ in data.to(method.abar.device)]).mean().item()}

    return measure
