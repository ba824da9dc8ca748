"""Weighted k-nearest-neighbour classification of representations (Wu et al. 2018, arXiv 1805.01978).

    p(k | z) ~ sum_{i in N_K(z)} exp(cos(z, z_i) / tau) [y_i = k]

N_K(z) the K training representations with the largest cosine. It measures a frozen representation without training anything.
N training, M test representations of D values, C classes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from deepcanon.layers.checks import of_shape


def knn_predict(z: Float[Tensor, "M D"], train: Float[Tensor, "N D"], y: Int[Tensor, "N"], *, k: int = 20,
                temperature: float = 0.07, num_classes: int | None = None) -> Float[Tensor, "M C"]:
    """Class probabilities; with a large temperature each of the k neighbours has one vote.

    Raises:
        ValueError: other widths, fewer neighbours than one or than there are, or a temperature that is not above 0.
    """
    of_shape("training representations", train, (len(y), z.shape[1]))
    if not 1 <= k <= len(train) or not temperature > 0:
        raise ValueError(f"expected k in 1 ... {len(train)} and a temperature above 0, "
                         f"got {k} and {temperature}")
    classes = int(y.max()) + 1 if num_classes is None else num_classes
    cosine, index = (F.normalize(z, dim=1) @ F.normalize(train, dim=1).T).topk(k, dim=1)          # (M, K)
    votes = torch.zeros(len(z), classes, dtype=z.dtype, device=z.device)
    votes.scatter_add_(1, y[index], (cosine / temperature).softmax(1))
    return votes


def knn_accuracy(z: Float[Tensor, "M D"], labels: Int[Tensor, "M"], train: Float[Tensor, "N D"],
                 y: Int[Tensor, "N"], **options) -> float:
    """How often the neighbours name the right class; options as `knn_predict`.

    Raises:
        ValueError: as `knn_predict`.
    """
    return float((knn_predict(z, train, y, **options).argmax(1) == labels).double().mean())
