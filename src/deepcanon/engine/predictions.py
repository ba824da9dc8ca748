"""What a classifier says of held-out examples, kept for its report.

Files, in the run folder:
    evaluation/predictions.json   classes: their names; y, predicted: class numbers; probability: of the predicted
                                  class; mistakes: examples, the surest mistake first, three alike at most
    evaluation/mistakes.png       these examples, when they are images
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepcanon.engine.batches import device_of, to
from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.engine.samples import write_samples

WORST, ALIKE = 24, 3  # mistakes that are shown, and of one kind at most


def write_predictions(folder: Path, method: Any, data: Any, classes: Sequence[str]) -> Path:
    """Write `evaluation/predictions.json`, and `evaluation/mistakes.png` when there are mistaken images.

    Args:
        folder: the run folder.
        method: has `predict(x)`, which returns logits or probabilities (B, K).
        data: batches (x, y), in order; y integer labels.
        classes: the K names.

    Returns:
        the path of predictions.json.

    Raises:
        ValueError: no examples, or predictions of another shape than (B, K).
    """
    device = device_of(method)
    labels, chosen, sure = [], [], []
    worst: dict[tuple[int, int], list[tuple[float, int, Tensor]]] = {}
    with evaluation_mode(method):
        for batch in data.to(device) if hasattr(data, "to") else data:
            x, y, *_ = to(batch, device)
            p = probabilities(method.predict(x), len(x), len(classes))
            probability, predicted = (column.cpu() for column in p.max(1))
            wrong = (predicted != y.cpu()).nonzero()[:, 0].tolist()
            start = sum(map(len, labels))
            for i in wrong:
                alike = worst.setdefault((int(y[i]), int(predicted[i])), [])
                alike.append((probability[i].item(), start + i, x[i].cpu()))
                alike.sort(key=surest)
                del alike[ALIKE:]
            labels.append(y.cpu())
            chosen.append(predicted)
            sure.append(probability)
    if not labels:
        raise ValueError("there are no examples to predict")
    evaluation = Path(folder) / "evaluation"
    shown = sorted((mistake for alike in worst.values() for mistake in alike), key=surest)[:WORST]
    images = [x for _, _, x in shown]
    if images and images[0].ndim == 3 and images[0].shape[0] in (1, 3):
        write_samples(evaluation / "mistakes", torch.stack(images))
    record = {
        "classes": list(classes),
        "y": torch.cat(labels).tolist(),
        "predicted": torch.cat(chosen).tolist(),
        "probability": [round(v, 4) for v in torch.cat(sure).tolist()],
        "mistakes": [index for _, index, _ in shown],
    }
    write_bytes(evaluation / "predictions.json", json.dumps(record).encode())
    return evaluation / "predictions.json"


def surest(mistake: tuple[float, int, Tensor]) -> tuple[float, int]:
    """Orders mistakes: the highest probability first, then the first example."""
    return -mistake[0], mistake[1]


def probabilities(predicted: Any, batch: int, classes: int) -> Tensor:
    """(B, K) probabilities of logits; rows that are positive and sum to 1 are probabilities already."""
    if not isinstance(predicted, Tensor) or predicted.shape != (batch, classes):
        shape = tuple(predicted.shape) if isinstance(predicted, Tensor) else type(predicted).__name__
        raise ValueError(
            f"expected predictions of shape ({batch}, {classes}), one column a class, got {shape}"
        )
    p = predicted.float()
    if bool((p >= 0).all()) and bool(((p.sum(1) - 1).abs() < 1e-2).all()):
        return p
    return p.softmax(1)
