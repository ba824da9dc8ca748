"""U-Net, an answer for every pixel (Ronneberger, Fischer & Brox 2015, arXiv 1505.04597).

    down:  e_i = convs(pool(e_{i-1}))                       e_0 = convs(x), at full resolution
    up:    d_i = convs([up(d_{i+1}), e_i])                  d_n = e_n; [.] is concatenation over channels
    logits = conv_1x1(d_0)

convs are two 3x3 convolutions, each with normalisation and ReLU; up is a transposed convolution of stride 2. What
pooling throws away comes back by e_i, which is why thin structures survive. The image's sides are kept (the paper's
convolutions cut borders off). B batch, C channels, H x W pixels, K classes, w_i channels of level i.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.transposed_conv import TransposedConv2d
from deepcanon.nets.resnet import conv_norm, he_normal


class SegmentationUNet(nn.Module):
    """Images (B, C, H, W) to logits (B, K, H, W).

    Args:
        num_classes: K.
        in_channels: C.
        widths: w_0 ... w_n, from full resolution down; the paper's are 64, 128, 256, 512, 1024.
        skips: concatenate e_i; without, the same net is a bottleneck.
        dropout: share of channels left out at the lowest level.
        standardize: first layer, from raw pixels to centred ones.

    The sides of images must be divisible by `net.stride`, 2^n.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, *, widths: tuple[int, ...] = (32, 64, 128, 256),
                 skips: bool = True, dropout: float = 0.0, standardize: nn.Module | None = None):
        super().__init__()
        self.in_channels, self.stride = in_channels, 2 ** (len(widths) - 1)
        self.standardize, self.dropout = standardize or nn.Identity(), nn.Dropout2d(dropout)
        ins = (in_channels, *widths[:-1])
        self.down = nn.ModuleList(two_convs(c, width) for c, width in zip(ins, widths))
        self.skip = nn.ModuleList(nn.Identity() for _ in widths[:-1]) if skips else None
        pairs = list(zip(widths[1:], widths[:-1]))                               # (w_{i+1}, w_i)
        self.enlarge = nn.ModuleList(TransposedConv2d(below, width, 2, 2) for below, width in pairs)
        self.up = nn.ModuleList(two_convs((2 if skips else 1) * width, width) for _, width in pairs)
        self.head = nn.Conv2d(widths[0], num_classes, 1)
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        h = self.standardize(divisible(x, self.in_channels, self.stride))
        kept = []
        for i, convs in enumerate(self.down):
            h = convs(F.max_pool2d(h, 2) if i else h)
            kept.append(h)
        h = self.dropout(kept.pop())
        for i in reversed(range(len(self.up))):
            h = self.enlarge[i](h)                                               # (B, w_i, H / 2^i, W / 2^i)
            h = self.up[i](h if self.skip is None else torch.cat([h, self.skip[i](kept[i])], 1))
        return self.head(h)


def two_convs(channels: int, width: int) -> nn.Sequential:
    """Two 3x3 convolutions that keep the resolution, each with batch normalisation and ReLU."""
    return nn.Sequential(conv_norm(channels, width, 3), nn.ReLU(inplace=True),
                         conv_norm(width, width, 3), nn.ReLU(inplace=True))


def divisible(x: Float[Tensor, "B C H W"], channels: int, stride: int) -> Float[Tensor, "B C H W"]:
    """x. Raises ValueError for other channels, or sides that cannot be halved so often."""
    if x.ndim != 4 or x.shape[1] != channels or x.shape[2] % stride or x.shape[3] % stride:
        raise ValueError(f"expected images (B, {channels}, H, W) with sides divisible by {stride}, got {tuple(x.shape)}")
    return x
