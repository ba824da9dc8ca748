"""Runs of latent variable models."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepcanon.data import augment, images
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, cosine, fit, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.judge import digits_judge
from deepcanon.vae.vae import VAE


@recipe(target={"elbo": at_least(-99.0)}, seconds=60, paper="Kingma & Welling 2014", rows=["GEN-13", "GEN-16", "GEN-17", "GEN-18"])
def vae_mnist(hidden: int = 512, latent: int = 24, beta: float = 1.0, lr: float = 5e-3, batch: int = 128, steps: int = 5_000,
              fast: bool = False, seed: int = 0) -> Run:
    """VAE on dynamically binarised MNIST; the bound, in nats, after a minute on two cores."""
    method = image_vae((1, 28, 28), hidden, latent=latent, mean=0.1307, beta=beta)
    train, test = binarised("mnist", batch, seed)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, bf16=fast,
               compile=("encoder", "decoder") if fast else (), evaluate=test, callbacks=[Samples(pictures)])


@recipe(target={"nll": at_most(90.0)}, seconds=1_200, paper="Kingma & Welling 2014", rows=["GEN-10", "GEN-18"])
def vae_mnist_full(hidden: int = 512, latent: int = 40, lr: float = 2e-3, batch: int = 128, epochs: int = 100, importance_samples: int = 500,
                   fast: bool = False, seed: int = 0) -> Run:
    """VAE on dynamically binarised MNIST; importance-sampled negative log-likelihood, in nats, after twenty minutes on two cores."""
    method = image_vae((1, 28, 28), hidden, hidden, latent=latent, mean=0.1307)
    train, test = binarised("mnist", batch, seed)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), epochs=epochs, seed=seed, bf16=fast,
               compile=("encoder", "decoder") if fast else (), evaluate=[test, likelihood(test, importance_samples)],
               callbacks=[Samples(pictures)])


@recipe(target={"elbo": at_least(-24.0)}, seconds=20, paper="Kingma & Welling 2014", rows=["GEN-13", "GEN-16", "GEN-17", "GEN-18"])
def vae_digits(hidden: int = 256, latent: int = 8, beta: float = 1.0, lr: float = 3e-3, batch: int = 128, steps: int = 2_000, seed: int = 0) -> Run:
    """VAE on scikit-learn's 8x8 digits, dynamically binarised; the bound, in nats, Frechet distance and class balance after some seconds."""
    method = image_vae((1, 8, 8), hidden, latent=latent, mean=0.305, beta=beta)
    train, test = binarised("digits", batch, seed)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed,
               evaluate=[test, digits_judge()], callbacks=[Samples(pictures)])


def image_vae(shape: tuple[int, int, int], *hidden: int, latent: int, mean: float, beta: float = 1.0) -> VAE:
    """A VAE of images (C, H, W): an encoder with these hidden layers, its mirror image as decoder; both start at the pixels' mean."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(Standardize(mean, 1.0), nn.Flatten(), mlp(pixels, *hidden, 2 * latent, activation=nn.SiLU))
    decoder = mlp(latent, *reversed(hidden), pixels, activation=nn.SiLU)
    nn.init.constant_(decoder[-1].get_parameter("bias"), math.log(mean / (1 - mean)))
    return VAE(encoder, nn.Sequential(decoder, nn.Unflatten(1, shape)), latent_dim=latent, beta=beta)


def binarised(source: str, batch: int, seed: int):
    """Train and test images whose pixels are drawn anew, with their grey value as probability, each time that they are read."""
    return (images(source, batch=batch, seed=seed, augment=augment.binarize),
            images(source, split="test", batch=1_000, seed=seed, augment=augment.binarize))


def likelihood(data, importance_samples: int) -> Callable[[VAE], dict[str, float]]:
    """An evaluation: mean negative log-likelihood of the data, in nats."""

    def nll(method: VAE) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"nll": -torch.cat([method.log_prob(x, importance_samples) for x, _ in data.to(device)]).mean().item()}

    return nll


def pictures(method: VAE) -> Tensor:
    """64 generated images, as the decoder's means."""
    return method.decode(method.prior(64)).mean
