"""Claims about autoencoders: what they learn, what their codes are good for, and how they are trained."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.claims.generative_problems import points, train
from deepcanon.claims.problems import descend
from deepcanon.data import images
from deepcanon.engine import SGD, Adam, cosine, fit
from deepcanon.foundations.initialization import initialize, kaiming
from deepcanon.foundations.optimizers import GradientDescent
from deepcanon.foundations.pca import PCA
from deepcanon.layers.linear_map import Linear
from deepcanon.layers.norm import BatchNorm
from deepcanon.metrics.mean_discrepancy import gaussian as kernel, mmd, mmd_bound
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.likelihoods import bernoulli, gaussian, log_likelihood
from deepcanon.vae.pretraining import Stage
from deepcanon.vision.classify import Classifier


@claim("C-141", answer="yes")
def linear_autoencoders_span_the_principal_axes() -> Finding:
    """A linear autoencoder learns exactly what principal component analysis finds.

    500 Gaussian points in six dimensions, a linear autoencoder with two codes after 500 steps, five seeds:
    the largest angle between its plane and that of the first two components, by how much its error is above
    theirs, and the angle between a column of the decoder and the component nearest to it, in degrees.
    """
    def experiment(seed: int) -> dict[str, float]:
        widths = torch.tensor([3.0, 2.0, 1.0, 0.7, 0.5, 0.3])
        x = (widths * torch.randn(500, 6)) @ torch.linalg.qr(torch.randn(6, 6)).Q
        x = x - x.mean(0)
        pca, method = PCA.fit(x.double(), 2), Autoencoder(Linear(6, 2, bias=False), Linear(2, 6, bias=False))
        train(method, x, steps=500, lr=0.05, batch=500, seed=seed)
        weight = method.decoder.get_parameter("weight").detach().double()        # (6, 2)
        columns = F.normalize(weight, dim=0)
        plane = torch.linalg.qr(columns).Q
        overlap = torch.linalg.svdvals(pca.components @ plane).clamp(max=1)
        error = method.metrics((x,))["mse"].double().mean() / (pca.residual * 499 / 500 / 6)
        nearest = (pca.components @ columns).abs().amax(0).clamp(max=1)
        return {"plane_angle": math.degrees(overlap.min().acos()), "excess_error": error.item() - 1,
                "column_angle": math.degrees(nearest.min().acos())}

    means, ends = over_seeds(experiment)
    recovers = every(below(ends["plane_angle"], 1.0), below(ends["excess_error"], 0.01))
    return Finding(means, recovers, "It recovers the plane; its weights are not the components, as any basis "
                   "of the plane reconstructs as well.", ends)


@claim("C-142", answer="no")
def random_codes_of_an_autoencoder_are_not_data() -> Finding:
    """Points that a plain autoencoder decodes from Gaussian codes look like the data.

    Two moons and an autoencoder with two codes, five seeds, 1,000 points each: the maximum mean discrepancy
    to new data of what is decoded from N(0, I), from a Gaussian fitted to the codes, and from the codes of
    other data; and the level that equal distributions exceed in one of twenty cases.
    """
    def experiment(seed: int) -> dict[str, float]:
        method = train(Autoencoder(mlp(2, 32, 2), mlp(2, 32, 2)), points("moons", 2000), steps=300, seed=seed)
        codes, data = method.encode(points("moons", 1000)), points("moons", 1000)
        fitted = torch.distributions.MultivariateNormal(codes.mean(0), codes.T.cov())
        sources = {"standard": torch.randn(1000, 2), "fitted": fitted.sample((1000,)), "data": codes}
        decoded = {name: method.decode(h) for name, h in sources.items()}
        return {f"from_{name}": mmd(x, data, kernel(0.5)).item() for name, x in decoded.items()}

    means, ends = over_seeds(experiment)
    level = mmd_bound(1000)
    measured = means | {"level": level}
    alike = every(below(ends["from_standard"], level), below(ends["from_fitted"], level))
    return Finding(measured, alike, "The codes of data have a distribution of their own, which nothing made "
                   "Gaussian.", ends)


@claim("C-154", answer="yes")
def independent_pixels_average() -> Finding:
    """Images of a VAE are blurry, as pixels are taken as independent given the code, so that the best
    reconstruction is an average.

    Pictures of two pixels, both black or both white, and a code that does not tell which: where descent on
    the likelihood takes a pixel, for Bernoulli and Gaussian pixels, its squared error and that of a sharp
    guess; the share of drawn pictures with unequal pixels, and that of one softmax over all four pictures.
    """
    pictures = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    every_picture = torch.cartesian_prod(*2 * [torch.tensor([0.0, 1.0], dtype=torch.float64)])

    def end(nll) -> Tensor:
        return descend(lambda p: GradientDescent(p, 0.5), nll, torch.tensor([0.3, -0.8, 0.1, 0.5]), 400)[-1]

    def pixels(likelihood):
        return lambda theta: -log_likelihood(likelihood(theta[:2].expand(2, 2)), pictures).mean()

    grey = bernoulli(end(pixels(bernoulli))[None, :2])
    white = end(pixels(gaussian))[:2]
    unequal = every_picture[:, 0] != every_picture[:, 1]
    independent = grey.log_prob(every_picture).exp()[unequal].sum()
    joint = end(lambda theta: -theta.log_softmax(0)[[0, 3]].mean()).softmax(0)[unequal].sum()
    measured = {"bernoulli_pixel": grey.mean.max().item(), "gaussian_pixel": white.max().item(),
                "error": (pictures - white).square().mean().item(),
                "error_of_a_sharp_guess": (pictures - pictures[0]).square().mean().item(),
                "unequal_pixels": independent.item(), "unequal_with_one_softmax": joint.item()}
    average = max(abs(measured[f"{name}_pixel"] - 0.5) for name in ("bernoulli", "gaussian")) < 1e-3
    return Finding(measured, average and joint.item() < 0.02 and abs(independent.item() - 0.5) < 1e-3)


def sigmoid_layers() -> list[Autoencoder]:
    """Three layers of sigmoid units on digits, one autoencoder each."""
    widths = [64, 32, 32, 32]
    return [Autoencoder(nn.Sequential(Linear(a, b), nn.Sigmoid()), Linear(b, a)) for a, b in pairwise(widths)]


@claim("C-186", answer="yes")
def modern_nets_need_no_pretraining() -> Finding:
    """Autoencoders lost importance once ReLU, batch normalization, better initial weights and Adam let deep
    nets be trained from scratch.

    Classifiers of digits with three hidden layers, 250 steps each, five seeds: test accuracy of sigmoid units
    trained by momentum from scratch and after 150 steps of an autoencoder a layer, and of ReLU units with
    batch normalization, He's weights and Adam from scratch; and what the last gains over the pretrained one.
    """
    test = images("digits", split="test", batch=360)
    digits = next(iter(images("digits", batch=1400)))[0].flatten(1)

    def accuracy(body: nn.Module, optimizer, seed: int) -> float:
        method = Classifier(nn.Sequential(nn.Flatten(), body))
        data = images("digits", batch=100, seed=seed)
        return fit(method, data, optimizer, steps=250, seed=seed, evaluate=test).results["accuracy"]

    def experiment(seed: int) -> dict[str, float]:
        plain, pretrained = sigmoid_layers(), sigmoid_layers()
        for k in range(3):
            train(Stage(pretrained, k), digits, steps=150, lr=0.02, seed=seed)
        momentum = SGD(1.0, momentum=0.9, schedule=cosine())
        modern = initialize(mlp(64, 32, 32, 32, 10, norm=BatchNorm), kaiming)
        accuracies = {name: accuracy(nn.Sequential(*(layer.encoder for layer in layers), Linear(32, 10)),
                                     momentum, seed)
                      for name, layers in (("sigmoid", plain), ("pretrained", pretrained))}
        accuracies["modern"] = accuracy(modern, Adam(0.01, schedule=cosine()), seed)
        return accuracies | {"gain": accuracies["modern"] - accuracies["pretrained"]}

    means, ends = over_seeds(experiment)
    return Finding(means, above(ends["gain"], 0.0), "What can be measured: from scratch, modern parts do "
                   "what pretraining was for.", ends)
