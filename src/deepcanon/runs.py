"""What can be done with a run folder: resume it, load its model, evaluate it, draw samples from it.

The folder names a recipe of this library and its arguments; the recipe is called again, and the saved tensors are read.
No code is read from the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon import recipes
from deepcanon.data.metadata import recorded_metadata, recorded_sources
from deepcanon.engine.callbacks import Evaluate, evaluation_mode
from deepcanon.engine.folder import last_stage, restore_weights
from deepcanon.engine.options import current_options, options
from deepcanon.engine.record import read_call
from deepcanon.engine.run import Run
from deepcanon.engine.samples import Samples, write_samples
from deepcanon.report import write_report


def find_recipe(name: str) -> Any:
    """The recipe of that name; a ValueError suggests the nearest one."""
    try:
        return getattr(recipes, name)
    except AttributeError as error:
        raise ValueError(str(error)) from None


def train(name: str, arguments: dict) -> Run:
    """Call a recipe and write the report of its run."""
    run = find_recipe(name)(**arguments)
    if run.folder:
        write_report([run.folder], run.folder / "report.html")
    return run


def resume(folder: str | Path, anyway: bool = False) -> Run:
    """Continue an interrupted run to its end: the same bits as if it had never stopped.

    Args:
        folder: the run folder.
        anyway: go on although code or data have changed.

    Raises:
        ValueError: no run folder, a damaged checkpoint, other code or other data.
    """
    name, arguments = recorded_call(read_call(Path(folder)))
    with options(folder=Path(folder), resume=True, anyway=anyway):
        return train(name, arguments)


def load(folder: str | Path, weights: str = "weights") -> nn.Module:
    """The trained method of a run folder, in evaluation mode; the data it was trained on need not be there.

    Args:
        folder: the run folder.
        weights: "weights" for the last ones, "best" for the best ones.
    """
    return rebuild(folder, weights).method.eval()


def rebuild(folder: str | Path, weights: str = "weights") -> Run:
    """The run of a folder, with its method and callbacks, as its recipe builds them, and the saved weights."""
    call = read_call(Path(folder))
    name, arguments = recorded_call(call)
    with recorded_metadata(call["data"]), recorded_sources(call["sources"]), options(build_only=True):
        run = find_recipe(name)(**arguments)
    restore_weights(run.method, last_stage(Path(folder)), weights)
    run.method.to(current_options().torch_device())
    run.folder = Path(folder)
    return run


def evaluate_folder(folder: str | Path, weights: str = "weights") -> dict[str, float]:
    """The numbers that the run's recipe evaluates, measured again."""
    run = rebuild(folder, weights)
    evaluation = next((c for c in run.callbacks if isinstance(c, Evaluate)), None)
    if evaluation is None:
        raise ValueError(f"the recipe of {folder} evaluates nothing")
    with evaluation_mode(run.method, evaluation.seed):
        return evaluation.measure(run.method)


def sample_folder(folder: str | Path, n: int = 64, seed: int = 0, out: str | Path | None = None, weights: str = "weights") -> Path:
    """Draw `n` samples as the run's recipe does, into a picture or a text file; the path written."""
    if n < 1:
        raise ValueError(f"expected 1 sample or more, got {n}")
    run = rebuild(folder, weights)
    samples = next((c for c in run.callbacks if isinstance(c, Samples)), None)
    if samples is None:
        raise ValueError(f"{type(run.method).__name__} in {folder} makes no samples")
    with evaluation_mode(run.method, seed):
        made = collect(lambda: samples.make(run.method), n)
    return write_samples(Path(out) if out else Path(folder) / "samples" / f"seed-{seed}", made)


def collect(make: Callable[[], Tensor | str], n: int) -> Tensor | str:
    """Call `make` until there are `n` images or texts."""
    first = make()
    if isinstance(first, str):
        return "\n\n---\n\n".join([first, *(str(make()) for _ in range(n - 1))])
    return torch.cat([first, *(torch.as_tensor(make()) for _ in range((n - 1) // len(first)))])[:n]


def recorded_call(call: dict, data: Any = None) -> tuple[str, dict]:
    """Name and arguments of a recorded call; `data` stands for an object of the user's own, which no record can hold."""
    form = find_recipe(call["recipe"]).form
    unknown = sorted(call["arguments"].keys() - form.defaults.keys())
    if unknown:
        raise ValueError(f"the recipe {call['recipe']} of this version has no argument {unknown[0]!r}")
    return call["recipe"], call["arguments"] | ({form.data: data} if data is not None and form.data else {})
