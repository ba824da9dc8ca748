"""Autoencoders, and latent variable models trained on a bound of their likelihood."""

from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.conditional import ConditionalVAE
from deepcanon.vae.gumbel_vae import GumbelVAE
from deepcanon.vae.hierarchical import HierarchicalVAE
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.pretraining import Stage, unrolled
from deepcanon.vae.prior import CodePrior
from deepcanon.vae.schedule import Scheduled
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.semi_supervised import SemiSupervisedVAE
from deepcanon.vae.vae import VAE
from deepcanon.vae.variational import PerPointVI
from deepcanon.vae.vq_vae import VQVAE

__all__ = ["IWAE", "VAE", "VQVAE", "Autoencoder", "CodePrior", "ConditionalVAE", "GumbelVAE", "HierarchicalVAE", "PerPointVI", "Scheduled",
           "ScoreFunctionVAE", "SemiSupervisedVAE", "Stage", "unrolled"]
