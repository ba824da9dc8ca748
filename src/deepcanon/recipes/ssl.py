"""Runs of self-supervised learning, judged by a linear probe beside the same net untrained."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from deepcanon.data import augment, images
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, recipe
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.mlp import mlp
from deepcanon.ssl.byol import BYOL
from deepcanon.ssl.probe import probe


@recipe(target={"gain": at_least(0.05)}, seconds=600, paper="Grill et al. 2020", rows=["SSL-01", "SSL-10"])
def byol_fashion(width: int = 64, hidden: int = 256, lr: float = 3e-3, batch: int = 256, decay: float = 0.99, steps: int = 2_400,
                 seed: int = 0) -> Run:
    """BYOL on Fashion-MNIST without labels; accuracy of a linear probe, and its gain over the same net untrained, after some minutes."""
    method = pictures_byol(width, hidden, decay)
    change = augment.compose(augment.resized_crop(28, scale=(0.3, 1.0)), augment.flip(), augment.jitter(brightness=0.4, contrast=0.4))
    train = images("fashion", batch=batch, seed=seed, augment=augment.views(change))
    return fit(method, train, AdamW(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, evaluate=gain(method, "fashion"))


@recipe(target={"gain": at_least(0.05)}, seconds=40, paper="Grill et al. 2020", rows=["SSL-01", "SSL-10"])
def byol_digits(width: int = 32, hidden: int = 128, lr: float = 3e-3, batch: int = 128, decay: float = 0.99, steps: int = 400, seed: int = 0) -> Run:
    """BYOL on scikit-learn's digits without labels; accuracy of a linear probe, and its gain over the same net untrained."""
    method = pictures_byol(width, hidden, decay)
    change = augment.compose(augment.affine(degrees=15.0, translate=0.1, scale=(0.8, 1.2), shear=10.0), augment.jitter(brightness=0.4, contrast=0.4))
    train = images("digits", size=16, batch=batch, seed=seed, augment=augment.views(change))
    return fit(method, train, AdamW(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, evaluate=gain(method, "digits", size=16))


def pictures_byol(width: int, hidden: int, decay: float) -> BYOL:
    """A net of four convolutions whose `width` features are projected, and predicted, by one hidden layer each."""
    encoder = Conv4(width=width, strided=True, running_statistics=True).body
    projector, predictor = (mlp(width, hidden, width, norm=nn.BatchNorm1d) for _ in range(2))
    return BYOL(encoder, projector=projector, predictor=predictor, decay=decay)


def gain(method: BYOL, source: str, **options) -> Callable[[BYOL], dict[str, float]]:
    """An evaluation: accuracy of a linear probe on the encoder, on the encoder as it is now, and the difference."""
    start = copy.deepcopy(method)

    def measure(method: BYOL) -> dict[str, float]:
        device = next(method.parameters()).device
        train, test = (images(source, split=split, batch=500, shuffle=False, **options).to(device) for split in ("train", "test"))
        trained, untrained = (torch.as_tensor(probe(m.encode, train, test)).item() for m in (method, start.to(device)))
        return {"probe": trained, "probe_untrained": untrained, "gain": trained - untrained}

    return measure
