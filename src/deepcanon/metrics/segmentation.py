"""How well pixels are labelled: counts over a whole set, then ratios (Long et al. 2015, arXiv 1411.4038).

    C_jk = #{pixels: y = j, yhat = k}                       over all images; pixels whose label is ignored are left out
    pixel accuracy = sum_k C_kk / sum_jk C_jk
    IoU_k  = C_kk / (sum_j C_jk + sum_j C_kj - C_kk),       mean IoU over the classes that occur in truth or prediction
    Dice_k = 2 C_kk / (sum_j C_jk + sum_j C_kj),            of two empty masks 1

The mean of the images' own IoUs is another number: there a class of few pixels in one image weighs as much as one
that fills another. K classes; j rows are truths, k columns predictions.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from deepcanon.layers.checks import of_shape

IGNORED = 255


def pixel_confusion(predicted: Int[Tensor, "*S"], truth: Int[Tensor, "*S"], num_classes: int, *,
                    ignored: int = IGNORED) -> Int[Tensor, "K K"]:
    """C of some label maps; add those of all batches.

    Args:
        predicted, truth: labels of any equal shape.
        num_classes: K.
        ignored: the label of pixels that do not count, whatever is predicted there.

    Raises:
        ValueError: other shapes, or a label outside 0 ... K - 1 where pixels count.
    """
    of_shape("predicted labels", predicted, truth.shape)
    counted = truth != ignored
    cells = [labels[counted].long() for labels in (truth, predicted)]
    for name, labels in zip(("true labels", "predicted labels"), cells):
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
            raise ValueError(f"expected {name} in 0..{num_classes - 1} or {ignored} (ignored), "
                             f"got some from {int(labels.min())} to {int(labels.max())}")
    return torch.bincount(cells[0] * num_classes + cells[1], minlength=num_classes**2).view(num_classes, -1)


def pixel_accuracy(confusion: Int[Tensor, "K K"]) -> float:
    """The share of pixels that have their label; 0 of none."""
    return float(confusion.diagonal().sum() / confusion.sum().clamp(min=1))


def class_iou(confusion: Int[Tensor, "K K"]) -> Float[Tensor, "K"]:
    """IoU of each class; nan of one that occurs neither in truth nor in prediction."""
    both = confusion.diagonal().double()
    return both / (confusion.sum(0) + confusion.sum(1) - confusion.diagonal())


def mean_iou(confusion: Int[Tensor, "K K"]) -> float:
    """The mean of the classes' IoU, without those that never occur; 0 where none does."""
    return float(class_iou(confusion).nanmean().nan_to_num(0.0))


def class_dice(confusion: Int[Tensor, "K K"]) -> Float[Tensor, "K"]:
    """Dice of each class, 1 of one that occurs neither in truth nor in prediction."""
    sizes = (confusion.sum(0) + confusion.sum(1)).double()
    return torch.where(sizes > 0, 2 * confusion.diagonal() / sizes.clamp(min=1), 1.0)


def dice(predicted: Bool[Tensor, "*#B H W"], truth: Bool[Tensor, "*#B H W"]) -> Float[Tensor, "*B"]:
    """2 |A and B| / (|A| + |B|) of each pair of masks, 1 where both are empty.

    Raises:
        ValueError: masks of different shapes.
    """
    of_shape("masks", predicted, truth.shape)
    both, sizes = area(predicted & truth), area(predicted) + area(truth)
    return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), 1.0)


def area(mask: Shaped[Tensor, "*B H W"]) -> Float[Tensor, "*B"]:
    """How many pixels are set."""
    return mask.flatten(-2).sum(-1).float()
