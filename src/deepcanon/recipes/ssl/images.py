"""Runs of self-supervised learning on images, judged by a linear probe beside the same net untrained."""

import copy
from collections.abc import Callable

import torch

from deepcanon.data import Images, Source, augment, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe
from deepcanon.layers.norm import BatchNorm1d
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.perceptron import mlp
from deepcanon.ssl.byol import BYOL
from deepcanon.ssl.linear_probe import probe


@recipe(paper="Grill et al. 2020", systems=["SSL-01", "SSL-10"], presets=[
    preset("digits", size=16, distort="affine", width=32, hidden=128, batch=128, steps=400, target={"probe_gain": at_least(0.05)}, seconds=40),
    preset("fashion", target={"probe_gain": at_least(0.05)}, seconds=600)])
def byol(data: Images = "digits", *, size: int | None = None, distort: str = "crop", width: int = 64, hidden: int = 256,
         lr: float = 3e-3, batch: int = 256, decay: float = 0.99, steps: int = 2_400, seed: int = 0) -> Run:
    """BYOL without labels; accuracy of a linear probe on its features, and the gain over the same net untrained.

    Args:
        data: images by name, folder, file or object; labels, where there are some, serve the probe alone.
        size: side in pixels that images are brought to.
        distort: how a view is made, "crop" (resized crops, flips, jitter) or "affine" (turns, shifts, jitter).
        width, hidden: features of the encoder, units of projector and predictor.
        decay: of the teacher's moving average.
    """
    source = open_data(data, "images", size=size)
    encoder = Conv4(width=width, in_channels=source.shape[0], strided=True, running_statistics=True).body
    projector, predictor = (mlp(width, hidden, width, norm=BatchNorm1d) for _ in range(2))
    method = BYOL(encoder, projector=projector, predictor=predictor, decay=decay)
    train = source.train(batch=batch, seed=seed, augment=augment.views(views(distort, source.shape[-1])))
    measured = probe_gain(method, source) if source.num_classes >= 2 else None
    return fit(method, train, AdamW(lr, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, evaluate=measured)


def views(distort: str, side: int) -> augment.Augment:
    """A random distortion; ValueError for an unknown name."""
    jitter = augment.jitter(brightness=0.4, contrast=0.4)
    if distort == "crop":
        return augment.compose(augment.resized_crop(side, scale=(0.3, 1.0)), augment.flip(), jitter)
    if distort == "affine":
        return augment.compose(augment.affine(degrees=15.0, translate=0.1, scale=(0.8, 1.2), shear=10.0), jitter)
    raise ValueError(f"expected distort as crop or affine, got '{distort}'")


def probe_gain(method: BYOL, source: Source) -> Callable[[BYOL], dict[str, float]]:
    """An evaluation: accuracy of a linear probe on the encoder, on the encoder as it is now, and the difference."""
    start = copy.deepcopy(method)

    def measure(method: BYOL) -> dict[str, float]:
        device = next(method.parameters()).device
        train, test = (source.open(split, batch=500, shuffle=False).to(device) for split in ("train", "test"))
        trained, untrained = (torch.as_tensor(probe(m.encode, train, test)).item() for m in (method, start.to(device)))
        return {"probe_accuracy": trained, "probe_untrained": untrained, "probe_gain": trained - untrained}

    return measure
