"""Runs of variational autoencoders whose code is discrete."""

import math
from functools import partial

from torch import nn

from deepcanon.data import Images, Source, augment, open_data
from deepcanon.engine import AdamW, Run, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.layers.quantize import AveragedQuantizer
from deepcanon.nets.conv_coder import conv_decoder, conv_encoder
from deepcanon.nets.gpt import GPT
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.comparisons import beside_rate_and_error, rate_and_error
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import SIDE, halved, size_of
from deepcanon.recipes.optimizers import adam
from deepcanon.recipes.stages import joined
from deepcanon.recipes.vaes.gaussian import BINARISED, means
from deepcanon.vae import VAE, VQVAE, CodePrior, GumbelVAE, Scheduled
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.schedule import cooling

LIKELIHOOD, CODE_DIM = partial(gaussian, sigma=0.1), 8


@recipe(paper="Jang et al. 2017", systems=["GEN-25"], presets=[
    preset("digits", codes=12, values=8, hidden=256, target={"elbo": at_least(-25.0)}, seconds=30)])
def gumbel_vae(data: Images = "digits", *, size: int | None = None, codes: int = 24, values: int = 16,
               hidden: int = 512, lr: float = 3e-3, batch: int = 128, steps: int = 2_000,
               seed: int = 0) -> Run:
    """VAE with a categorical code, of dynamically binarised images: the bound of the discrete code, in nats.

    Args:
        data: images by name or path or as an object.
        codes, values: categorical numbers of the code, values that each can take.
        hidden: units of the hidden layer of encoder and decoder.
    """
    source = open_data(data, "images", size=size)
    pixels, logits = size_of(source), codes * values
    encoder = mlp(pixels, hidden, logits, activation=nn.SiLU)
    decoder = nn.Sequential(mlp(logits, hidden, pixels, activation=nn.SiLU), nn.Unflatten(1, source.shape))
    method = GumbelVAE(nn.Sequential(Standardize(source.mean, 1.0), nn.Flatten(), encoder), decoder,
                       num_codes=codes, num_values=values, temperature=Scheduled(cooling(1.0, 0.5, 500)))
    return fit(method, source.train(batch=batch, seed=seed, **BINARISED), adam(lr), steps=steps, seed=seed,
               evaluate=evaluations(method, source, sample=means, **BINARISED),
               callbacks=pictures(source, lambda m: means(m, 64)))


@recipe(paper="van den Oord et al. 2017", systems=["GEN-26", "GEN-27", "MET-10"], presets=[
    preset("digits", halvings=1, codes=24, latent=2, tilt=1.0, steps=1_500, prior_steps=1_500, seconds=60,
           target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "class_min": at_least(0.04),
                   "class_max": at_most(0.16)}),
    preset("mnist", codes=64, steps=2_500, prior_steps=1_500, seconds=1_200,
           target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "class_min": at_least(0.04),
                   "class_max": at_most(0.16)}),
    preset("fashion", steps=2_500, prior_steps=1_500, seconds=1_200,
           target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "vae_frechet_ratio": at_most(1.0),
                   "class_min": at_least(0.04), "class_max": at_most(0.16)})])
def vq_vae(data: Images = "digits", *, size: int | None = None, width: int = 64, halvings: int = 2,
           codes: int = 128, latent: int = 1, tilt: float = 0.0, lr: float = 2e-3, batch: int = 128,
           steps: int = 800, prior_steps: int = 800, seed: int = 0) -> Run:
    """VQ-VAE of images, beside a VAE of the same layers, then a GPT over its codes, which draws new images.

    Args:
        data, size: images by name or path or as an object, side in pixels (32 for your own unless given).
        width, halvings: feature maps after the last halving, halvings of the side.
        codes, latent: entries of the codebook, numbers that the VAE has in place of each code.
        tilt: strength of random affine distortions; 1 is up to 10 degrees and a tenth of the size.
        steps, prior_steps: training steps of each autoencoder, training steps of the GPT.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    train, gently = (source.train(batch=batch, seed=seed, augment=tilted(tilt * part)) for part in (1.0, 0.5))
    method, baseline = coders(source, tuple(width >> i for i in reversed(range(halvings))), codes, latent)
    first = fit(method, train, adam(lr), steps=steps, seed=seed, evaluate=source.test())
    second = fit(baseline, train, adam(lr), steps=steps, seed=seed, evaluate=rate_and_error(source))
    places = tuple(side >> halvings for side in source.shape[1:])
    gpt = GPT(codes + 1, math.prod(places), num_layers=2, num_heads=4, embed_dim=width * halvings)
    prior = CodePrior(method, gpt, shape=places, num_codes=codes)
    test, quality = evaluations(prior, source)
    third = fit(prior, gently, AdamW(3e-3, weight_decay=0.1, schedule=cosine(warmup=0.05)), steps=prior_steps,
                seed=seed, clip_norm=1.0, evaluate=[test, beside_rate_and_error(second, test, quality)],
                callbacks=pictures(source))
    return joined(first, second, third)


def coders(source: Source, widths: tuple[int, ...], codes: int, latent: int) -> tuple[VQVAE, VAE]:
    """A VQ-VAE, and a VAE of the same layers with `latent` numbers at each place."""
    channels, *sides = halved(source, len(widths))
    start, shape = Standardize(source.mean, 1.0), (latent, *(side >> len(widths) for side in sides))
    vq_encoder = nn.Sequential(start, conv_encoder(channels, widths, CODE_DIM))
    vq = VQVAE(vq_encoder, conv_decoder(channels, widths, CODE_DIM),
               AveragedQuantizer(codes, CODE_DIM, restart=0.1), likelihood=LIKELIHOOD)
    encoder = nn.Sequential(start, conv_encoder(channels, widths, 2 * latent), nn.Flatten())
    decoder = nn.Sequential(nn.Unflatten(1, shape), conv_decoder(channels, widths, latent))
    return vq, VAE(encoder, decoder, latent_dim=math.prod(shape), likelihood=LIKELIHOOD)


def tilted(amount: float) -> augment.Augment | None:
    """An affine distortion; by 1, up to 10 degrees of rotation and shear, and a tenth in size; by 0, none."""
    if not amount:
        return None
    scale = (1 - 0.1 * amount, 1 + 0.1 * amount)
    return augment.affine(degrees=10 * amount, translate=0.05 * amount, scale=scale, shear=10 * amount)
