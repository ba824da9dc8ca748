"""Deep residual networks (He, Zhang, Ren & Sun 2016, arXiv 1512.03385).

    H(x) = F(x) + x,        dH/dx = dF/dx + I

so that a gradient always has one path on which nothing scales it. F is two 3x3 convolutions (`basic`), or 1x1, 3x3, 1x1 (`bottleneck`); where a
stage halves the resolution and widens, a 1x1 convolution of stride two takes the place of x.

    stem -> stage 1 -> stage 2 -> ... -> mean over space -> linear

B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.norm import BatchNorm2d

Block = Callable[[int, int, int], tuple[nn.Module, int]]  # (channels in, width, stride) -> block, channels out
Stem = Callable[[int, int], nn.Module]  # (channels in, channels out) -> stem


class Residual(nn.Module):
    """residual(x) + shortcut(x); the shortcut is the identity unless shapes change."""

    def __init__(self, residual: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.residual, self.shortcut = residual, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


class ResNet(nn.Module):
    """A stem, stages of residual blocks at falling resolution, global average pooling, one linear layer. Any image size.

    Args:
        stem: (B, C, H, W) -> (B, stem_width, ...).
        stem_width: channels that leave the stem.
        depths: blocks a stage.
        widths: width of each stage; every stage after the first starts with stride 2.
        num_classes: K.
        block: `basic` or `bottleneck`.
        standardize: first layer, from raw pixels to centred ones.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_width: int,
        depths: Sequence[int],
        widths: Sequence[int],
        num_classes: int,
        *,
        block: Block | None = None,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        self.standardize, self.stem = standardize or nn.Identity(), stem
        stages, channels = [], stem_width
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = []
            for j in range(depth):
                layer, channels = (block or basic)(channels, width, 2 if i > 0 and j == 0 else 1)
                blocks.append(layer)
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # activations follow the weights  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last maps, averaged over space."""
        if x.ndim != 4:
            raise ValueError(f"expected images (B, C, H, W), got {tuple(x.shape)}")
        return self.stages(self.stem(self.standardize(x))).mean((2, 3))


def basic(channels: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """Two 3x3 convolutions; `width` channels leave."""
    residual = nn.Sequential(conv_norm(channels, width, 3, stride), nn.ReLU(inplace=True), conv_norm(width, width, 3))
    return nn.Sequential(Residual(residual, shortcut(channels, width, stride)), nn.ReLU(inplace=True)), width


def bottleneck(channels: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """1x1 down to `width`, 3x3, 1x1 up; 4 `width` channels leave."""
    residual = nn.Sequential(
        conv_norm(channels, width, 1), nn.ReLU(inplace=True),
        conv_norm(width, width, 3, stride), nn.ReLU(inplace=True),
        conv_norm(width, 4 * width, 1),
    )  # fmt: skip
    return nn.Sequential(Residual(residual, shortcut(channels, 4 * width, stride)), nn.ReLU(inplace=True)), 4 * width


def shortcut(channels: int, out_channels: int, stride: int) -> nn.Module:
    """x itself, or its projection where the shape changes."""
    return nn.Identity() if stride == 1 and channels == out_channels else conv_norm(channels, out_channels, 1, stride)


def conv_norm(channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the resolution (or divides it by the stride), then batch normalisation."""
    conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, BatchNorm2d(out_channels))


def he_normal(layer: nn.Module) -> None:
    """Normal weights of variance 2 / fan-out (He et al. 2015), which keep the size of gradients through ReLU."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def small_stem(in_channels: int, width: int) -> nn.Module:
    """One 3x3 convolution at full resolution: for images of about 32 pixels."""
    return nn.Sequential(conv_norm(in_channels, width, 3), nn.ReLU(inplace=True))


def large_stem(in_channels: int, width: int) -> nn.Module:
    """A 7x7 convolution and a pooling, each of stride 2: for images of about 224 pixels."""
    return nn.Sequential(conv_norm(in_channels, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))


def resnet_cifar(depth: int = 20, num_classes: int = 10, *, in_channels: int = 3, width: int = 16, standardize: nn.Module | None = None) -> ResNet:
    """The paper's form for 32x32 images: 6n + 2 layers in three stages of `width`, 2 `width`, 4 `width`. ResNet-20 has 0.27 M parameters."""
    if depth % 6 != 2 or depth < 8:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110), got {depth}")
    widths = (width, 2 * width, 4 * width)
    return ResNet(small_stem(in_channels, width), width, [depth // 6] * 3, widths, num_classes, standardize=standardize)


def resnet18(num_classes: int = 1000, *, in_channels: int = 3, stem: Stem = large_stem, standardize: nn.Module | None = None) -> ResNet:
    """Two basic blocks a stage: 11,689,512 parameters for ImageNet. `stem=small_stem` is its usual form for 32x32 images."""
    return ResNet(stem(in_channels, 64), 64, (2, 2, 2, 2), (64, 128, 256, 512), num_classes, standardize=standardize)


def resnet34(num_classes: int = 1000, *, in_channels: int = 3, stem: Stem = large_stem, standardize: nn.Module | None = None) -> ResNet:
    """3, 4, 6, 3 basic blocks: 21,797,672 parameters for ImageNet."""
    return ResNet(stem(in_channels, 64), 64, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, standardize=standardize)


def resnet50(num_classes: int = 1000, *, in_channels: int = 3, stem: Stem = large_stem, standardize: nn.Module | None = None) -> ResNet:
    """3, 4, 6, 3 bottleneck blocks: 25,557,032 parameters for ImageNet."""
    return ResNet(stem(in_channels, 64), 64, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, block=bottleneck, standardize=standardize)


def resnet101(num_classes: int = 1000, *, in_channels: int = 3, stem: Stem = large_stem, standardize: nn.Module | None = None) -> ResNet:
    """3, 4, 23, 3 bottleneck blocks: 44,549,160 parameters for ImageNet."""
    return ResNet(stem(in_channels, 64), 64, (3, 4, 23, 3), (64, 128, 256, 512), num_classes, block=bottleneck, standardize=standardize)


def resnet152(num_classes: int = 1000, *, in_channels: int = 3, stem: Stem = large_stem, standardize: nn.Module | None = None) -> ResNet:
    """3, 8, 36, 3 bottleneck blocks: 60,192,808 parameters for ImageNet."""
    return ResNet(stem(in_channels, 64), 64, (3, 8, 36, 3), (64, 128, 256, 512), num_classes, block=bottleneck, standardize=standardize)
