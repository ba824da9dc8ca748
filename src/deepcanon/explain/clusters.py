"""Clusters of an embedding: DBSCAN (Ester et al. 1996) and HDBSCAN (Campello, Moulavi & Sander 2013), by
scikit-learn.

    DBSCAN     a point is a core if `least` points, itself among them, are within the radius; cores within the radius
               of each other are one cluster, with the points around them
    HDBSCAN    all radii at once: of the tree of such clusters those that last longest, whatever their density

Unlike k-means both find clusters of any shape and their number, and leave points out as noise.
N points, D dimensions.
"""

import torch
from jaxtyping import Float, Int
from sklearn.cluster import DBSCAN, HDBSCAN
from torch import Tensor

from deepcanon.layers.checks import finite

NOISE = -1


def density_clusters(
    x: Float[Tensor, "N D"], *, least: int = 5, radius: float | None = None
) -> Int[Tensor, "N"]:
    """The cluster of every point, numbered from 0; -1 is noise.

    Args:
        least: points around a core, itself counted; for HDBSCAN also the fewest of a cluster.
        radius: of DBSCAN; None: HDBSCAN, which needs none.

    Raises:
        ValueError: no points (N, D), values that are not finite, `least` that is below 2 or above N, a
            radius that is not above 0.
    """
    if x.ndim != 2 or not x.numel():
        raise ValueError(f"expected points (N, D), got {tuple(x.shape)}")
    if not 2 <= least <= len(x) or (radius is not None and not radius > 0):
        raise ValueError(f"expected least in 2..{len(x)} and a radius above 0, got {least} and {radius}")
    points = finite(x).detach().cpu().double().numpy()
    by_density = {"copy": True, "min_cluster_size": least}  # scikit-learn asks for the first
    found = HDBSCAN(**by_density) if radius is None else DBSCAN(eps=radius, min_samples=least)
    return torch.from_numpy(found.fit_predict(points)).long()
