"""Runs of the variational autoencoder."""

import math

import torch
from torch import Tensor, nn

from deepcanon.data import Images, augment, open_data
from deepcanon.engine import Adam, Run, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.vae.vae import VAE


@recipe(paper="Kingma & Welling 2014", systems=["GEN-10", "GEN-13", "GEN-16", "GEN-17", "GEN-18"], presets=[
    preset("digits", target={"elbo": at_least(-24.0)}, seconds=20),
    preset("mnist", hidden=512, latent=24, lr=5e-3, steps=4_500, target={"elbo": at_least(-99.0)}, seconds=60),
    preset("mnist", "full", hidden=512, layers=2, latent=40, lr=2e-3, steps=46_800, importance_samples=500,
           target={"nll": at_most(90.0)}, seconds=1_200)])
def vae(data: Images = "digits", *, size: int | None = None, hidden: int = 256, layers: int = 1, latent: int = 8,
        beta: float = 1.0, lr: float = 3e-3, batch: int = 128, steps: int = 2_000, importance_samples: int = 0,
        fast: bool = False, seed: int = 0) -> Run:
    """VAE of dynamically binarised images: the evidence lower bound, in nats.

    Args:
        data: images by name, folder, file or object.
        size: side in pixels that images are brought to.
        hidden, layers: units of a hidden layer, and how many there are in encoder and decoder.
        latent: numbers of the code z.
        beta: weight of the KL term.
        lr, batch, steps: peak learning rate, images a step, training steps.
        importance_samples: draws of the estimate of the likelihood after training; 0 measures the bound alone.
        fast: compiled nets in bfloat16 where the processor has it.
        seed: of weights, order and noise.
    """
    source = open_data(data, "images", size=size)
    method = image_vae(source, *[hidden] * layers, latent=latent, beta=beta)
    binarised = {"augment": augment.binarize}
    evaluate = evaluations(method, source, sample=means, **binarised)
    if importance_samples:
        evaluate.append(likelihood(source.test(seed=seed, **binarised), importance_samples))
    return fit(method, source.train(batch=batch, seed=seed, **binarised), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps,
               seed=seed, bf16=fast, compile=("encoder", "decoder") if fast else (), evaluate=evaluate,
               callbacks=pictures(source, lambda m: means(m, 64)))


def image_vae(source, *hidden: int, latent: int, beta: float = 1.0) -> VAE:
    """A VAE of images: an encoder with these hidden layers, its mirror image as decoder; both start at the mean pixel."""
    values, mean = math.prod(source.shape), source.mean
    encoder = nn.Sequential(Standardize(mean, 1.0), nn.Flatten(), mlp(values, *hidden, 2 * latent, activation=nn.SiLU))
    decoder = mlp(latent, *reversed(hidden), values, activation=nn.SiLU)
    nn.init.constant_(decoder[-1].get_parameter("bias"), math.log(mean / (1 - mean)))
    return VAE(encoder, nn.Sequential(decoder, nn.Unflatten(1, source.shape)), latent_dim=latent, beta=beta)


def means(method: VAE, n: int) -> Tensor:
    """n generated images, as the decoder's means."""
    return method.decode(method.prior(n)).mean


def likelihood(data, importance_samples: int):
    """An evaluation: mean negative log-likelihood of the data, in nats."""

    def nll(method: VAE) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"nll": -torch.cat([method.log_prob(x, importance_samples) for x, _ in data.to(device)]).mean().item()}

    return nll
