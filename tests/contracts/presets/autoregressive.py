"""Presets of the family autoregressive."""

import torch
from torch import Tensor, nn

from deepcanon.autoregressive.density import AutoregressiveDensity
from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.autoregressive.pixels import Continuous, LogisticMixture, Softmax, logit_normal
from deepcanon.nets.image_transformer import ImageTransformer, local_1d
from deepcanon.nets.made import MADE
from deepcanon.nets.pixelcnn import GatedPixelCNN, PixelCNN
from deepcanon.nets.pixelrnn import PixelRNN, RowLSTM
from deepcanon.nets.wavenet import WaveNet
from tests.contracts.presets.common import Preset, images


def small_made() -> BernoulliMADE:
    """On 4x4 images."""
    return BernoulliMADE(MADE(16, (32,)), (1, 4, 4))


def coarse(levels: int = 4, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Images of 4 x 4 pixels on few levels."""
    x, y = images(4, channels)
    return (x * (levels - 1)).round() / (levels - 1), y


def density(net: nn.Module, likelihood: nn.Module | None = None, channels: int = 1) -> AutoregressiveDensity:
    """Of images on four levels, by a net of four outputs a pixel unless it has those of a likelihood."""
    return AutoregressiveDensity(net, likelihood or Softmax(1, 4), shape=(channels, 4, 4))


def sounds() -> tuple[Tensor, Tensor]:
    """Sixteen moments on four levels."""
    x, y = coarse()
    return x.flatten(2), y


PRESETS = {
    "made": Preset(small_made, lambda: (images(4)[0].round(),), verbs={"sample": (3,)}),
    "pixelcnn_plain": Preset(lambda: density(PixelCNN(1, 4, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "pixelcnn": Preset(lambda: density(GatedPixelCNN(1, 4, width=8, first=3, dilations=(1,))), coarse, verbs={"sample": (3,)}),
    "pixelcnn_of_a_class": Preset(lambda: density(GatedPixelCNN(1, 4, width=8, first=3, dilations=(1,), condition=nn.Embedding(4, 8))), coarse,
                                  verbs={"sample": (3, torch.arange(3))}),
    "pixelcnn_logistic": Preset(lambda: density(GatedPixelCNN(2, 12, width=8, first=3, dilations=(1,)), LogisticMixture(2, 2, 4), 2),
                                lambda: coarse(channels=2), verbs={"sample": (3,)}),
    "pixelcnn_logit_normal": Preset(lambda: density(GatedPixelCNN(1, 2, width=8, first=3, dilations=(1,)), Continuous(logit_normal, levels=4)),
                                    coarse, verbs={"sample": (3,)}),
    "pixelrnn": Preset(lambda: density(PixelRNN(1, 4, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "pixelrnn_rows": Preset(lambda: density(PixelRNN(1, 4, RowLSTM, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "image_transformer": Preset(lambda: density(ImageTransformer(1, 4, local_1d((4, 4), 4, 4), size=(4, 4), embed_dim=8, num_heads=2, num_layers=1)),
                                coarse, verbs={"sample": (3,)}),
    "wavenet": Preset(lambda: AutoregressiveDensity(WaveNet(1, 4, width=8, dilations=(1, 2), skip=8), Softmax(1, 4), shape=(1, 16)), sounds,
                      verbs={"sample": (3,)}),
}
