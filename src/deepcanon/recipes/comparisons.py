"""Further evaluations of autoencoders: likelihoods; beside principal components, a Wiener filter, a VAE."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcanon.data import Source
from deepcanon.engine import Run, evaluate
from deepcanon.foundations.pca import PCA
from deepcanon.metrics.likelihood import bits_per_dim
from deepcanon.recipes.judge import judge_of
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.vae import VAE, kl_standard_normal, reparameterise

ROWS = 2_000                                # training images that linear methods are fitted to, at most
RATIOS = {"mse_ratio": ("mse", "vae_mse"), "bits_ratio": ("prior_bits", "vae_bits"),
          "vae_frechet_ratio": ("frechet_distance", "vae_frechet_distance")}


def rows(source: Source) -> tuple[Tensor, Tensor]:
    """Training images, up to `ROWS` of them, and all test images, as rows of numbers."""
    return source.train(batch=ROWS).at(0)[0].flatten(1), torch.cat([x.flatten(1) for x, _ in source.test()])


def beside_pca(source: Source, components: int) -> Callable[[Autoencoder], dict[str, float]]:
    """The error on test images, divided by that of so many principal components of training images."""

    def measure(method: Autoencoder) -> dict[str, float]:
        train, test = rows(source)
        pca = PCA.fit(train, min(components, *train.shape))
        linear = (pca.reconstruct(test) - test).square().mean().item()
        return {"pca_mse": linear, "pca_ratio": evaluate(method, source.test())["mse"] / linear}

    return measure


def beside_wiener(source: Source, sigma: float) -> Callable[[Autoencoder], dict[str, float]]:
    """The error of restored test images, divided by that of the Wiener filter of training images."""

    def measure(method: Autoencoder) -> dict[str, float]:
        train, test = rows(source)
        pca = PCA.fit(train, min(train.shape))
        kept = pca.variances / (pca.variances + sigma**2)
        restored = pca.decode(kept * pca.encode(test + sigma * torch.randn_like(test)))
        linear, mine = (restored - test).square().mean().item(), evaluate(method, source.test())
        return {"wiener_mse": linear, "wiener_ratio": mine["restored_mse"] / linear}

    return measure


def activity(source: Source) -> Callable[[Autoencoder], dict[str, float]]:
    """The share of the code's units that are on, and the error beside as many principal components."""

    def measure(method: Autoencoder) -> dict[str, float]:
        batches = source.test().to(next(method.parameters()).device)
        on = torch.cat([(method.encode(x) > 0).float() for x, _ in batches])
        units = max(1, round(on.sum(1).mean().item()))
        return {"active": on.mean().item()} | beside_pca(source, units)(method)

    return measure


def bits(source: Source) -> Callable[[VAE], dict[str, float]]:
    """The bound in bits a value."""

    def measure(method: VAE) -> dict[str, float]:
        elbo = torch.tensor(evaluate(method, source.test())["elbo"])
        return {"bits_per_dim": bits_per_dim(elbo, math.prod(source.shape)).item()}

    return measure


def likelihood(data: Any, importance_samples: int = 500) -> Callable[[VAE | IWAE], dict[str, float]]:
    """Mean negative log-likelihood of the data, in nats."""

    def nll(method: VAE | IWAE) -> dict[str, float]:
        batches = data.to(next(method.parameters()).device)
        return {"nll": -torch.cat([method.log_prob(x, importance_samples) for x, _ in batches]).mean().item()}

    return nll


def beside_vae(vae: Run, nll: Callable[[Any], dict[str, float]]) -> Callable[[IWAE], dict[str, float]]:
    """Negative log-likelihood; if the VAE was trained just now, how much lower it is than the VAE's."""

    def measure(method: IWAE) -> dict[str, float]:
        mine, theirs = nll(method)["nll"], vae.results.get("nll")
        return {"nll": mine} | ({} if theirs is None else {"vae_nll": theirs, "nll_gain": theirs - mine})

    return measure


def rate_and_error(source: Source) -> Callable[[VAE], dict[str, float]]:
    """Of a VAE: bits of a code, KL(q || p); the error of decoded draws of q; Frechet distance."""

    def measure(vae: VAE) -> dict[str, float]:
        error, bits = [], []
        for x, _ in source.test().to(next(vae.parameters()).device):
            mu, log_var = vae.posterior(x)
            error.append((vae.decode(reparameterise(mu, log_var)).mean - x).square().flatten(1).mean(1))
            bits.append(kl_standard_normal(mu, log_var) / math.log(2))
        distance = judge_of(source).frechet(lambda n: vae.decode(vae.prior(n)).mean)
        return {"vae_mse": torch.cat(error).mean().item(), "vae_bits": torch.cat(bits).mean().item(),
                "vae_frechet_distance": distance}

    return measure


def beside_rate_and_error(vae: Run, test: Any, quality: Callable) -> Callable[[Any], dict[str, float]]:
    """The quality of images; if the VAE was trained just now, its numbers, and the method's over them."""

    def measure(method: Any) -> dict[str, float]:
        verdict = quality(method)
        if not vae.results:
            return verdict
        mine = evaluate(method, test) | verdict
        theirs = {other: vae.results[other] for _, other in RATIOS.values()}
        return verdict | theirs | {k: mine[name] / theirs[other] for k, (name, other) in RATIOS.items()}

    return measure
