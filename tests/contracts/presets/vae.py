"""Presets of the family vae."""

from collections.abc import Callable

import torch
from torch import nn

from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer
from deepcanon.nets.conditional import Joined
from deepcanon.nets.gpt import GPT
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.conditional import ConditionalVAE
from deepcanon.vae.denoising import masking
from deepcanon.vae.gumbel_vae import GumbelVAE
from deepcanon.vae.hierarchical import HierarchicalVAE
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.pretraining import Stage
from deepcanon.vae.prior import CodePrior
from deepcanon.vae.schedule import Scheduled, ramp
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.semi_supervised import SemiSupervisedVAE
from deepcanon.vae.sparse import Dictionary, l1
from deepcanon.vae.vae import VAE
from deepcanon.vae.variational import PerPointVI
from deepcanon.vae.vq_vae import VQVAE
from tests.contracts.presets.common import Preset, flat, images


def flat_vae(beta: float | Scheduled = 1.0) -> VAE:
    """On 8x8 images."""
    return VAE(flat(64, 32, 8), picture(4, 32), latent_dim=4, beta=beta)


def picture(*dims: int) -> nn.Sequential:
    """A perceptron that ends in 8x8 images."""
    return nn.Sequential(mlp(*dims, 64), nn.Unflatten(1, (1, 8, 8)))


def stage() -> Stage:
    """The second of two layers on 8x8 images."""
    return Stage([Autoencoder(flat(64, 16), picture(16)), Autoencoder(mlp(16, 4), mlp(4, 16))], 1)


def sparse_autoencoder() -> Autoencoder:
    """Sixteen atoms of 8x8 images, and pixels masked."""
    decoder = nn.Sequential(Dictionary(16, 64), nn.Unflatten(1, (1, 8, 8)))
    return Autoencoder(nn.Sequential(flat(64, 16), nn.Softplus()), decoder, corrupt=masking(0.2), penalty=l1(1e-3))


def small_vq_vae(quantizer: Callable[..., VectorQuantizer | AveragedQuantizer] = VectorQuantizer) -> VQVAE:
    """On 8x8 images, four positions, eight codes."""
    encoder = nn.Sequential(nn.Flatten(), mlp(64, 32, 8), nn.Unflatten(1, (2, 4)))
    return VQVAE(encoder, nn.Sequential(nn.Flatten(), mlp(8, 32, 64), nn.Unflatten(1, (1, 8, 8))), quantizer(8, 2, restart=0.1))


def small_prior() -> CodePrior:
    """Of the codes of an untrained VQ-VAE."""
    return CodePrior(small_vq_vae(), GPT(9, 4, num_layers=1, num_heads=2, embed_dim=16), shape=(4,), num_codes=8)


PRESETS = {
    "vae": Preset(flat_vae, lambda: images(8), verbs={"sample": (3,), "log_prob": (images(8)[0], 5), "encode": (images(8)[0],)}),
    "vae_with_a_schedule": Preset(lambda: flat_vae(Scheduled(ramp(0.0, 1.0, 20))), lambda: images(8), verbs={"sample": (3,)}),
    "autoencoder": Preset(lambda: Autoencoder(flat(64, 32, 4), picture(4, 32)), lambda: images(8),
                          verbs={"encode": (images(8)[0],), "reconstruct": (images(8)[0],), "decode": (torch.randn(3, 4),)}),
    "sparse_autoencoder": Preset(sparse_autoencoder, lambda: images(8), verbs={"reconstruct": (images(8)[0],)}),
    "pretraining": Preset(stage, lambda: images(8), verbs={"encode": (images(8)[0],)}, frozen=("below",)),
    "conditional_vae": Preset(lambda: ConditionalVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), latent_dim=4), lambda: images(8),
                              verbs={"sample": (3, torch.arange(3))}),
    "conditional_vae_prior": Preset(lambda: ConditionalVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), latent_dim=4,
                                                           prior=nn.Embedding(4, 8)), lambda: images(8), verbs={"sample": (3, torch.arange(3))}),
    "semi_supervised_vae": Preset(lambda: SemiSupervisedVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), flat(64, 4), latent_dim=4,
                                                            num_classes=4), lambda: images(8), verbs={"sample": (3,), "predict": (images(8)[0],)}),
    "gumbel_vae": Preset(lambda: GumbelVAE(flat(64, 32, 12), picture(12, 32), num_codes=4, num_values=3), lambda: images(8),
                         verbs={"sample": (3,), "encode": (images(8)[0],), "reconstruct": (images(8)[0],)}),
    "iwae": Preset(lambda: IWAE(flat_vae(), samples=5), lambda: images(8), verbs={"sample": (3,), "log_prob": (images(8)[0], 5)}),
    "hierarchical_vae": Preset(lambda: HierarchicalVAE([flat(64, 32, 8), mlp(4, 8, 4)], [picture(4, 32), mlp(2, 8, 8)], latent_dims=(4, 2)),
                               lambda: images(8), verbs={"sample": (3,)}),
    "score_function_vae": Preset(lambda: ScoreFunctionVAE(flat(64, 32, 4), picture(4, 32), latent_dim=4), lambda: images(8), verbs={"sample": (3,)}),
    "per_point_vi": Preset(lambda: PerPointVI(picture(4, 32), num_points=16, latent_dim=4), lambda: (images(8)[0], torch.arange(16)),
                           learns="decoder", verbs={"sample": (3,)}),
    "vq_vae": Preset(small_vq_vae, lambda: images(8), verbs={"encode": (images(8)[0],), "reconstruct": (images(8)[0],)}),
    "vq_vae_averaged": Preset(lambda: small_vq_vae(AveragedQuantizer), lambda: images(8), verbs={"reconstruct": (images(8)[0],)}),
    "vq_prior": Preset(small_prior, lambda: images(8), verbs={"sample": (3,)}, frozen=("autoencoder",)),
}
