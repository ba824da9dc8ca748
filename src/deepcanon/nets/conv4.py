"""Four convolutions: the net of few-shot learning (Vinyals et al. 2016, arXiv 1606.04080; Finn, Abbeel & Levine 2017, arXiv 1703.03400).

    x (B, C, H, W) -> 4 x [conv 3x3 -> batch norm -> ReLU -> pool 2] -> mean over space, or all places -> linear -> logits (B, K)
            side 28     14, 7, 3, 1

Batch normalisation always takes the statistics of the batch at hand, in evaluation too: a task's images are normalised among themselves.
B batch, C channels, H x W pixels, F features (maps, or maps x places), K classes.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.norm import BatchNorm2d, normalize


class Conv4(nn.Module):
    """Any image size of 16 pixels or more.

    Args:
        num_classes: K.
        in_channels: C.
        width: maps of each convolution.
        strided: halve the side by convolutions of stride two, as the MAML paper does on Omniglot, in place of max pooling.
        running_statistics: of batch normalisation, for a net that is evaluated on single images.
        size: side of the images, for a head that reads every place of the last maps; None for their mean over space, of images of any size.
    """

    def __init__(self, num_classes: int = 5, *, in_channels: int = 1, width: int = 64, strided: bool = False, running_statistics: bool = False,
                 size: int | None = None):
        super().__init__()
        self.in_channels, self.size = in_channels, size
        widths = [in_channels, width, width, width, width]
        blocks, side = [block(c, d, strided, running_statistics) for c, d in pairwise(widths)], size or 1
        for _ in blocks:
            side = (side + strided) // 2
        self.body = nn.Sequential(*blocks, nn.Flatten() if size else Mean())
        self.head = nn.Linear(width * max(side, 1) ** 2, num_classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last maps, averaged over space or as they are."""
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < 16:
            raise ValueError(f"expected images (B, {self.in_channels}, H, W) of 16 pixels or more, got {tuple(x.shape)}")
        if self.size and x.shape[2:] != (self.size, self.size):
            raise ValueError(f"this net was built for images of {self.size} x {self.size} pixels, got {tuple(x.shape)}")
        return self.body(x)


def block(in_channels: int, out_channels: int, strided: bool, running_statistics: bool) -> nn.Sequential:
    """Convolution, normalisation (which brings the bias), ReLU; half the side."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=2 if strided else 1, padding=1, bias=False)
    norm = BatchNorm2d(out_channels) if running_statistics else BatchStatistics(out_channels)
    return nn.Sequential(conv, norm, nn.ReLU(), *([] if strided else [nn.MaxPool2d(2)]))


class BatchStatistics(nn.Module):
    """Batch normalisation by the statistics of the batch at hand, always; `torch.vmap` differentiates it twice, as it does not torch's own.

    Args:
        num_channels: C.
        eps: added to the variance.
    """

    def __init__(self, num_channels: int, *, eps: float = 1e-5):
        super().__init__()
        self.eps, self.weight, self.bias = eps, nn.Parameter(torch.ones(num_channels)), nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return normalize(x, (0, 2, 3), self.eps) * self.weight[:, None, None] + self.bias[:, None, None]


class Mean(nn.Module):
    """Over space."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C"]:
        return x.mean((2, 3))
