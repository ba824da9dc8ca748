"""Runs of variational autoencoders with a Gaussian code."""

import math
from functools import partial
from typing import Any

from torch import Tensor, nn

from deepcanon.data import Images, Source, augment, open_data
from deepcanon.engine import Run, at_least, at_most, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.comparisons import beside_vae, bits, likelihood
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import SIDE, halved, size_of
from deepcanon.recipes.optimizers import adam
from deepcanon.recipes.stages import joined
from deepcanon.vae import IWAE, VAE
from deepcanon.vae.convolutional import image_decoder, image_encoder
from deepcanon.vae.likelihoods import discretized_logistic

BINARISED: dict[str, Any] = {"augment": augment.binarize}


@recipe(paper="Kingma & Welling 2014", systems=["GEN-10", "GEN-13", "GEN-16", "GEN-17", "GEN-18"], presets=[
    preset("digits", hidden=256, latent=8, target={"elbo": at_least(-24.0)}, seconds=20),
    preset("mnist", latent=24, lr=5e-3, steps=4_500, target={"elbo": at_least(-99.0)}, seconds=60),
    preset("mnist", "full", layers=2, latent=40, lr=2e-3, steps=46_800, importance_samples=500,
           target={"nll": at_most(90.0)}, seconds=1_200)])
def vae(data: Images = "digits", *, size: int | None = None, hidden: int = 512, layers: int = 1,
        latent: int = 32, beta: float = 1.0, lr: float = 3e-3, batch: int = 128, steps: int = 2_000,
        importance_samples: int = 0, fast: bool = False, seed: int = 0) -> Run:
    """VAE of dynamically binarised images: the evidence lower bound, in nats.

    Args:
        data: images by name or path or as an object.
        hidden, layers, latent: units of a hidden layer, hidden layers of a net, numbers of the code z.
        beta: weight of the KL term.
        importance_samples: draws of the estimate of the likelihood at the end; 0 measures the bound alone.
        fast: compiled nets in bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    method = image_vae(source, *[hidden] * layers, latent=latent, beta=beta)
    measures = evaluations(method, source, sample=means, **BINARISED)
    if importance_samples:
        measures.append(likelihood(source.test(seed=seed, **BINARISED), importance_samples))
    return fit(method, source.train(batch=batch, seed=seed, **BINARISED), adam(lr), steps=steps, seed=seed,
               bf16=fast, compile=("encoder", "decoder") if fast else (), evaluate=measures,
               callbacks=pictures(source, lambda m: means(m, 64)))


@recipe(paper="Burda et al. 2016", systems=["GEN-10", "GEN-18"], presets=[
    preset("digits", hidden=256, layers=1, latent=8, lr=3e-3, warm=False, steps=1_500,
           target={"nll_gain": at_least(0.1)}, seconds=60),
    preset("mnist", samples=50, latent=40, vae_steps=23_400, steps=5_616, seconds=5_400,
           target={"nll": at_most(86.2), "nll_gain": at_least(1.0)}, published={"nll": 84.78},
           source="Burda et al. 2016, table 1, one stochastic layer, k = 50")])
def iwae(data: Images = "digits", *, size: int | None = None, samples: int = 20, hidden: int = 512,
         layers: int = 2, latent: int = 32, lr: float = 2e-3, batch: int = 128, vae_steps: int = 1_500,
         steps: int = 500, warm: bool = True, seed: int = 0) -> Run:
    """IWAE of dynamically binarised images: negative log-likelihood, and the nats gained over a VAE.

    Args:
        data: images by name or path or as an object.
        samples: draws of the code for each image and step.
        hidden, layers, latent: units of a hidden layer, hidden layers of a net, numbers of the code z.
        vae_steps, steps: training steps of the VAE, training steps of the IWAE.
        warm: start from the trained VAE, at half the rate, and not anew.
    """
    source = open_data(data, "images", size=size)
    plain = image_vae(source, *[hidden] * layers, latent=latent)
    method = IWAE(plain if warm else image_vae(source, *[hidden] * layers, latent=latent), samples=samples)
    train = source.train(batch=batch, seed=seed, **BINARISED)
    nll = likelihood(source.test(seed=seed, **BINARISED))
    first = fit(plain, train, adam(lr), steps=vae_steps, seed=seed, evaluate=nll)
    measures = evaluations(method, source, sample=lambda m, n: means(m.vae, n), **BINARISED)
    second = fit(method, train, adam(lr / 2 if warm else lr), steps=steps, seed=seed,
                 evaluate=[*measures, beside_vae(first, nll)],
                 callbacks=pictures(source, lambda m: means(m.vae, 64)))
    return joined(first, second)


@recipe(paper="Kingma & Welling 2014", systems=["GEN-20", "MET-08"], presets=[
    preset("digits", halvings=1, latent=12, lr=3e-3, steps=800, seconds=40,
           target={"bits_per_dim": at_most(2.1)}),
    preset("fashion", latent=32, steps=6_000, target={"bits_per_dim": at_most(3.8)}, seconds=900)])
def conv_vae(data: Images = "digits", *, size: int | None = None, width: int = 32, halvings: int = 2,
             latent: int = 64, lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Convolutional VAE of images, a discretised logistic for each value: bits a value, as a bound.

    Args:
        data, size: images by name or path or as an object, side in pixels (32 for your own unless given).
        width, halvings, latent: feature maps after the first halving, halvings of the side, numbers of z.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    (channels, side, _), widths = halved(source, halvings), tuple(width << i for i in range(halvings))
    encoder = nn.Sequential(Standardize(source.mean, 1.0), image_encoder(channels, side, widths, 2 * latent))
    method = VAE(encoder, image_decoder(2 * channels, side, widths, latent), latent_dim=latent,
                 likelihood=partial(discretized_logistic, levels=source.levels))
    return fit(method, source.train(batch=batch, seed=seed), adam(lr), steps=steps, seed=seed,
               clip_norm=100.0, evaluate=[*evaluations(method, source, sample=means), bits(source)],
               callbacks=pictures(source, lambda m: means(m, 64)))


def image_vae(source: Source, *hidden: int, latent: int, beta: float = 1.0) -> VAE:
    """A VAE of images: an encoder with these hidden layers, and its mirror image; both start at the mean."""
    values, mean = size_of(source), min(max(source.mean, 1e-3), 1 - 1e-3)
    layers = mlp(values, *hidden, 2 * latent, activation=nn.SiLU)
    decoder = mlp(latent, *reversed(hidden), values, activation=nn.SiLU)
    nn.init.constant_(decoder[-1].get_parameter("bias"), math.log(mean / (1 - mean)))
    return VAE(nn.Sequential(Standardize(mean, 1.0), nn.Flatten(), layers),
               nn.Sequential(decoder, nn.Unflatten(1, source.shape)), latent_dim=latent, beta=beta)


def means(method: Any, n: int) -> Tensor:
    """n generated images, as the decoder's means."""
    return method.decode(method.prior(n)).mean
