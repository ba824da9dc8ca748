"""Generators trained against an adversary."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.gans import objectives as objectives, penalties as penalties
    from deepcanon.gans.acgan import ACGAN as ACGAN
    from deepcanon.gans.bigan import BiGAN as BiGAN
    from deepcanon.gans.conditional import ConditionalGAN as ConditionalGAN
    from deepcanon.gans.cyclegan import CycleGAN as CycleGAN, cycle_loss as cycle_loss
    from deepcanon.gans.diagnostics import Watch as Watch, coverage as coverage
    from deepcanon.gans.feature_matching import FeatureMatchingGAN as FeatureMatchingGAN
    from deepcanon.gans.game import optimal_discriminator as optimal_discriminator
    from deepcanon.gans.gan import GAN as GAN, clip as clip
    from deepcanon.gans.historical import HistoricalAveraging as HistoricalAveraging
    from deepcanon.gans.infogan import InfoGAN as InfoGAN
    from deepcanon.gans.objectives import Objective as Objective, smoothed as smoothed
    from deepcanon.gans.penalties import zero_centred as zero_centred
    from deepcanon.gans.pix2pix import Pix2Pix as Pix2Pix
    from deepcanon.gans.progressive import ProgressiveGAN as ProgressiveGAN
    from deepcanon.gans.semi_supervised import SemiSupervisedGAN as SemiSupervisedGAN
    from deepcanon.gans.unrolled import UnrolledGAN as UnrolledGAN
    from deepcanon.gans.wasserstein import transport as transport
    from deepcanon.gans.wgan import WGANGP as WGANGP

attach(__name__)
