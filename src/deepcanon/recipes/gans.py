"""Runs of generative adversarial networks on images.

One pair of perceptrons and one budget for every objective: `deepcanon compare 'gan_*_digits'` puts them side by side. On points, whose modes can be
counted, they are in `gan_toys`.
"""

import math
from functools import partial

from torch import nn

from deepcanon.data import images
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, linear, recipe
from deepcanon.gans import objectives
from deepcanon.gans.gan import GAN, clip
from deepcanon.gans.objectives import Objective
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.gans.wgan import WGANGP
from deepcanon.layers.spectral_norm import spectral_norm
from deepcanon.nets import dcgan
from deepcanon.nets.mlp import mlp
from deepcanon.nets.progressive import GrowingDiscriminator, GrowingGenerator
from deepcanon.recipes.judge import JUDGES


@recipe(target={"fid_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}, paper="Gulrajani et al. 2017",
        rows=["GEN-69", "MET-10"])
def wgan_gp_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, critic_steps: int = 3, steps: int = 10_000,
                  seed: int = 0) -> Run:
    """WGAN-GP on MNIST; Frechet distance in a LeNet's features, against the untrained generator's, and class balance, after some minutes."""
    return slope_penalised("mnist", critic_steps, latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=1_200,
        paper="Gulrajani et al. 2017", rows=["GEN-69", "MET-10"])
def wgan_gp_fashion(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, critic_steps: int = 3, steps: int = 7_000,
                    seed: int = 0) -> Run:
    """WGAN-GP on Fashion-MNIST; Frechet distance in a LeNet's features, against the untrained generator's, and class balance."""
    return slope_penalised("fashion", critic_steps, latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=30,
        paper="Gulrajani et al. 2017", rows=["GEN-69", "MET-10"])
def wgan_gp_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, critic_steps: int = 3, steps: int = 1_500,
                   seed: int = 0) -> Run:
    """WGAN-GP on scikit-learn's 8x8 digits; Frechet distance and class balance after half a minute."""
    return slope_penalised("digits", critic_steps, latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-56", "MET-10"])
def gan_minimax_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000, seed: int = 0) -> Run:
    """The minimax GAN on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.minimax, "digits", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Goodfellow et al. 2014", rows=["GEN-56", "MET-10"])
def gan_minimax_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """The minimax GAN on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.minimax, "mnist", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Goodfellow et al. 2014", rows=["GEN-57", "MET-10"])
def gan_nonsaturating_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000, seed: int = 0) -> Run:
    """The non-saturating GAN on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.non_saturating, "digits", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Goodfellow et al. 2014", rows=["GEN-57", "MET-10"])
def gan_nonsaturating_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """The non-saturating GAN on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.non_saturating, "mnist", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Mao et al. 2017", rows=["GEN-65", "MET-10"])
def gan_leastsquares_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000, seed: int = 0) -> Run:
    """The least-squares GAN on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.least_squares, "digits", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Mao et al. 2017", rows=["GEN-65", "MET-10"])
def gan_leastsquares_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """The least-squares GAN on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.least_squares, "mnist", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Lim & Ye 2017", rows=["GEN-56", "MET-10"])
def gan_hinge_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000, seed: int = 0) -> Run:
    """The GAN with the hinge objective on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.hinge, "digits", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Lim & Ye 2017", rows=["GEN-56", "MET-10"])
def gan_hinge_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """The GAN with the hinge objective on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.hinge, "mnist", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Salimans et al. 2016", rows=["GEN-63", "MET-10"])
def gan_smoothed_digits(latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000, seed: int = 0) -> Run:
    """The GAN with one-sided label smoothing on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.smoothed(), "digits", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Salimans et al. 2016", rows=["GEN-63", "MET-10"])
def gan_smoothed_mnist(latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """The GAN with one-sided label smoothing on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.smoothed(), "mnist", latent, hidden, lr, batch, steps, seed)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=60, paper="Arjovsky et al. 2017", rows=["GEN-68", "MET-10"])
def gan_wgan_digits(c: float = 0.05, latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, critic_steps: int = 3,
                    steps: int = 1_500, seed: int = 0) -> Run:
    """WGAN with clipped weights on scikit-learn's 8x8 digits; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.wasserstein, "digits", latent, hidden, lr, critic_steps * batch, steps, seed, constrain=clip(c),
                     discriminator_steps=critic_steps)


@recipe(target={"fid_ratio": at_most(1.0)}, seconds=600, paper="Arjovsky et al. 2017", rows=["GEN-68", "MET-10"])
def gan_wgan_mnist(c: float = 0.05, latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, critic_steps: int = 3,
                   steps: int = 10_000, seed: int = 0) -> Run:
    """WGAN with clipped weights on MNIST; Frechet distance, against the untrained generator's, and class balance."""
    return of_images(objectives.wasserstein, "mnist", latent, hidden, lr, critic_steps * batch, steps, seed, constrain=clip(c),
                     discriminator_steps=critic_steps)


@recipe(target={"fid_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Miyato et al. 2018",
        rows=["GEN-70", "MET-10"])
def gan_sn_digits(slope: float = 10.0, latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000,
                  seed: int = 0) -> Run:
    """GAN with a spectrally normalised discriminator on scikit-learn's 8x8 digits; Frechet distance and class balance."""
    return of_images(objectives.hinge, "digits", latent, hidden, lr, batch, steps, seed, slope=slope)


@recipe(target={"fid_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=600, paper="Miyato et al. 2018",
        rows=["GEN-70", "MET-10"])
def gan_sn_mnist(slope: float = 16.0, latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000,
                 seed: int = 0) -> Run:
    """GAN with a spectrally normalised discriminator on MNIST; Frechet distance and class balance."""
    return of_images(objectives.hinge, "mnist", latent, hidden, lr, batch, steps, seed, slope=slope)


@recipe(target={"fid_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Huang et al. 2024",
        rows=["GEN-79", "MET-10"])
def gan_r3_digits(gamma: float = 1.0, latent: int = 32, hidden: int = 256, lr: float = 1e-3, batch: int = 64, steps: int = 2_000,
                  seed: int = 0) -> Run:
    """R3GAN's loss on scikit-learn's 8x8 digits; Frechet distance and class balance."""
    return of_images(objectives.relativistic, "digits", latent, hidden, lr, batch, steps, seed, penalty=zero_centred(gamma, gamma))


@recipe(target={"fid_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=900, paper="Huang et al. 2024",
        rows=["GEN-79", "MET-10"])
def gan_r3_mnist(gamma: float = 5.0, latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 64, steps: int = 10_000,
                 seed: int = 0) -> Run:
    """R3GAN's loss on MNIST; Frechet distance and class balance."""
    return of_images(objectives.relativistic, "mnist", latent, hidden, lr, batch, steps, seed, penalty=zero_centred(gamma, gamma))


@recipe(target={"fid_ratio": at_most(0.2), "class_min": at_least(0.02)}, seconds=120, paper="Radford et al. 2016", rows=["GEN-59", "MET-10"])
def dcgan_digits(latent: int = 32, width: int = 16, gamma: float = 1.0, lr: float = 1e-3, batch: int = 64, steps: int = 1_500,
                 seed: int = 0) -> Run:
    """A small DCGAN on scikit-learn's 8x8 digits, kept steady by R1; Frechet distance and class balance."""
    method = GAN(dcgan.generator(latent, image_size=8, width=width), dcgan.critic(image_size=8, width=width), latent_dim=latent,
                 penalty=zero_centred(gamma))
    return judged(method, "digits", lr, batch, steps, seed)


@recipe(paper="Radford et al. 2016", rows=["GEN-59"])
def dcgan_full(data: str = "cifar10", latent: int = 100, width: int = 64, lr: float = 2e-4, batch: int = 128, steps: int = 50_000,
               fast: bool = True, seed: int = 0) -> Run:
    """DCGAN as in the paper, 64x64, on a data set or a folder of images; hours on one GPU."""
    train = images(data, size=64, batch=batch, seed=seed)
    channels = train.shape[0]
    method = GAN(dcgan.generator64(latent, channels=channels, width=width), dcgan.discriminator64(channels=channels, width=width), latent_dim=latent)
    return fit(method, train, Adam(lr, betas=(0.5, 0.999)), steps=steps, seed=seed, bf16=fast,
               compile=("generator", "discriminator") if fast else (), callbacks=[Samples(lambda m: m.sample(64), every=1_000)])


@recipe(target={"fid_ratio": at_most(0.2), "class_min": at_least(0.02)}, seconds=240, paper="Karras et al. 2018", rows=["GEN-76", "MET-10"])
def progressive_digits(latent: int = 32, width: int = 32, gamma: float = 0.1, lr: float = 2e-3, batch: int = 64, stage_steps: int = 600,
                       steps: int = 3_500, seed: int = 0) -> Run:
    """Progressive GAN on scikit-learn's digits, from 2x2 over 4x4 to 8x8 pixels; Frechet distance and class balance."""
    method = ProgressiveGAN(GrowingGenerator(latent, 3, first=2, width=width), GrowingDiscriminator(3, first=2, width=width), latent_dim=latent,
                            num_stages=3, stage_steps=stage_steps, penalty=zero_centred(gamma))
    return judged(method, "digits", lr, batch, steps, seed, betas=(0.0, 0.99))


def of_images(objective: Objective, source: str, latent: int, hidden: int, lr: float, batch: int, steps: int, seed: int, *,
              slope: float | None = None, **more) -> Run:
    """A GAN with this objective on images, the discriminator's slope bounded if one is given."""
    generator, critic = players(images(source).shape, latent, hidden)
    method = GAN(generator, spectral_norm(critic, slope=slope) if slope else critic, latent_dim=latent, objective=objective, **more)
    return judged(method, source, lr, batch, steps, seed)


def judged(method: nn.Module, source: str, lr: float, batch: int, steps: int, seed: int, *, betas: tuple[float, float] = (0.5, 0.9)) -> Run:
    """The run that all share: images, averaged weights, the judge's verdict against the untrained generator."""
    return fit(method, images(source, batch=batch, seed=seed), Adam(lr, betas=betas, schedule=linear()), steps=steps, seed=seed, ema=0.99,
               evaluate=JUDGES[source]().against_untrained(method), callbacks=[Samples(lambda m: m.sample(64))])


def slope_penalised(source: str, critic_steps: int, latent: int, hidden: int, lr: float, batch: int, steps: int, seed: int) -> Run:
    """WGAN-GP of perceptrons: on a CPU the slope penalty of convolutions takes far longer."""
    generator, critic = players(images(source).shape, latent, hidden)
    method = WGANGP(generator, critic, latent_dim=latent, critic_steps=critic_steps)
    return judged(method, source, lr, critic_steps * batch, steps, seed)


def players(shape: tuple[int, ...], latent: int, hidden: int) -> tuple[nn.Sequential, nn.Sequential]:
    """A generator and a critic of images (C, H, W) with two hidden layers each."""
    pixels = math.prod(shape)
    generator = nn.Sequential(mlp(latent, hidden // 2, hidden, pixels, norm=nn.BatchNorm1d), nn.Unflatten(1, shape), nn.Sigmoid())
    critic = nn.Sequential(nn.Flatten(), mlp(pixels, hidden, hidden // 2, 1, activation=partial(nn.LeakyReLU, 0.2)))
    return generator, critic
