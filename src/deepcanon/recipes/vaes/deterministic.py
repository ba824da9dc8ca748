"""Runs of autoencoders without a prior, each beside the best linear method."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepcanon.data import Images, Source, open_data
from deepcanon.engine import Run, at_most, fit, preset, recipe
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.comparisons import activity, beside_pca, beside_wiener
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import size_of
from deepcanon.recipes.optimizers import adam
from deepcanon.vae import Autoencoder
from deepcanon.vae.denoising import gaussian_noise
from deepcanon.vae.sparse import Dictionary, KSparse


@recipe(paper="Hinton & Salakhutdinov 2006", systems=["GEN-01", "GEN-02"], presets=[
    preset("digits", latent=8, hidden=128, lr=3e-3, target={"pca_ratio": at_most(0.8)}, seconds=30)])
def autoencoder(data: Images = "digits", *, size: int | None = None, latent: int = 32, hidden: int = 512,
                lr: float = 1e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Autoencoder of images: squared error, beside that of principal components of as many numbers.

    Args:
        data: images by name or path or as an object.
        latent, hidden: numbers of the code, units of the hidden layer of encoder and decoder.
    """
    source = open_data(data, "images", size=size)
    encoder = nn.Sequential(nn.Flatten(), mlp(size_of(source), hidden, latent, activation=nn.SiLU))
    layers = mlp(latent, hidden, size_of(source), activation=nn.SiLU)
    method = Autoencoder(encoder, nn.Sequential(layers, nn.Unflatten(1, source.shape)))
    return reconstruction(source, method, beside_pca(source, latent), lr, batch, steps, seed)


@recipe(paper="Vincent et al. 2008", systems=["GEN-06"], presets=[
    preset("digits", hidden=256, lr=2e-3, steps=1_500, target={"wiener_ratio": at_most(0.9)}, seconds=30)])
def denoising_autoencoder(data: Images = "digits", *, size: int | None = None, sigma: float = 0.4,
                          hidden: int = 1_024, lr: float = 1e-3, batch: int = 128, steps: int = 2_500,
                          seed: int = 0) -> Run:
    """Denoising autoencoder of images: squared error, beside that of the best linear denoiser.

    Args:
        data: images by name or path or as an object.
        sigma, hidden: standard deviation of the noise on each value, units of the two hidden layers.
    """
    source = open_data(data, "images", size=size)
    layers = mlp(size_of(source), hidden, hidden, activation=nn.SiLU)
    encoder = nn.Sequential(nn.Flatten(), layers, nn.SiLU())
    decoder = nn.Sequential(mlp(hidden, size_of(source)), nn.Unflatten(1, source.shape))
    method = Autoencoder(encoder, decoder, corrupt=gaussian_noise(sigma))
    return reconstruction(source, method, beside_wiener(source, sigma), lr, batch, steps, seed)


@recipe(paper="Makhzani & Frey 2014", systems=["GEN-04"], presets=[
    preset("digits", k=8, units=256, seconds=30,
           target={"active": at_most(0.05), "pca_ratio": at_most(1.2)})])
def sparse_autoencoder(data: Images = "digits", *, size: int | None = None, k: int = 32, units: int = 512,
                       lr: float = 3e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Sparse autoencoder of images, few of many units on: squared error, beside as many principal components.

    Args:
        data: images by name or path or as an object.
        k, units: units of the code that are on, all units of the code.
    """
    source = open_data(data, "images", size=size)
    encoder = nn.Sequential(nn.Flatten(), mlp(size_of(source), units, units), nn.ReLU(), KSparse(k))
    atoms = Dictionary(units, size_of(source))
    nn.init.constant_(atoms.bias, source.mean)
    decoder = nn.Sequential(atoms, nn.Unflatten(1, source.shape))
    return reconstruction(source, Autoencoder(encoder, decoder), activity(source), lr, batch, steps, seed)


def reconstruction(source: Source, method: Autoencoder, measure: Callable, lr: float, batch: int, steps: int,
                   seed: int) -> Run:
    """Trains an autoencoder; the pictures are test images, and below them what it makes of them."""

    def both(method: Autoencoder) -> Tensor:
        x = source.test(batch=32).at(0)[0].to(next(method.parameters()).device)
        return torch.cat([x, method.reconstruct(method.corrupt(x) if method.corrupt else x)]).clamp(0, 1)

    return fit(method, source.train(batch=batch, seed=seed), adam(lr), steps=steps, seed=seed,
               evaluate=[*evaluations(method, source), measure], callbacks=pictures(source, both))
