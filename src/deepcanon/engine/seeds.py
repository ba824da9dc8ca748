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

def streams() -> dict:
    """The random streams of torch, numpy and random."""
    kind, keys, *rest = numpy.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(numpy.asarray(keys, "int64")), *rest],
        "random": random.getstate(),
    }


def load_streams(state: dict) -> None:
    """The inverse of `streams`."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    numpy.random.set_state((kind, keys.numpy().astype("uint32"), *rest))  # noqa: NPY002
    version, words, gauss = state["random"]
    random.setstate((version, tuple(words), gauss))
