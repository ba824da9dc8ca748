"""Generators trained against an adversary."""

from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.cyclegan import CycleGAN
from deepcanon.gans.diagnostics import Watch, coverage
from deepcanon.gans.feature_matching import FeatureMatchingGAN
from deepcanon.gans.gan import GAN
from deepcanon.gans.historical import HistoricalAveraging
from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.gans.wgan import WGANGP

__all__ = ["ACGAN", "GAN", "WGANGP", "BiGAN", "ConditionalGAN", "CycleGAN", "FeatureMatchingGAN", "HistoricalAveraging", "InfoGAN", "Pix2Pix",
           "ProgressiveGAN", "SemiSupervisedGAN", "UnrolledGAN", "Watch", "coverage"]
