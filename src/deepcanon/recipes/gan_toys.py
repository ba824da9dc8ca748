"""Objectives of adversarial networks on points whose modes are known: eight Gaussians on a ring, twenty-five on a grid.

On one toy all have the same nets and optimizer, but for spectral normalisation on the grid, with two layers for three, at half the rate;
`deepcanon compare 'gan_*_ring'` puts them side by side. With a gradient penalty, spectral normalisation or a look ahead the claim is that all
modes are found in every run; of the plain objectives, that some run misses some. The records say how far that is so: on the ring of all but the
minimax one, on the grid, with its larger nets, of the clipped WGAN alone.
A generator that fills the whole plane finds every mode too: hence the share of points within three deviations of one counts as much.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data import toy
from deepcanon.data.toys import density
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, linear, recipe
from deepcanon.gans import objectives
from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.diagnostics import coverage
from deepcanon.gans.gan import GAN, clip
from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.objectives import Objective
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.gans.wgan import WGANGP
from deepcanon.layers.minibatch_discrimination import MinibatchDiscrimination
from deepcanon.layers.spectral_norm import spectral_norm
from deepcanon.nets.conditional import Joined, Projected
from deepcanon.nets.mlp import mlp

LATENT = 8
LAYOUTS = {"ring": (LATENT, 2), "grid": (2, 3)}     # numbers of z, and hidden layers: along a line the grid's density changes more often


@recipe(target={"modes": at_most(7.5)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-56", "GEN-84"])
def gan_minimax_ring(width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the minimax objective on a ring of eight Gaussians: modes found, and the share of good points."""
    return of_points(objectives.minimax, "ring", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(24.5)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-56", "GEN-84"])
def gan_minimax_grid(width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the minimax objective on a grid of twenty-five Gaussians: modes found, and the share of good points."""
    return of_points(objectives.minimax, "grid", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(7.5)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-57", "GEN-84"])
def gan_nonsaturating_ring(width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the non-saturating objective on a ring of eight Gaussians: modes found, and the share of good points."""
    return of_points(objectives.non_saturating, "ring", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(24.5)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-57", "GEN-84"])
def gan_nonsaturating_grid(width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the non-saturating objective on a grid of twenty-five Gaussians: modes found, and the share of good points."""
    return of_points(objectives.non_saturating, "grid", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(7.5)}, seconds=60, paper="Mao et al. 2017", rows=["GEN-65", "GEN-84"])
def gan_leastsquares_ring(width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """Least-squares GAN on a ring of eight Gaussians: modes found, and the share of good points."""
    return of_points(objectives.least_squares, "ring", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(24.5)}, seconds=60, paper="Mao et al. 2017", rows=["GEN-65", "GEN-84"])
def gan_leastsquares_grid(width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000, seed: int = 0) -> Run:
    """Least-squares GAN on a grid of twenty-five Gaussians: modes found, and the share of good points."""
    return of_points(objectives.least_squares, "grid", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(7.5)}, seconds=60, paper="Lim & Ye 2017", rows=["GEN-56", "GEN-84"])
def gan_hinge_ring(width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the hinge objective on a ring of eight Gaussians: modes found, and the share of good points."""
    return of_points(objectives.hinge, "ring", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(24.5)}, seconds=60, paper="Lim & Ye 2017", rows=["GEN-56", "GEN-84"])
def gan_hinge_grid(width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with the hinge objective on a grid of twenty-five Gaussians: modes found, and the share of good points."""
    return of_points(objectives.hinge, "grid", width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(7.5)}, seconds=90, paper="Arjovsky et al. 2017", rows=["GEN-68", "GEN-84"])
def gan_wgan_ring(c: float = 0.1, critic_steps: int = 3, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000,
                  seed: int = 0) -> Run:
    """WGAN with clipped weights on a ring of eight Gaussians: modes found, and the share of good points."""
    return clipped("ring", c, critic_steps, width, lr, batch, steps, seed)


@recipe(target={"modes": at_most(24.5)}, seconds=90, paper="Arjovsky et al. 2017", rows=["GEN-68", "GEN-84"])
def gan_wgan_grid(c: float = 0.1, critic_steps: int = 3, width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000,
                  seed: int = 0) -> Run:
    """WGAN with clipped weights on a grid of twenty-five Gaussians: modes found, and the share of good points."""
    return clipped("grid", c, critic_steps, width, lr, batch, steps, seed)


@recipe(target={"modes": at_least(8), "high_quality": at_least(0.7)}, seconds=120, paper="Gulrajani et al. 2017", rows=["GEN-69", "GEN-84"])
def gan_wgangp_ring(lam: float = 0.1, critic_steps: int = 3, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000,
                    seed: int = 0) -> Run:
    """WGAN-GP on a ring of eight Gaussians, all of which it finds: modes found, and the share of good points."""
    return penalised("ring", lam, critic_steps, width, lr, batch, steps, seed)


@recipe(target={"modes": at_least(25), "high_quality": at_least(0.7)}, seconds=120, paper="Gulrajani et al. 2017", rows=["GEN-69", "GEN-84"])
def gan_wgangp_grid(lam: float = 0.1, critic_steps: int = 3, width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 4_000,
                    seed: int = 0) -> Run:
    """WGAN-GP on a grid of twenty-five Gaussians, all of which it finds: modes found, and the share of good points."""
    return penalised("grid", lam, critic_steps, width, lr, batch, steps, seed)


@recipe(target={"modes": at_least(8), "high_quality": at_least(0.7)}, seconds=60, paper="Miyato et al. 2018", rows=["GEN-70", "GEN-84"])
def gan_sn_ring(slope: float = 10.0, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN with a spectrally normalised discriminator on a ring of eight Gaussians, all of which it finds: modes, and the share of good points."""
    return normalised("ring", slope, width, lr, batch, steps, seed)


@recipe(target={"modes": at_least(25), "high_quality": at_least(0.7)}, seconds=120, paper="Miyato et al. 2018", rows=["GEN-70", "GEN-84"])
def gan_sn_grid(slope: float = 40.0, width: int = 128, lr: float = 1e-3, batch: int = 256, steps: int = 5_000, seed: int = 0) -> Run:
    """GAN with a spectrally normalised discriminator on a grid of twenty-five Gaussians, all of which it finds: modes, share of good points."""
    return normalised("grid", slope, width, lr, batch, steps, seed)


@recipe(target={"modes": at_least(8), "high_quality": at_least(0.7)}, seconds=90, paper="Huang et al. 2024", rows=["GEN-79", "GEN-84"])
def gan_r3_ring(gamma: float = 0.1, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """R3GAN's loss on a ring of eight Gaussians, all of which it finds: modes found, and the share of good points."""
    return of_points(objectives.relativistic, "ring", width, lr, batch, steps, seed, penalty=zero_centred(gamma, gamma))


@recipe(target={"modes": at_least(25), "high_quality": at_least(0.7)}, seconds=90, paper="Huang et al. 2024", rows=["GEN-79", "GEN-84"])
def gan_r3_grid(gamma: float = 0.02, width: int = 128, lr: float = 2e-3, batch: int = 256, steps: int = 6_000, seed: int = 0) -> Run:
    """R3GAN's loss on a grid of twenty-five Gaussians, all of which it finds: modes found, and the share of good points."""
    return of_points(objectives.relativistic, "grid", width, lr, batch, steps, seed, penalty=zero_centred(gamma, gamma))


@recipe(target={"modes": at_least(8), "high_quality": at_least(0.7)}, seconds=120, paper="Metz et al. 2017", rows=["GEN-80", "GEN-84"])
def gan_unrolled_ring(unroll: int = 5, inner_lr: float = 0.01, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000,
                      seed: int = 0) -> Run:
    """Unrolled GAN on a ring of eight Gaussians: modes found, and the share of good points."""
    generator, discriminator, latent = perceptrons("ring", width)
    return find_modes(UnrolledGAN(generator, discriminator, latent_dim=latent, unroll=unroll, inner_lr=inner_lr), "ring", lr, batch, steps, seed)


@recipe(target={"modes": at_least(2)}, seconds=60, paper="Salimans et al. 2016", rows=["GEN-61", "GEN-84"])
def gan_minibatch_ring(kernels: int = 16, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 4_000, seed: int = 0) -> Run:
    """GAN whose discriminator sees how alike a batch is, on a ring of eight Gaussians: modes found, and the share of good points."""
    generator, discriminator, latent = perceptrons("ring", width)
    discriminator[-1] = nn.Sequential(MinibatchDiscrimination(width, kernels), nn.Linear(width + kernels, 1))
    return find_modes(GAN(generator, discriminator, latent_dim=latent), "ring", lr, batch, steps, seed)


@recipe(target={"class_accuracy": at_least(0.95)}, seconds=60, paper="Mirza & Osindero 2014", rows=["GEN-71"])
def conditional_gan_ring(gamma: float = 0.1, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 3_000, seed: int = 0) -> Run:
    """Conditional GAN on eight Gaussians, class beside the input: share of points at the Gaussian of their class."""
    method = ConditionalGAN(Joined(mlp(LATENT + 8, width, width, 2), 8), Joined(critic(width, 2 + 8), 8), latent_dim=LATENT, num_classes=8,
                            penalty=zero_centred(gamma, gamma))
    return obey_classes(method, lr, batch, steps, seed)


@recipe(target={"class_accuracy": at_least(0.95)}, seconds=60, paper="Miyato & Koyama 2018", rows=["GEN-71"])
def projection_gan_ring(gamma: float = 0.1, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 3_000, seed: int = 0) -> Run:
    """Conditional GAN with a projection discriminator on eight Gaussians: share of points at the Gaussian of their class."""
    judge = Projected(nn.Sequential(critic(width, 2, width), nn.LeakyReLU(0.2)), width, 8)
    method = ConditionalGAN(Joined(mlp(LATENT + 8, width, width, 2), 8), judge, latent_dim=LATENT, num_classes=8,
                            penalty=zero_centred(gamma, gamma))
    return obey_classes(method, lr, batch, steps, seed)


@recipe(target={"class_accuracy": at_least(0.95), "verdict_accuracy": at_least(0.95)}, seconds=60, paper="Odena et al. 2017", rows=["GEN-73"])
def acgan_ring(gamma: float = 0.1, weight: float = 1.0, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 3_000,
               seed: int = 0) -> Run:
    """AC-GAN on eight Gaussians: share of points at the Gaussian of their class, and of those that its own classifier names rightly."""
    method = ACGAN(Joined(mlp(LATENT + 8, width, width, 2), 8), critic(width, 2, 1 + 8), latent_dim=LATENT, num_classes=8, weight=weight,
                   penalty=zero_centred(gamma, gamma))
    return obey_classes(method, lr, batch, steps, seed)


@recipe(target={"nmi": at_least(0.9)}, seconds=90, paper="Chen et al. 2016", rows=["GEN-74"])
def infogan_ring(gamma: float = 0.1, weight: float = 1.0, width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 2_000,
                 seed: int = 0) -> Run:
    """InfoGAN on ten Gaussians without labels: normalised mutual information of the code of a point and the Gaussian at which it is."""
    method = InfoGAN(Joined(mlp(LATENT + 10, width, width, 2), 10), critic(width, 2), critic(width, 2, 10), latent_dim=LATENT, num_codes=10,
                     weight=weight, penalty=zero_centred(gamma, gamma))
    return run(method, "ten_gaussians", code_information, lr, batch, steps, seed)


@recipe(target={"inversion_error": at_most(0.2)}, seconds=90, paper="Donahue et al. 2017", rows=["GEN-82"])
def bigan_toy(width: int = 64, lr: float = 1e-3, batch: int = 128, steps: int = 6_000, seed: int = 0) -> Run:
    """BiGAN on two moons: how far its encoder leads generated points from their latents, over the distance of two latents."""
    method = BiGAN(mlp(2, width, width, 2), mlp(2, width, width, 2), critic(2 * width, 4, layers=3), latent_dim=2, penalty=zero_centred(0.3, 0.3))
    return run(method, "moons", toy("moons", split="test", batch=1_000), lr, batch, steps, seed)


def of_points(objective: Objective, name: str, width: int, lr: float, batch: int, steps: int, seed: int, **more) -> Run:
    """A GAN with this objective."""
    generator, discriminator, latent = perceptrons(name, width)
    return find_modes(GAN(generator, discriminator, latent_dim=latent, objective=objective, **more), name, lr, batch, steps, seed)


def clipped(name: str, c: float, critic_steps: int, width: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """A WGAN, whose critic is put into the box after each of its steps."""
    return of_points(objectives.wasserstein, name, width, lr, critic_steps * batch, steps, seed, constrain=clip(c), discriminator_steps=critic_steps)


def penalised(name: str, lam: float, critic_steps: int, width: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """A WGAN-GP."""
    generator, discriminator, latent = perceptrons(name, width)
    method = WGANGP(generator, discriminator, latent_dim=latent, critic_steps=critic_steps, penalty=lam)
    return find_modes(method, name, lr, critic_steps * batch, steps, seed)


def normalised(name: str, slope: float, width: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """A GAN whose discriminator has the slope given at most; every layer beyond two would flatten it."""
    latent, _ = LAYOUTS[name]
    generator, discriminator = mlp(latent, width, width, 2), critic(width, 2)
    method = GAN(generator, spectral_norm(discriminator, slope=slope), latent_dim=latent)
    return find_modes(method, name, lr, batch, steps, seed)


def perceptrons(name: str, width: int) -> tuple[nn.Sequential, nn.Sequential, int]:
    """A generator and a discriminator of points in the plane, and the numbers that the generator reads."""
    latent, layers = LAYOUTS[name]
    return mlp(latent, *[width] * layers, 2), critic(width, 2, layers=layers), latent


def critic(width: int, inputs: int, outputs: int = 1, *, layers: int = 2) -> nn.Sequential:
    """Some hidden layers."""
    return mlp(inputs, *[width] * layers, outputs, activation=partial(nn.LeakyReLU, 0.2))


def find_modes(method: nn.Module, name: str, lr: float, batch: int, steps: int, seed: int) -> Run:
    """The run of a model of a mixture, whose modes are counted."""
    return run(method, name, found(name), lr, batch, steps, seed)


def run(method: nn.Module, name: str, evaluate: Any, lr: float, batch: int, steps: int, seed: int) -> Run:
    """The run that all share: points of a toy, averaged weights, a picture of where the points are."""
    return fit(method, toy(name, batch=batch, seed=seed), Adam(lr, betas=(0.5, 0.9), schedule=linear()), steps=steps, seed=seed, ema=0.99,
               evaluate=evaluate, callbacks=[Samples(picture)])


def found(name: str, n: int = 2_500) -> Callable[[Any], dict[str, float]]:
    """An evaluation: at how many of the toy's modes the points are, and which share of them lies within three deviations of one."""
    mixture = density(name)

    def measure(method) -> dict[str, float]:
        modes, good = coverage(method.sample(n).cpu(), mixture.centres, 3 * mixture.deviation)
        return {"modes": modes.item(), "high_quality": good.item()}

    return measure


def obey_classes(method: ConditionalGAN | ACGAN, lr: float, batch: int, steps: int, seed: int) -> Run:
    """The run of a model that is told which Gaussian of the ring it shall draw from."""
    return run(method, "ring", [found("ring"), obedience], lr, batch, steps, seed)


def obedience(method: Any, n: int = 4_000) -> dict[str, float]:
    """An evaluation: the share of points nearest to the Gaussian of their class, and of those that the method's own classifier names rightly."""
    y = torch.arange(n, device=next(method.parameters()).device) % 8
    x = method.sample(n, y)
    named = {"verdict_accuracy": (method.predict(x).argmax(1) == y).float().mean().item()} if hasattr(method, "predict") else {}
    return {"class_accuracy": (torch.cdist(x, density("ring").centres.to(x)).argmin(1) == y).float().mean().item()} | named


def code_information(method: InfoGAN, n: int = 5_000) -> dict[str, float]:
    """An evaluation: 2 I(c; k) / (H(c) + H(k)) of the code c and the nearest Gaussian k of a point, from their counts; and modes found."""
    c = torch.arange(n, device=next(method.parameters()).device) % method.num_codes
    x = method.sample(n, c)
    k = torch.cdist(x, density("ten_gaussians").centres.to(x)).argmin(1)
    joint = torch.bincount(c * 10 + k, minlength=10 * method.num_codes).double().view(-1, 10) / n
    h = [-torch.xlogy(p, p).sum() for p in (joint, joint.sum(0), joint.sum(1))]
    return {"nmi": (2 * (h[1] + h[2] - h[0]) / (h[1] + h[2])).item()} | found("ten_gaussians")(method)


def picture(method: Any, n: int = 20_000, side: int = 128) -> Tensor:
    """Where the points are, from -4 to 4 on both axes, as one image (1, 1, side, side) in [0, 1]."""
    counts = torch.histogramdd(method.sample(n).cpu(), bins=[side, side], range=[-4.0, 4.0, -4.0, 4.0]).hist
    return (counts / counts.max().clamp(min=1)).sqrt().T.flip(0)[None, None]
