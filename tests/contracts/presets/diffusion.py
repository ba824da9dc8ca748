"""Presets of the family diffusion."""

import torch
from torch import Tensor, nn

from deepcanon.diffusion.annealed import geometric
from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.schedules import linear_schedule
from deepcanon.diffusion.score_matching import ScoreModel
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.unet import UNet
from tests.contracts.presets.common import Preset, images


def in_levels() -> tuple[Tensor, Tensor]:
    """Images of 256 levels."""
    x, y = images(8)
    return (255 * x).round() / 255, y


def small_ddpm() -> DDPM:
    """On 8x8 images, ten noise levels."""
    return DDPM(UNet(1, (8, 16), groups=4), (1, 8, 8), abar=linear_schedule(10))


def small_resmlp(condition_dim: int | None = None) -> ResidualMLP:
    """On 8x8 images; its last layers do not start at zero, so that a gradient reaches all others."""
    net = ResidualMLP((1, 8, 8), width=32, num_layers=1, time_dim=16, condition_dim=condition_dim)
    for p in net.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.1)
    return net


def told_ddpm() -> ConditionalDDPM:
    """On 8x8 images of four classes."""
    return ConditionalDDPM(DDPM(small_resmlp(8), (1, 8, 8), abar=linear_schedule(10)), nn.Embedding(4, 8), embed_dim=8, drop=0.3)


PRESETS = {
    "ddpm": Preset(small_ddpm, lambda: images(8), verbs={"sample": (3,)}),
    "ddpm_of_a_thousand_levels": Preset(lambda: DDPM(small_resmlp(), (1, 8, 8), steps=10), lambda: images(8),
                                        verbs={"sample": (3,)}),
    "score": Preset(lambda: ScoreModel(mlp(3, 16, 3, activation=nn.Tanh)), lambda: (torch.randn(16, 3),)),
    "ncsn": Preset(lambda: NCSN(small_resmlp(), (1, 8, 8), sigmas=geometric(5.0, 0.1, 4)), lambda: images(8), verbs={"sample": (3,)}),
    "score_sde": Preset(lambda: ScoreSDE(small_resmlp(), (1, 8, 8), levels=256, steps=4), in_levels, verbs={
        "sample": (3,), "encode": in_levels()[:1], "bits_per_dim": in_levels()[:1]}),
    "told_ddpm": Preset(told_ddpm, lambda: images(8), verbs={"sample": (3, torch.tensor([0, 1, 2]))}),
}
