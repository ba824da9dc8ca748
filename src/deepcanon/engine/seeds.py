"""Random streams."""

import random

import numpy
import torch


def seed_everything(seed: int) -> None:
    """Seed the streams of torch, numpy and random; ValueError for a seed that is no 64-bit number."""
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"expected a seed between -2**63 and 2**64 - 1, got {seed}")
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002 (the global streams are meant)
    random.seed(seed)
