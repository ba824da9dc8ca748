"""Random streams."""

import random

import numpy
import torch


def seed_everything(seed: int) -> None:
    """Seed the streams of torch, numpy and random."""
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002 (the global streams are meant)
    random.seed(seed)
