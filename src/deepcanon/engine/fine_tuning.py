"""Fine-tuning: a run that starts from the weights of another.

Every weight whose name and shape are those of the other run is copied. What reads out classes keeps its new weights when the classes are others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcanon.engine.calls import Call
from deepcanon.engine.checkpoint import read_weights
from deepcanon.engine.folder import evaluated_weights, last_stage, newest_state
from deepcanon.engine.record import read_call


def warm_start(method: nn.Module, folder: Path, call: Call | None) -> str:
    """Copy the weights of a run folder into `method`; one line that says what was copied and what stays new.

    Raises:
        ValueError: the run is of another method, or less than half of the weights fit.
    """
    theirs = read_call(folder)
    if theirs["method"] != type(method).__name__:
        raise ValueError(f"{folder} holds a {theirs['method']}, which this run cannot start from: it trains a {type(method).__name__}")
    saved, own = weights_of(folder), method.state_dict()
    heads = read_outs(method, len(own_classes(call))) if classes_of(theirs["sources"]) != own_classes(call) else set()
    fits = {name: t for name, t in saved.items() if name in own and own[name].shape == t.shape and name not in heads}
    kept, total = sum(t.numel() for t in fits.values()), sum(t.numel() for t in own.values())
    if kept < total / 2:
        other = next((n for n in own if n not in fits), "")
        hint = "give it the same settings" + shapes_differ(theirs["sources"], call)
        raise ValueError(f"only {kept:,} of {total:,} weights of {folder} fit this method (not {other}): {hint}")
    with torch.no_grad():
        method.load_state_dict(own | fits)
    new = sorted(own.keys() - fits.keys())
    return f"starting from {folder}: {kept:,} of {total:,} weights" + (f"; new: {', '.join(new)}" if new else "")


def shapes_differ(sources: list[dict[str, Any]], call: Call | None) -> str:
    """What to do where the other run's images had another size."""
    before, now = (next((tuple(s["shape"]) for s in metadata if s.get("shape")), None)
                   for metadata in (sources, [s.metadata for s in call.sources] if call else []))
    if before == now or before is None or now is None or len(before) != 3:
        return ""
    return f"; its images had {before[1]} x {before[2]} pixels, these have {now[1]} x {now[2]}: --size {before[1]}"


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a run, finished or not."""
    path = last_stage(folder)
    if (path / "weights.safetensors").exists():
        return read_weights(path / "weights.safetensors")
    state = newest_state(path)
    if state is None:
        raise ValueError(f"{folder} has no weights yet")
    return evaluated_weights(state)


def read_outs(method: nn.Module, classes: int) -> set[str]:
    """Names of the weights of the last linear layer with an output for each class."""
    layers = [name for name, m in method.named_modules() if isinstance(m, nn.Linear) and m.out_features == classes]
    return {f"{layers[-1]}.weight", f"{layers[-1]}.bias"} if layers else set()


def own_classes(call: Call | None) -> list[str]:
    """The classes of the data that a call in progress has opened."""
    return classes_of([source.metadata for source in call.sources]) if call else []


def classes_of(sources: list[dict[str, Any]]) -> list[str]:
    """The classes that recorded sources have."""
    return next((source["classes"] for source in sources if source.get("classes")), [])
