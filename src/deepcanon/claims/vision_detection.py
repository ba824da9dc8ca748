"""Claims about detection."""

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, claim
from deepcanon.vision.overfeat import as_convolutions

WINDOW, STRIDE, PLACES = 32, 4, 21


@claim("C-056", answer="yes")
def convolutional_classification_is_cheap() -> Finding:
    """Convolutional classification makes sliding windows cheap.

    A classifier of 3 x 32 x 32 images, two convolutions of 5 x 5 each with a pooling and two linear layers,
    on an
    image of 112 x 112: at its 21 x 21 windows one by one, and in one pass with the linear layers as
    convolutions. The largest difference of the logits, and the multiplications of each way.
    """
    maps = [nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*maps, nn.Flatten(), nn.Linear(32 * 25, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    dense = as_convolutions(net, (3, WINDOW, WINDOW))
    side = WINDOW + STRIDE * (PLACES - 1)
    x = torch.rand(1, 3, side, side)
    corners = [(STRIDE * i, STRIDE * j) for i in range(PLACES) for j in range(PLACES)]
    crops = torch.cat([x[:, :, i : i + WINDOW, j : j + WINDOW] for i, j in corners])  # (441, 3, 32, 32)
    with torch.no_grad():
        apart, once = net(crops), dense(x)[0].flatten(1).T  # (441, 10) each
    measured = {
        "windows": float(len(crops)),
        "difference": (apart - once).abs().max().item(),
        "multiplications_apart": len(crops) * multiplications(net, crops[:1]),
        "multiplications_once": multiplications(dense, x),
    }
    measured["ratio"] = measured["multiplications_apart"] / measured["multiplications_once"]
    return Finding(
        measured,
        measured["difference"] < 1e-5 and measured["ratio"] > 10,
        "What neighbouring windows share is computed once; it is exact where the convolutions pad "
        "nothing and "
        "windows lie a stride of the maps apart.",
    )


@torch.no_grad()
def multiplications(net: nn.Sequential, x: Tensor) -> float:
    """Of a forward pass: each value of a layer takes as many as the layer has weights for it."""
    total = 0
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            total += x.numel() * layer.weight[0].numel()
    return float(total)
