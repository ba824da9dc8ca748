"""Deep convolutional generator and critic (Radford, Metz & Chintala 2016, arXiv 1511.06434), in the small form for images of 8 to 32 pixels.

    generator:  z -> fc -> (4 C, s, s) -> up -> (2 C, 2 s, 2 s) -> up -> (channels, 4 s, 4 s) -> sigmoid,    up a transposed 4x4 convolution, stride 2
    critic:     x (channels, 4 s, 4 s) -> down -> (C, 2 s, 2 s) -> down -> (2 C, s, s) -> fc -> score,       down a 4x4 convolution, stride 2

The generator normalises over the batch, the critic not at all, so that its slope at one image depends on that image alone (Gulrajani et al. 2017).
B batch, Z latent, C width, s a quarter of the image's side.
"""

from torch import nn


def generator(latent_dim: int, *, channels: int = 1, image_size: int = 28, width: int = 32) -> nn.Sequential:
    """(B, Z) -> images (B, channels, image_size, image_size) in [0, 1]."""
    s = quarter(image_size)
    return nn.Sequential(
        nn.Linear(latent_dim, 4 * width * s * s, bias=False), nn.Unflatten(1, (4 * width, s, s)), nn.BatchNorm2d(4 * width), nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, channels, 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip


def critic(*, channels: int = 1, image_size: int = 28, width: int = 32) -> nn.Sequential:
    """(B, channels, image_size, image_size) -> scores (B, 1)."""
    s = quarter(image_size)
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(2 * width * s * s, 1),
    )  # fmt: skip


def quarter(image_size: int) -> int:
    """A quarter of the image's side.

    Raises:
        ValueError: the side is not a positive multiple of four.
    """
    if image_size < 4 or image_size % 4:
        raise ValueError(f"expected an image size that four divides, got {image_size}")
    return image_size // 4
