"""DenseNet (Huang et al. 2017, arXiv 1608.06993): every layer reads all that came before.

    x_l = [x_0; x_1; ...; f_l([x_0; ...; x_{l-1}])],         f = conv3(relu(bn(conv1(relu(bn(.))))))

Each layer adds `growth` channels beside its input, which stays as it is: after L layers there are
C_0 + L growth. Between blocks a 1x1 convolution keeps a share of the channels and a pooling halves the
resolution. ResNets add where DenseNets concatenate, and so keep their width. DenseNet-121 has 7,978,856
parameters for ImageNet.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.norm import BatchNorm2d
from deepcanon.layers.pooling import global_average_pool
from deepcanon.nets.resnet import he_normal


class DenseLayer(nn.Module):
    """x and beside it `growth` new channels.

    Args:
        channels: C of x.
        growth: new channels.
        bottleneck: width of the 1x1 convolution, in growths; 0 is no such convolution.
        dropout: of the new channels.
    """

    def __init__(self, channels: int, growth: int, *, bottleneck: int = 4, dropout: float = 0.0):
        super().__init__()
        inner = bottleneck * growth or channels
        narrow = [BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, inner, 1, bias=False)]
        self.new = nn.Sequential(
            *(narrow if bottleneck else []), BatchNorm2d(inner), nn.ReLU(inplace=True),
            nn.Conv2d(inner, growth, 3, padding=1, bias=False), nn.Dropout(dropout))  # fmt: skip

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat([x, self.new(x)], 1)


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between, normalisation, the mean over space, one linear layer.
    Any image size.

    Args:
        stem: (B, C, H, W) -> (B, stem_width, ...).
        stem_width: channels that leave the stem.
        depths: layers of each block.
        num_classes: K.
        growth: channels that a layer adds.
        in_channels: C.
        bottleneck, dropout: see `DenseLayer`.
        compression: share of the channels that a transition keeps.
        standardize: first layer, from raw pixels to centred ones.

    Raises:
        ValueError: a compression outside (0, 1].
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_width: int,
        depths: Sequence[int],
        num_classes: int,
        *,
        growth: int,
        in_channels: int = 3,
        bottleneck: int = 4,
        compression: float = 0.5,
        dropout: float = 0.0,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        if not 0 < compression <= 1:
            raise ValueError(f"expected a compression in (0, 1], got {compression}")
        self.in_channels, self.standardize, self.stem = in_channels, standardize or nn.Identity(), stem
        blocks, channels = [], stem_width
        for i, depth in enumerate(depths):
            layers: list[nn.Module] = []
            if i > 0:
                layers.append(transition(channels, kept := int(compression * channels)))
                channels = kept
            layers += [
                DenseLayer(channels + j * growth, growth, bottleneck=bottleneck, dropout=dropout)
                for j in range(depth)
            ]
            blocks.append(nn.Sequential(*layers))
            channels += depth * growth
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = (
            nn.Sequential(BatchNorm2d(channels), nn.ReLU(inplace=True)),
            nn.Linear(channels, num_classes),
        )
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last maps, averaged over space."""
        x = self.standardize(image_batch(x, self.in_channels))
        return global_average_pool(self.norm(self.blocks(self.stem(x))))


def transition(channels: int, out_channels: int) -> nn.Sequential:
    """Normalisation, a 1x1 convolution to fewer channels, half the resolution."""
    return nn.Sequential(
        BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, out_channels, 1, bias=False),
        nn.AvgPool2d(2, ceil_mode=True),
    )


def densenet121(
    num_classes: int = 1000, *, in_channels: int = 3, standardize: nn.Module | None = None
) -> DenseNet:
    """Blocks of 6, 12, 24 and 16 layers of growth 32, for images of about 224 pixels: 7,978,856 parameters.
    """
    return imagenet_form((6, 12, 24, 16), num_classes, in_channels, standardize)


def densenet169(
    num_classes: int = 1000, *, in_channels: int = 3, standardize: nn.Module | None = None
) -> DenseNet:
    """Blocks of 6, 12, 32 and 32 layers: 14,149,480 parameters."""
    return imagenet_form((6, 12, 32, 32), num_classes, in_channels, standardize)


def imagenet_form(
    depths: Sequence[int], num_classes: int, in_channels: int, standardize: nn.Module | None
) -> DenseNet:
    """The paper's form for large images: 7x7 of stride 2, normalisation, pooling; growth 32."""
    stem = nn.Sequential(
        nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False),
        BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )
    return DenseNet(
        stem, 64, depths, num_classes, growth=32, in_channels=in_channels, standardize=standardize
    )


def densenet_cifar(
    depth: int = 100,
    growth: int = 12,
    num_classes: int = 10,
    *,
    in_channels: int = 3,
    dropout: float = 0.0,
    standardize: nn.Module | None = None,
) -> DenseNet:
    """The paper's DenseNet-BC for 32x32 images: three blocks, 6n + 4 layers; 100 of growth 12 have 769,162
    parameters.

    Raises:
        ValueError: a depth that is not 6n + 4.
    """
    if depth % 6 != 4 or depth < 10:
        raise ValueError(f"depth must be 6n + 4 (10, 16, 22, 40, 100, ...), got {depth}")
    stem = nn.Conv2d(in_channels, 2 * growth, 3, padding=1, bias=False)
    return DenseNet(
        stem,
        2 * growth,
        [(depth - 4) // 6] * 3,
        num_classes,
        growth=growth,
        in_channels=in_channels,
        dropout=dropout,
        standardize=standardize,
    )
