"""Runs of generative adversarial networks."""

import math
from functools import partial

from torch import nn

from deepcanon.data import images
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, linear, recipe
from deepcanon.gans.wgan import WGANGP
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.judge import digits_judge, mnist_judge


@recipe(target={"fid_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}, paper="Gulrajani et al. 2017",
        rows=["GEN-69", "MET-10"])
def wgan_gp_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, critic_steps: int = 3, steps: int = 10_000,
                  seed: int = 0) -> Run:
    """WGAN-GP on MNIST; Frechet distance in a LeNet's features, against the untrained generator's, and class balance, after some minutes."""
    method = perceptrons((1, 28, 28), latent, hidden, critic_steps)
    return fit(method, images("mnist", batch=critic_steps * batch, seed=seed), Adam(lr, betas=(0.5, 0.9), schedule=linear()), steps=steps, seed=seed,
               ema=0.99, evaluate=mnist_judge().against_untrained(method), callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"fid_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=30,
        paper="Gulrajani et al. 2017", rows=["GEN-69", "MET-10"])
def wgan_gp_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, critic_steps: int = 3, steps: int = 1_500,
                   seed: int = 0) -> Run:
    """WGAN-GP on scikit-learn's 8x8 digits; Frechet distance and class balance after half a minute."""
    method = perceptrons((1, 8, 8), latent, hidden, critic_steps)
    return fit(method, images("digits", batch=critic_steps * batch, seed=seed), Adam(lr, betas=(0.5, 0.9), schedule=linear()), steps=steps, seed=seed,
               ema=0.99, evaluate=digits_judge().against_untrained(method), callbacks=[Samples(lambda m: m.sample(64))])


def perceptrons(shape: tuple[int, int, int], latent: int, hidden: int, critic_steps: int) -> WGANGP:
    """A generator and a critic of images (C, H, W) with two hidden layers each: on a CPU the slope penalty of convolutions takes far longer."""
    pixels = math.prod(shape)
    generator = nn.Sequential(mlp(latent, hidden // 2, hidden, pixels, norm=nn.BatchNorm1d), nn.Unflatten(1, shape), nn.Sigmoid())
    critic = nn.Sequential(nn.Flatten(), mlp(pixels, hidden, hidden // 2, 1, activation=partial(nn.LeakyReLU, 0.2)))
    return WGANGP(generator, critic, latent_dim=latent, critic_steps=critic_steps)
