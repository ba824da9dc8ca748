"""Presets of the family gans."""

import torch
from torch import Tensor, nn

from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.cyclegan import CycleGAN
from deepcanon.gans.feature_matching import FeatureMatchingGAN
from deepcanon.gans.gan import GAN
from deepcanon.gans.historical import HistoricalAveraging
from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.objectives import relativistic
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.gans.wgan import WGANGP
from deepcanon.layers.instance_noise import InstanceNoise
from deepcanon.layers.spectral import spectral_norm
from deepcanon.nets.conditional import Joined
from deepcanon.nets.dcgan import critic, generator
from deepcanon.nets.patchgan import Translator, judge
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.progressive import GrowingDiscriminator, GrowingGenerator
from tests.contracts.presets.common import Preset, images


def quiet_gan() -> WGANGP:
    """On 8x8 images, one critic update for one of the generator."""
    return WGANGP(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4, critic_steps=1)


def smooth_gan() -> GAN:
    """On 8x8 images, R3GAN's loss."""
    return GAN(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4, objective=relativistic,
               penalty=zero_centred(1.0, 1.0))


def held_gan() -> GAN:
    """Of points, the discriminator's slope held by spectral normalisation, with noise on what it sees."""
    discriminator = nn.Sequential(InstanceNoise(0.1, decay=0.9), spectral_norm(mlp(2, 16, 1)))
    return GAN(mlp(2, 16, 2), discriminator, latent_dim=2)


def corners(n: int = 32) -> tuple[Tensor, Tensor]:
    """Three places in the plane, one a class."""
    y = torch.arange(n) % 3
    return torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])[y] + 0.1 * torch.randn(n, 2), y


def joined(outputs: int) -> Joined:
    """A perceptron on two numbers and one of three classes."""
    return Joined(mlp(5, 16, outputs), 3)


def growing_gan() -> ProgressiveGAN:
    """On 8x8 images, in the middle of its last fade."""
    gan = ProgressiveGAN(GrowingGenerator(4, 2, first=4, width=4), GrowingDiscriminator(2, first=4, width=4), latent_dim=4, num_stages=2,
                         stage_steps=1_000)
    gan.count += 1_250
    return gan


def two_domains() -> CycleGAN:
    """On 8x8 images."""
    return CycleGAN(*(Translator(width=4, blocks=1) for _ in range(2)), *(judge(width=4) for _ in range(2)))


PRESETS = {
    "wgan_gp": Preset(quiet_gan, lambda: images(8), learns="critic", verbs={"sample": (3,)}),
    "gan": Preset(smooth_gan, lambda: images(8), learns="discriminator", verbs={"sample": (3,)}),
    "gan_under_spectral_norm": Preset(held_gan, corners, learns="discriminator", verbs={"sample": (3,)}),
    "conditional_gan": Preset(lambda: ConditionalGAN(joined(2), joined(1), latent_dim=2, num_classes=3), corners, learns="discriminator",
                              verbs={"sample": (3,)}),
    "acgan": Preset(lambda: ACGAN(joined(2), mlp(2, 16, 4), latent_dim=2, num_classes=3), corners, learns="discriminator",
                    verbs={"sample": (3,), "predict": (corners()[0],)}),
    "infogan": Preset(lambda: InfoGAN(joined(2), mlp(2, 16, 1), mlp(2, 16, 3), latent_dim=2, num_codes=3), corners, learns="discriminator",
                      verbs={"sample": (3,), "encode": (corners()[0],)}),
    "bigan": Preset(lambda: BiGAN(mlp(2, 16, 2), mlp(2, 16, 2), mlp(4, 16, 1), latent_dim=2), corners, learns="discriminator",
                    verbs={"sample": (3,), "encode": (corners()[0],)}),
    "feature_matching": Preset(lambda: FeatureMatchingGAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2), corners, learns="discriminator",
                               verbs={"sample": (3,)}),
    "historical_averaging": Preset(lambda: HistoricalAveraging(GAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2)), corners,
                                   learns="method.discriminator", verbs={"sample": (3,)}),
    "unrolled_gan": Preset(lambda: UnrolledGAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2, unroll=2), corners, learns="discriminator",
                           verbs={"sample": (3,)}),
    "semi_supervised_gan": Preset(lambda: SemiSupervisedGAN(mlp(2, 16, 2), mlp(2, 16, 3), latent_dim=2), corners, learns="classifier",
                                  verbs={"sample": (3,), "predict": (corners()[0],), "probabilities": (corners()[0],)}),
    "progressive_gan": Preset(growing_gan, lambda: images(8), learns="discriminator", verbs={"sample": (3,)}),
    "pix2pix": Preset(lambda: Pix2Pix(Translator(width=4, blocks=1), judge(2, width=4)), lambda: (images(8)[0], 1 - images(8)[0]),
                      learns="generator", verbs={"predict": (images(8)[0],)}),
    "cyclegan": Preset(two_domains, lambda: (images(8)[0], 1 - images(8)[0]), learns="translators",
                       verbs={"translate": (images(8)[0],), "translate_back": (images(8)[0],)}),
}
