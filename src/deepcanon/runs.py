"""What can be done with a run folder: resume it, load its model, evaluate it, draw samples from it.

The folder names a recipe of this library and its arguments; the recipe is called again, and the saved tensors are read.
No code is read from the folder.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from deepcanon import recipes
from deepcanon.data.metadata import recorded_metadata
from deepcanon.engine.callbacks import Evaluate, Samples, evaluation_mode, write_samples
from deepcanon.engine.run import Run, current_options, last_stage, options, read_call, restore_weights
from deepcanon.report import write_report


def find_recipe(name: str) -> Callable[..., Run]:
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
    with recorded_metadata(call["data"]), options(build_only=True):
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


def recorded_call(call: dict) -> tuple[str, dict]:
    """Name and arguments of a recorded call, with the arguments in the types that the recipe's signature asks for."""
    hints = typing.get_type_hints(find_recipe(call["recipe"]))
    unknown = sorted(call["arguments"].keys() - hints.keys())
    if unknown:
        raise ValueError(f"the recipe {call['recipe']} of this version has no argument {unknown[0]!r}")
    return call["recipe"], {k: Path(v) if hints[k] is Path else v for k, v in call["arguments"].items()}
