"""Few labels and many images: what recipes that learn from both have in common."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepcanon.data.batches import Batches, Content
from deepcanon.engine import Run
from deepcanon.layers.labels import UNLABELLED
from deepcanon.recipes.joint import Joint

Batch = tuple[Tensor, Tensor]


def few_labelled(every: Batches, n: int) -> Batches:
    """The first n examples of each class; they are read when they are first needed."""

    def load() -> Content:
        x, y, peak, metadata = every.load()
        rows, classes = some_of_each(y, n), {k: v for k, v in metadata.items() if k == "classes"}
        return Content(x.index_select(0, rows), y[rows], peak, classes)

    how = {"batch": every.batch, "shuffle": every.shuffle, "seed": every.seed, "augment": every.augment}
    return Batches(f"{every.key}:{n} a class", load, **how)


def some_of_each(y: Tensor, n: int) -> Tensor:
    """The rows of the first n examples of each class."""
    return torch.cat([(y == k).nonzero().flatten()[:n] for k in y.unique()])


def with_unlabelled(few: Batches, every: Batches) -> Joint:
    """Batches of a few examples with their labels, then of all examples without theirs."""
    return Joint(partly_labelled, few, every)


def partly_labelled(few: Batch, every: Batch) -> Batch:
    """Examples with labels, then examples whose labels are withheld."""
    return torch.cat([few[0], every[0]]), torch.cat([few[1], torch.full_like(every[1], UNLABELLED)])


def beyond(supervised: Run, test: Any) -> Callable[[Any], dict[str, float]]:
    """An evaluation: the accuracy beyond that of the supervised run, if it was trained in this process."""

    @torch.no_grad()
    def measure(method: Any) -> dict[str, float]:
        if not supervised.results:
            return {}
        batches = test.to(next(method.parameters()).device)
        right = torch.cat([method.metrics(batch)["accuracy"] for batch in batches])
        alone = supervised.results["accuracy"]
        return {"supervised_accuracy": alone, "accuracy_gain": right.mean().item() - alone}

    return measure
