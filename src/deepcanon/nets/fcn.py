"""Fully convolutional network, FCN-8s (Long, Shelhamer & Darrell 2015, arXiv 1411.4038).

    s_5 = conv_1x1(p_5),   s_4 = up(s_5) + conv_1x1(p_4),   s_3 = up(s_4) + conv_1x1(p_3),   logits = up_8(s_3)

p_i is what the i-th pooling of a VGG encoder leaves, at 1 / 2^i of the resolution; each gives scores of the classes,
which are added. up doubles the sides by a transposed convolution that starts as bilinear interpolation.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.transposed_conv import bilinear_upsampling
from deepcanon.nets.resnet import he_normal
from deepcanon.nets.segmentation_unet import divisible
from deepcanon.nets.segnet import convs


class FCN(nn.Module):
    """Images (B, C, H, W) to logits (B, K, H, W).

    Args:
        num_classes: K.
        in_channels: C.
        widths: channels of each level; VGG's are 64, 128, 256, 512, 512.
        depths: convolutions of each level.
        skips: how many finer levels add their scores: 2 is the paper's FCN-8s, 1 FCN-16s, 0 FCN-32s.
        dropout: share of channels left out before the coarsest scores.
        standardize: first layer, from raw pixels to centred ones.

    The sides of images must be divisible by `net.stride`, 2^levels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, *, widths: Sequence[int] = (64, 128, 256, 512, 512),
                 depths: Sequence[int] = (2, 2, 3, 3, 3), skips: int = 2, dropout: float = 0.0,
                 standardize: nn.Module | None = None):
        super().__init__()
        if len(depths) != len(widths) or not 0 <= skips < len(widths):
            raise ValueError("expected as many depths as widths and fewer skips, "
                             f"got {len(depths)}, {len(widths)} and {skips}")
        self.in_channels, self.stride = in_channels, 2 ** len(widths)
        self.standardize = standardize or nn.Identity()
        ins = (in_channels, *widths[:-1])
        self.down = nn.ModuleList(nn.Sequential(convs([c, *[w] * depth]), nn.MaxPool2d(2))
                                  for c, w, depth in zip(ins, widths, depths))
        coarse_first = list(widths[::-1])[: skips + 1]
        self.score = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in coarse_first)
        self.enlarge = nn.ModuleList(bilinear_upsampling(num_classes, 2) for _ in range(skips))
        self.finish = bilinear_upsampling(num_classes, self.stride // 2**skips)
        self.dropout = nn.Dropout2d(dropout)
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        h = self.standardize(divisible(x, self.in_channels, self.stride))
        pooled = []
        for level in self.down:
            h = level(h)
            pooled.append(h)
        scores = self.score[0](self.dropout(pooled[-1]))
        for i, enlarge in enumerate(self.enlarge, 1):
            scores = enlarge(scores) + self.score[i](pooled[-1 - i])
        return self.finish(scores)
