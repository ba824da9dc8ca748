"""Runs of latent variable models."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import augment, images
from deepcanon.engine import Adam, AdamW, Run, Samples, at_least, at_most, cosine, evaluate, fit, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.layers.quantize import AveragedQuantizer
from deepcanon.nets.conv_coder import conv_decoder, conv_encoder
from deepcanon.nets.gpt import GPT
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.judge import JUDGES, Judge, digits_judge
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.prior import CodePrior
from deepcanon.vae.vae import VAE, kl_standard_normal, reparameterise
from deepcanon.vae.vq_vae import VQVAE


@recipe(target={"elbo": at_least(-99.0)}, seconds=60, paper="Kingma & Welling 2014", rows=["GEN-13", "GEN-16", "GEN-17", "GEN-18"])
def vae_mnist(hidden: int = 512, latent: int = 24, beta: float = 1.0, lr: float = 5e-3, batch: int = 128, steps: int = 4_500,
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


@recipe(target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60,
        paper="van den Oord et al. 2017", rows=["GEN-26", "GEN-27"])
def vq_vae_digits(width: int = 64, codes: int = 24, latent: int = 2, lr: float = 2e-3, batch: int = 128, steps: int = 1_500,
                  prior_steps: int = 1_500, seed: int = 0) -> Run:
    """VQ-VAE on scikit-learn's 8x8 digits, beside a VAE of as many bits, then a GPT over its codes: class balance of what it draws."""
    return vq_vae_and_prior("digits", (width,), mean=0.305, sigma=0.1, codes=codes, latent=latent, embed_dim=64, distort=tilt,
                            lr=lr, batch=batch, steps=steps, prior_steps=prior_steps, seed=seed)


@recipe(target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=1_200,
        paper="van den Oord et al. 2017", rows=["GEN-26", "GEN-27"])
def vq_vae_mnist(width: int = 64, codes: int = 64, latent: int = 1, lr: float = 2e-3, batch: int = 128, steps: int = 2_500,
                 prior_steps: int = 1_500, seed: int = 0) -> Run:
    """VQ-VAE on MNIST, beside a VAE of as many bits, then a GPT over its codes: class balance of what it draws, after some minutes."""
    return vq_vae_and_prior("mnist", (width // 2, width), mean=0.1307, sigma=0.1, codes=codes, latent=latent, embed_dim=128,
                            lr=lr, batch=batch, steps=steps, prior_steps=prior_steps, seed=seed)


@recipe(target={"mse_ratio": at_most(1.0), "bits_ratio": at_most(1.0), "fid_ratio": at_most(1.0), "class_min": at_least(0.04),
                "class_max": at_most(0.16)}, seconds=1_200, paper="van den Oord et al. 2017", rows=["GEN-26", "GEN-27", "MET-10"])
def vq_vae_fashion(width: int = 64, codes: int = 128, latent: int = 1, lr: float = 2e-3, batch: int = 128, steps: int = 2_500,
                   prior_steps: int = 1_500, seed: int = 0) -> Run:
    """VQ-VAE on Fashion-MNIST, beside a VAE of the same layers, then a GPT over its codes: whose samples have the lower Frechet distance."""
    return vq_vae_and_prior("fashion", (width // 2, width), mean=0.286, sigma=0.1, codes=codes, latent=latent, embed_dim=128,
                            lr=lr, batch=batch, steps=steps, prior_steps=prior_steps, seed=seed)


def vq_vae_and_prior(source: str, widths: tuple[int, ...], *, mean: float, sigma: float, codes: int, latent: int, embed_dim: int,
                     distort: Callable[[float], augment.Augment | None] = lambda amount: None, lr: float, batch: int, steps: int, prior_steps: int,
                     seed: int) -> Run:
    """Three fits: the VQ-VAE, a VAE of the same layers with `latent` numbers a position, and the prior of the codes.

    The last run, with the time and steps of all. A VQ-VAE's code is as long as the prior says, a VAE's takes KL(q || p) bits. The judge sees
    the decoders' means, of codes drawn from either prior.
    Both learn from images distorted by `distort(1)`, the prior from images distorted half as much.
    """
    train, gently = (images(source, batch=batch, seed=seed, augment=distort(amount)) for amount in (1.0, 0.5))
    test, judge = images(source, split="test", batch=1_000), JUDGES[source]()
    dim, side, likelihood = 8, test.shape[1] >> len(widths), partial(gaussian, sigma=sigma)
    method = VQVAE(nn.Sequential(Standardize(mean, 1.0), conv_encoder(1, widths, dim)), conv_decoder(1, widths, dim),
                   AveragedQuantizer(codes, dim, restart=0.1), likelihood=likelihood)
    encoder, decoder = conv_encoder(1, widths, 2 * latent), conv_decoder(1, widths, latent)
    baseline = VAE(nn.Sequential(Standardize(mean, 1.0), encoder, nn.Flatten()), nn.Sequential(nn.Unflatten(1, (latent, side, side)), decoder),
                   latent_dim=latent * side**2, likelihood=likelihood)

    adam = Adam(lr, schedule=cosine(warmup=0.02))
    first = fit(method, train, adam, steps=steps, seed=seed, evaluate=test)
    second = fit(baseline, train, adam, steps=steps, seed=seed, evaluate=draws(test, judge))
    prior = CodePrior(method, GPT(codes + 1, side**2, num_layers=2, num_heads=4, embed_dim=embed_dim), shape=(side, side), num_codes=codes)
    third = fit(prior, gently, AdamW(3e-3, weight_decay=0.1, schedule=cosine(warmup=0.05)), steps=prior_steps, seed=seed, clip_norm=1.0,
                evaluate=[test, beside(second, test, judge)], callbacks=[Samples(lambda m: m.sample(64))])
    seconds, steps = (sum(getattr(run, of) for run in (first, second, third)) for of in ("seconds", "steps"))
    return replace(third, folder=first.folder, seconds=seconds, steps=steps)


def tilt(amount: float) -> augment.Augment:
    """An affine distortion; by 1, up to 10 degrees of rotation and shear, and a tenth in size."""
    return augment.affine(degrees=10 * amount, translate=0.05 * amount, scale=(1 - 0.1 * amount, 1 + 0.1 * amount), shear=10 * amount)


def draws(test, judge: Judge) -> Callable[[VAE], dict[str, float]]:
    """An evaluation: bits a code, KL(q || p), and what they pay for, the squared error a value of decoded draws of q; Frechet distance."""

    def measure(vae: VAE) -> dict[str, float]:
        error, bits = [], []
        for x, _ in test.to(next(vae.parameters()).device):
            mu, log_var = vae.posterior(x)
            error.append((vae.decode(reparameterise(mu, log_var)).mean - x).square().flatten(1).mean(1))
            bits.append(kl_standard_normal(mu, log_var) / math.log(2))
        distance = judge.fid(lambda n: vae.decode(vae.prior(n)).mean)
        return {"vae_mse": torch.cat(error).mean().item(), "vae_bits": torch.cat(bits).mean().item(), "vae_fid": distance}

    return measure


def means(judge: Judge) -> Callable[[VAE], dict[str, float]]:
    """An evaluation: the judge's of the decoder's means, p(x|z) without the noise of the pixels."""
    return lambda vae: judge.judge(lambda n: vae.decode(vae.prior(n)).mean)


def beside(vae: Run, test, judge: Judge) -> Callable[[CodePrior], dict[str, float]]:
    """An evaluation: the judge's; if the VAE was trained in this process, its numbers, and error, length of the codes and distance over its own."""

    def measure(method: CodePrior) -> dict[str, float]:
        verdict = judge(method)
        if not vae.results:
            return verdict
        mine = evaluate(method, test) | verdict
        ratios = {f"{name}_ratio": mine[of] / vae.results[f"vae_{name}"] for name, of in {"mse": "mse", "bits": "prior_bits", "fid": "fid"}.items()}
        return verdict | {name: value for name, value in vae.results.items() if name.startswith("vae_")} | ratios

    return measure


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
