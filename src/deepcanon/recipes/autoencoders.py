"""Runs of autoencoders and of the kinds of VAE."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, cosine, evaluate, fit, recipe
from deepcanon.foundations.pca import PCA
from deepcanon.layers.norm import Standardize
from deepcanon.metrics.likelihood import bits_per_dim
from deepcanon.nets.conditional import Joined
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.gan_classes import beyond, partly_labelled, some_of_each
from deepcanon.recipes.joint import Joint
from deepcanon.recipes.judge import JUDGES, Judge, digits_judge
from deepcanon.recipes.vae import binarised, image_vae, likelihood, means, pictures
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.conditional import ConditionalVAE
from deepcanon.vae.convolutional import image_decoder, image_encoder
from deepcanon.vae.denoising import gaussian_noise
from deepcanon.vae.gumbel import GumbelVAE
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.likelihoods import discretized_logistic
from deepcanon.vae.schedule import Scheduled, cooling
from deepcanon.vae.semi_supervised import SemiSupervisedVAE
from deepcanon.vae.sparse import Dictionary, KSparse
from deepcanon.vae.vae import VAE
from deepcanon.vision.classify import Classifier

GREY, MEAN = (1, 8, 8), 0.305     # scikit-learn's digits: shape and mean pixel


@recipe(target={"pca_ratio": at_most(0.8)}, seconds=30, paper="Hinton & Salakhutdinov 2006", rows=["GEN-01", "GEN-02"])
def autoencoder_digits(latent: int = 8, hidden: int = 128, lr: float = 3e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Autoencoder on scikit-learn's 8x8 digits: squared error divided by that of principal components of as many numbers."""
    method = Autoencoder(nn.Sequential(nn.Flatten(), mlp(64, hidden, latent, activation=nn.SiLU)),
                         nn.Sequential(mlp(latent, hidden, 64, activation=nn.SiLU), nn.Unflatten(1, GREY)))
    return on_digits(method, [beside_pca(latent)], lr=lr, batch=batch, steps=steps, seed=seed)


@recipe(target={"wiener_ratio": at_most(0.9)}, seconds=30, paper="Vincent et al. 2008", rows=["GEN-06"])
def denoising_digits(sigma: float = 0.4, hidden: int = 256, lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Denoising autoencoder on scikit-learn's 8x8 digits: squared error divided by that of the best linear denoiser."""
    method = Autoencoder(nn.Sequential(nn.Flatten(), mlp(64, hidden, hidden, activation=nn.SiLU), nn.SiLU()),
                         nn.Sequential(mlp(hidden, 64), nn.Unflatten(1, GREY)), corrupt=gaussian_noise(sigma))
    return on_digits(method, [beside_wiener(sigma)], lr=lr, batch=batch, steps=steps, seed=seed)


@recipe(target={"active": at_most(0.05), "pca_ratio": at_most(1.2)}, seconds=30, paper="Makhzani & Frey 2014", rows=["GEN-04"])
def sparse_digits(k: int = 8, units: int = 256, lr: float = 3e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Sparse autoencoder on scikit-learn's 8x8 digits, few of many units on: squared error beside principal components of as many numbers."""
    method = Autoencoder(nn.Sequential(nn.Flatten(), mlp(64, units, units), nn.ReLU(), KSparse(k)),
                         nn.Sequential(Dictionary(units, 64), nn.Unflatten(1, GREY)))
    return on_digits(method, [activity], lr=lr, batch=batch, steps=steps, seed=seed)


@recipe(target={"class_accuracy": at_least(0.9)}, seconds=30, paper="Sohn et al. 2015", rows=["GEN-19"])
def conditional_vae_digits(hidden: int = 256, latent: int = 8, lr: float = 3e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Conditional VAE on scikit-learn's 8x8 digits: the bound, and the share of images that the judge takes for the digit asked for."""
    method = ConditionalVAE(*told_nets(hidden, latent), latent_dim=latent)
    train, test = binarised("digits", batch, seed)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, evaluate=[test, obedience(digits_judge())],
               callbacks=[Samples(lambda m: of_each_class(m, 100))])


@recipe(target={"bits_per_dim": at_most(2.1)}, seconds=40, paper="Kingma & Welling 2014", rows=["GEN-20", "MET-08"])
def conv_vae_digits(width: int = 32, latent: int = 12, lr: float = 3e-3, batch: int = 128, steps: int = 800, seed: int = 0) -> Run:
    """Convolutional VAE on scikit-learn's 8x8 digits of 17 levels, a discretised logistic a pixel: bits a pixel, as a bound."""
    return convolutional("digits", (width,), 17, 0.305, latent, lr, batch, steps, seed)


@recipe(target={"bits_per_dim": at_most(3.8)}, seconds=900, paper="Kingma & Welling 2014", rows=["GEN-20", "MET-08"])
def vae_fashion(width: int = 32, latent: int = 32, lr: float = 2e-3, batch: int = 128, steps: int = 6_000, seed: int = 0) -> Run:
    """Convolutional VAE on 8-bit Fashion-MNIST, a discretised logistic a pixel: bits a pixel, as a bound."""
    return convolutional("fashion", (width, 2 * width), 256, 0.286, latent, lr, batch, steps, seed)


@recipe(target={"elbo": at_least(-25.0)}, seconds=30, paper="Jang et al. 2017", rows=["GEN-25"])
def gumbel_vae_digits(codes: int = 12, values: int = 8, hidden: int = 256, lr: float = 3e-3, batch: int = 128, steps: int = 2_000,
                      seed: int = 0) -> Run:
    """VAE with a categorical code on scikit-learn's 8x8 digits, dynamically binarised: the bound of the discrete code, class balance."""
    encoder = nn.Sequential(Standardize(MEAN, 1.0), nn.Flatten(), mlp(64, hidden, codes * values, activation=nn.SiLU))
    decoder = nn.Sequential(mlp(codes * values, hidden, 64, activation=nn.SiLU), nn.Unflatten(1, GREY))
    method = GumbelVAE(encoder, decoder, num_codes=codes, num_values=values, temperature=Scheduled(cooling(1.0, 0.5, 500)))
    train, test = binarised("digits", batch, seed)
    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, evaluate=[test, digits_judge()],
               callbacks=[Samples(lambda m: m.decode(m.prior(64)).mean)])


@recipe(target={"accuracy": at_least(0.75), "gain": at_least(0.0)}, seconds=40, paper="Kingma et al. 2014", rows=["GEN-22"])
def semi_supervised_vae_digits(labels: int = 10, hidden: int = 128, latent: int = 3, alpha: float = 20.0, lr: float = 3e-3, batch: int = 100,
                               steps: int = 1_000, seed: int = 0) -> Run:
    """Semi-supervised VAE on scikit-learn's 8x8 digits with ten labels a class: accuracy, and the gain over the same net without the rest."""
    every = images("digits", batch=batch, seed=seed)
    few, test = every.take(some_of_each(every.content.y, labels)), images("digits", split="test", batch=1_000)
    alone = Classifier(reader(hidden))
    method = SemiSupervisedVAE(*told_nets(hidden, latent), reader(hidden), latent_dim=latent, num_classes=10, alpha=alpha)
    adam = Adam(lr, schedule=cosine(warmup=0.02))
    first = fit(alone, few, adam, steps=steps // 3, seed=seed, evaluate=test)
    return fit(method, Joint(partly_labelled, few, every), adam, steps=steps, seed=seed, evaluate=[test, beyond(first, test)],
               callbacks=[Samples(lambda m: of_each_class(m, 100))])


@recipe(target={"gain": at_least(0.1)}, seconds=60, paper="Burda et al. 2016", rows=["GEN-10", "GEN-18"])
def iwae_digits(samples: int = 20, hidden: int = 256, latent: int = 8, lr: float = 3e-3, batch: int = 128, steps: int = 1_500,
                seed: int = 0) -> Run:
    """IWAE on scikit-learn's 8x8 digits, dynamically binarised: log-likelihood gained, in nats, over the same VAE trained on one sample."""
    train, test = binarised("digits", batch, seed)
    plain, method = (image_vae(GREY, hidden, latent=latent, mean=MEAN) for _ in range(2))
    adam, nll = Adam(lr, schedule=cosine(warmup=0.02)), likelihood(test, 500)
    first = fit(plain, train, adam, steps=steps, seed=seed, evaluate=nll)
    return fit(IWAE(method, samples=samples), train, adam, steps=steps, seed=seed, evaluate=[test, gained(first, nll)],
               callbacks=[Samples(lambda m: pictures(m.vae))])


@recipe(target={"nll": at_most(86.2), "gain": at_least(1.0)}, seconds=5_400, published={"nll": 84.78},
        source="Burda et al. 2016, table 1, one stochastic layer, k = 50", paper="Burda et al. 2016", rows=["GEN-10", "GEN-18"])
def iwae_mnist(samples: int = 50, hidden: int = 512, latent: int = 40, lr: float = 2e-3, batch: int = 128, vae_epochs: int = 50, epochs: int = 12,
               importance_samples: int = 500, seed: int = 0) -> Run:
    """IWAE on dynamically binarised MNIST, from a VAE trained before: importance-sampled negative log-likelihood, and what it gained, in nats."""
    train, test = binarised("mnist", batch, seed)
    vae, nll = image_vae((1, 28, 28), hidden, hidden, latent=latent, mean=0.1307), likelihood(test, importance_samples)
    adam = Adam(lr, schedule=cosine(warmup=0.02))
    first = fit(vae, train, adam, epochs=vae_epochs, seed=seed, evaluate=nll)
    second = fit(IWAE(vae, samples=samples), train, Adam(lr / 2, schedule=cosine(warmup=0.02)), epochs=epochs, seed=seed,
                 evaluate=[test, gained(first, nll)], callbacks=[Samples(lambda m: pictures(m.vae))])
    seconds, steps = (getattr(first, of) + getattr(second, of) for of in ("seconds", "steps"))
    return replace(second, folder=first.folder, seconds=seconds, steps=steps)


def on_digits(method: Autoencoder, measures: list[Callable], *, lr: float, batch: int, steps: int, seed: int) -> Run:
    """Trains an autoencoder of digits; pictures of test images over what it makes of them."""
    test = images("digits", split="test", batch=1_000)

    def both(method: Autoencoder) -> Tensor:
        x = test.at(0)[0][:32].to(next(method.parameters()).device)
        return torch.cat([x, method.reconstruct(method.corrupt(x) if method.corrupt else x)]).clamp(0, 1)

    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed,
               evaluate=[test, *measures], callbacks=[Samples(both)])


def digits() -> tuple[Tensor, Tensor]:
    """The rows of train and test images."""
    train, test = (images("digits", split=split, batch=2_000, shuffle=False).at(0)[0].flatten(1) for split in ("train", "test"))
    return train, test


def beside_pca(components: int) -> Callable[[Autoencoder], dict[str, float]]:
    """An evaluation: error on the test images, divided by that of the principal components of the training images."""

    def measure(method: Autoencoder) -> dict[str, float]:
        train, test = digits()
        linear = (PCA.fit(train, components).reconstruct(test) - test).square().mean().item()
        mine = evaluate(method, images("digits", split="test", batch=1_000))["mse"]
        return {"pca_mse": linear, "pca_ratio": mine / linear}

    return measure


def beside_wiener(sigma: float) -> Callable[[Autoencoder], dict[str, float]]:
    """An evaluation: error of the restored test images, divided by that of the Wiener filter of the training images' covariance."""

    def measure(method: Autoencoder) -> dict[str, float]:
        train, test = digits()
        mean, covariance = train.mean(0), train.T.cov()
        gain = torch.linalg.solve(covariance + sigma**2 * torch.eye(64), covariance)
        linear = ((test + sigma * torch.randn_like(test) - mean) @ gain + mean - test).square().mean().item()
        mine = evaluate(method, images("digits", split="test", batch=1_000))["restored_mse"]
        return {"wiener_mse": linear, "wiener_ratio": mine / linear}

    return measure


def activity(method: Autoencoder) -> dict[str, float]:
    """An evaluation: the share of units that are on, and the error beside that of as many principal components as units are on."""
    _, test = digits()
    on = (method.encode(test.view(-1, *GREY).to(next(method.parameters()).device)) > 0).float()
    return {"active": on.mean().item()} | beside_pca(max(1, round(on.sum(1).mean().item())))(method)


def told_nets(hidden: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """An encoder and a decoder of digits that have the class beside their input."""
    decoder = Joined(nn.Sequential(mlp(latent + 10, hidden, 64, activation=nn.SiLU), nn.Unflatten(1, GREY)), 10)
    return Joined(mlp(64 + 10, hidden, 2 * latent, activation=nn.SiLU), 10), decoder


def reader(hidden: int) -> nn.Sequential:
    """A classifier of digits."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), mlp(64, hidden, hidden, 10))


def of_each_class(method: ConditionalVAE | SemiSupervisedVAE, n: int) -> Tensor:
    """n generated images of the ten classes in turn, as the decoder's means."""
    z = next(method.decoder.parameters()).new_empty(n, method.latent_dim).normal_()
    return method.decode(z, torch.arange(n, device=z.device) % 10).mean


def obedience(judge: Judge, n: int = 2_000) -> Callable[[ConditionalVAE], dict[str, float]]:
    """An evaluation: the share of images that the judge takes for the digit asked for."""

    return lambda method: {"class_accuracy": judge.obedience(method, lambda y: of_each_class(method, len(y)), n)}


def convolutional(source: str, widths: tuple[int, ...], levels: int, mean: float, latent: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """A convolutional VAE of grey images on some levels."""
    train, test = images(source, batch=batch, seed=seed), images(source, split="test", batch=1_000)
    size = 8 if source == "digits" else 28
    encoder = nn.Sequential(Standardize(mean, 1.0), image_encoder(1, size, widths, 2 * latent))
    method = VAE(encoder, image_decoder(2, size, widths, latent), latent_dim=latent, likelihood=partial(discretized_logistic, levels=levels))

    def bits(method: VAE) -> dict[str, float]:
        return {"bits_per_dim": bits_per_dim(torch.tensor(evaluate(method, test)["elbo"]), size**2).item()}

    return fit(method, train, Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, clip_norm=100.0,
               evaluate=[test, bits, means(JUDGES[source]())], callbacks=[Samples(pictures)])


def gained(plain: Run, nll: Callable) -> Callable[[IWAE], dict[str, float]]:
    """An evaluation: negative log-likelihood, and how much lower it is than that of the plain VAE, if that was trained in this process."""

    def measure(method: IWAE) -> dict[str, float]:
        mine = nll(method)["nll"]
        return {"nll": mine} | ({"vae_nll": plain.results["nll"], "gain": plain.results["nll"] - mine} if plain.results else {})

    return measure
