"""Which rows are for testing: a fifth, drawn once, of each class its share."""

import numpy as np
import torch

TEST = 5            # one row in this many


def held_out(count: int, labels: np.ndarray | None = None) -> np.ndarray:
    """(N,) bool, the same for every call: at least one row is left to train on, and the only row of a class
    is never a test row.

    Args:
        count: N.
        labels: (N,) int, the class of each row; None: rows are drawn without regard to classes.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).numpy()
    wanted = count - max(1, count * (TEST - 1) // TEST)
    chosen = np.zeros(count, dtype=bool)
    if labels is None:
        chosen[order[count - wanted :]] = True
        return chosen
    sizes = np.bincount(labels)
    shares = quotas(sizes, wanted)
    by_class = order[np.argsort(labels[order],
                                kind="stable")]      # rows of class 0 in random order, then of class 1
    starts = np.cumsum(sizes) - sizes
    for start, share in zip(starts.tolist(), shares.tolist(), strict=True):
        chosen[by_class[start : start + share]] = True
    return chosen


def quotas(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """How many rows of each class make `wanted` in all, in proportion, by the largest remainders, each class
    keeping a row."""
    ideal = sizes * wanted / max(1, sizes.sum())
    most = np.maximum(sizes - 1, 0)
    shares = np.minimum(np.floor(ideal).astype(np.int64), most)
    for k in np.argsort(shares - ideal, kind="stable").tolist():
        if shares.sum() < wanted and shares[k] < most[k]:
            shares[k] += 1
    return shares
