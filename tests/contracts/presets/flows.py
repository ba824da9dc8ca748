"""Presets of the family flows."""

import torch
from torch import Tensor

from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Flow
from deepcanon.flows.glow_flow import glow
from deepcanon.flows.iaf_flow import iaf
from deepcanon.flows.maf_flow import maf
from deepcanon.flows.nice_flow import nice
from deepcanon.flows.realnvp_flow import realnvp, realnvp_images
from deepcanon.flows.wavenet_distillation import Distillation
from tests.contracts.presets.common import Preset, levels


def points(n: int = 32) -> tuple[Tensor]:
    """Four numbers each, which hang together."""
    x = torch.randn(n, 4)
    return (torch.cat([x[:, :2], x[:, :2].square() + 0.3 * x[:, 2:]], 1),)


def varied_glow() -> Dequantized:
    """On 8x8 images, their noise learned."""
    noise = VariationalNoise(noise_couplings((1, 8, 8), width=4, num_layers=2))
    return Dequantized(Flow(glow((1, 8, 8), num_steps=1, width=4), (1, 8, 8)), noise, levels=4)


def small_realnvp() -> Dequantized:
    """On 8x8 images."""
    return Dequantized(Flow(realnvp_images((1, 8, 8), width=4), (1, 8, 8)), UniformNoise(), levels=4)


def small_distillation() -> Distillation:
    """Of an untrained teacher."""
    return Distillation(Flow(iaf(4, hidden=(16,), num_layers=2), (4,)), Flow(maf(4, hidden=(16,), num_layers=1), (4,)))


PRESETS = {
    "nice": Preset(lambda: Flow(nice(4, hidden=(16,)), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "realnvp": Preset(lambda: Flow(realnvp(4, hidden=(16,)), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "maf": Preset(lambda: Flow(maf(4, hidden=(16,), num_layers=2), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "iaf": Preset(lambda: Flow(iaf(4, hidden=(16,), num_layers=2), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "realnvp_images": Preset(small_realnvp, levels, verbs={"sample": (3,)}),
    "glow_varied": Preset(varied_glow, levels, verbs={"sample": (3,)}),
    "distillation": Preset(small_distillation, points, verbs={"sample": (3,)}, frozen=("teacher",)),
}
