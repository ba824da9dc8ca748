"""Deep convolutional generator and critic (Radford, Metz & Chintala 2016, arXiv 1511.06434), of 64 pixels and in the small form for 8 to 32.

    generator:  z -> fc -> (4 C, s, s) -> up -> (2 C, 2 s, 2 s) -> up -> (channels, 4 s, 4 s) -> sigmoid,    up a transposed 4x4 convolution, stride 2
    critic:     x (channels, 4 s, 4 s) -> down -> (C, 2 s, 2 s) -> down -> (2 C, s, s) -> fc -> score,       down a 4x4 convolution, stride 2
    64 pixels:  z (Z, 1, 1) -> (8 C, 4, 4) -> (4 C, 8, 8) -> (2 C, 16, 16) -> (C, 32, 32) -> (channels, 64, 64),  and back to a score, (1, 1, 1)

No pooling, and at 64 pixels no fully connected layer. The generator normalises over the batch; the small critic not at all, so that its slope at one
image depends on that image alone (Gulrajani et al. 2017); the large one in all layers but its first, as in the paper.
B batch, Z latent, C width, s a quarter of the image's side.
"""

from itertools import pairwise

from torch import nn

from deepcanon.layers.norm import BatchNorm2d


def generator(latent_dim: int, *, channels: int = 1, image_size: int = 28, width: int = 32) -> nn.Sequential:
    """(B, Z) -> images (B, channels, image_size, image_size) in [0, 1]."""
    s = quarter(image_size)
    return nn.Sequential(
        nn.Linear(latent_dim, 4 * width * s * s, bias=False), nn.Unflatten(1, (4 * width, s, s)),
        BatchNorm2d(4 * width), nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), BatchNorm2d(2 * width), nn.ReLU(),
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


def generator64(latent_dim: int = 100, *, channels: int = 3, width: int = 64) -> nn.Sequential:
    """(B, Z) -> images (B, channels, 64, 64) in [0, 1], all of transposed convolutions."""
    net = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, 8 * width, 4, 1, 0, bias=False))
    for c_in, c_out in pairwise((8 * width, 4 * width, 2 * width, width)):
        net.extend([BatchNorm2d(c_in), nn.ReLU(), nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=False)])
    last = nn.ConvTranspose2d(width, channels, 4, 2, 1)
    return initialise(net.extend([BatchNorm2d(width), nn.ReLU(), last, nn.Sigmoid()]))


def discriminator64(*, channels: int = 3, width: int = 64) -> nn.Sequential:
    """(B, channels, 64, 64) -> scores (B, 1), all of convolutions with strides."""
    net = nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2))
    for c_in, c_out in pairwise((width, 2 * width, 4 * width, 8 * width)):
        net.extend([nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False), BatchNorm2d(c_out), nn.LeakyReLU(0.2)])
    return initialise(net.extend([nn.Conv2d(8 * width, 1, 4, 1, 0), nn.Flatten()]))


def initialise(net: nn.Sequential) -> nn.Sequential:
    """The net with weights N(0, 0.02^2), the gains of its normalisations N(1, 0.02^2)."""
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return net


def quarter(image_size: int) -> int:
    """A quarter of the image's side.

    Raises:
        ValueError: the side is not a positive multiple of four.
    """
    if image_size < 4 or image_size % 4:
        raise ValueError(f"expected an image size that four divides, got {image_size}")
    return image_size // 4
