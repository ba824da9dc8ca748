"""Small nets that the tests of explanations share."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from deepcanon.data import images


def convolutional(
    channels: int = 1, classes: int = 10, width: int = 8, in_place: bool = False
) -> nn.Sequential:
    """Two convolutions and a linear layer, for images of any size; a rectifier is `nn.ReLU`."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(in_place),
        nn.Conv2d(width, 2 * width, 3, 2, 1),
        nn.ReLU(in_place),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, classes),
    )


class ViT(nn.Module):
    """Patches of four pixels, a class token that alone is read, two layers of torch's encoder."""

    def __init__(self, classes: int = 3, pre_norm: bool = True):
        super().__init__()
        self.patches, self.token = nn.Conv2d(1, 16, 4, 4), nn.Parameter(torch.randn(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=pre_norm)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        return self.head(
            self.norm(self.encoder(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)))[:, 0]
        )


def digits(split: str) -> tuple[Tensor, Tensor]:
    """All digits of a split."""
    return next(iter(images("digits", split=split, batch=2_000, shuffle=False)))


def trained(seed: int, shuffled: bool = False, steps: int = 250, width: int = 8) -> nn.Sequential:
    """A convolutional net that knows the digits, or by heart 200 of them with labels at random."""
    torch.manual_seed(seed)
    x, y = digits("train")
    if shuffled:
        x, y = x[:200], y[:200][torch.randperm(200)]
    net = convolutional(width=width)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        rows = torch.randint(len(x), (100,))
        optimizer.zero_grad()
        cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net.eval()
