"""What can be done with a run folder: resume it, load its method, evaluate it, draw samples from it.

The folder names a recipe of this library and its arguments; the recipe is called again, and the saved tensors are read.
No code is read from the folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon import recipes
from deepcanon.data.metadata import recorded_metadata, recorded_sources
from deepcanon.data.source import known_names, reading
from deepcanon.engine.callbacks import Evaluate, evaluation_mode
from deepcanon.engine.checkpoint import load_weights
from deepcanon.engine.folder import last_stage, restore_weights
from deepcanon.engine.parallel import is_first, lost_ranks_named, wait_for_all
from deepcanon.engine.record import read_call
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import current_options, options
from deepcanon.engine.samples import Samples, write_samples
from deepcanon.report import write_report


def find_recipe(name: str) -> Any:
    """The recipe of that name; a ValueError suggests the nearest one."""
    try:
        return getattr(recipes, name)
    except AttributeError as error:
        raise ValueError(str(error)) from None


@lost_ranks_named()
def train(name: str, arguments: dict[str, Any], budget: str = "") -> Run:
    """Call a recipe and write the report of its run; of several ranks the first writes it."""
    run = find_recipe(name)(**arguments, budget=budget)
    if run.folder and is_first():
        write_report([run.folder], run.folder / "report.html")
    wait_for_all()
    return run


def resume(folder: str | Path, anyway: bool = False, data: Any = None) -> Run:
    """Continue an interrupted run to its end: the same bits as if it had never stopped.

    Args:
        folder: the run folder.
        anyway: go on although code or data have changed.
        data: the data, where the run was given an object and not a name or a path.

    Raises:
        ValueError: no run folder, a damaged checkpoint, other code or other data.
    """
    folder = whole_run(Path(folder))
    call = read_call(folder)
    name, arguments = recorded_call(call, data)
    missing = [k for k, v in arguments.items() if isinstance(v, str) and v.startswith("<") and v.endswith(">")]
    if missing:
        raise ValueError(f"{folder} was given {arguments[missing[0]]} as {missing[0]}, which no file holds: "
                         f"deepcanon.resume({str(folder)!r}, data=...)")
    with (options(folder=Path(folder), resume=True, anyway=anyway, **recorded_options(call)), reading(**call.get("reading", {})),
          data_of(folder, call)):
        return train(name, arguments)


def recorded_options(call: dict) -> dict[str, Any]:
    """The options of a recorded call that decide how its run goes on, where they are not given anew."""
    recorded, given = call.get("options", {}), current_options()
    start = recorded.get("start_from")
    return {"minutes": given.minutes or recorded.get("minutes"), "start_from": Path(start) if start else None,
            "track": given.track or tuple(recorded.get("track", ()))}


def whole_run(folder: Path) -> Path:
    """The folder of a run, for one of its later stages the folder that it lies in."""
    staged = folder.name.startswith("stage") and (folder.parent / "call.json").exists()
    return folder.parent if staged and read_call(folder.parent)["recipe"] == read_call(folder)["recipe"] else folder


def load(folder: str | Path, method: nn.Module | None = None, *, weights: str = "weights") -> nn.Module:
    """The trained method of a run folder, in evaluation mode; the data it was trained on need not be there.

    Args:
        folder: the run folder.
        method: for a method of your own, one as it was built for the run: its weights are read.
        weights: "weights" for the last ones, "best" for the best ones.

    Raises:
        ValueError: no run folder, weights that do not fit, or a method of your own that was not given.
    """
    if method is None:
        return rebuild(folder, weights).method.eval()
    load_weights(method, last_stage(Path(folder)) / f"{weights}.safetensors")
    return method.eval()


def rebuild(folder: str | Path, weights: str = "weights") -> Run:
    """The run of a folder, with its method and callbacks, as its recipe builds them, and the saved weights."""
    call = read_call(Path(folder))
    if not call["arguments"] and call["recipe"] == call["method"]:
        raise ValueError(f"{folder} holds a {call['method']} that no recipe has built: deepcanon.load(folder, method) reads its weights into yours")
    name, arguments = recorded_call(call)
    with recorded_metadata(call["data"]), recorded_sources(call["sources"]), reading(**call.get("reading", {})), options(build_only=True):
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
    with evaluation_mode(run.method, evaluation.seed), reading_of(folder), data_of(folder, read_call(Path(folder))):
        return evaluation.measure(run.method)


def sample_folder(folder: str | Path, n: int | None = None, seed: int = 0, out: str | Path | None = None, weights: str = "weights") -> Path:
    """Draw `n` samples (None: 64 pictures or one text) as the run's recipe does, into a picture or a text file; the path written."""
    if n is not None and n < 1:
        raise ValueError(f"expected 1 sample or more, got {n}")
    run = rebuild(folder, weights)
    samples = next((c for c in run.callbacks if isinstance(c, Samples)), None)
    if samples is None:
        raise ValueError(f"{type(run.method).__name__} in {folder} makes no samples")
    with evaluation_mode(run.method, seed):
        made = collect(lambda: samples.make(run.method), n)
    return write_samples(Path(out) if out else Path(folder) / "samples" / f"seed-{seed}", made)


def continue_text(folder: str | Path, prompt: str, length: int = 500, seed: int = 0, weights: str = "weights") -> str:
    """What a language model makes of a prompt: the prompt and `length` tokens more.

    Raises:
        ValueError: the run holds no language model, an empty prompt, or a prompt with characters that the model does not know.
    """
    method: Any = rebuild(folder, weights).method
    if not hasattr(method, "tokenizer"):
        raise ValueError(f"{folder} holds a {type(method).__name__}, which continues no text: leave --prompt out")
    if length < 0:
        raise ValueError(f"expected a length of 0 tokens or more, got {length}")
    if not prompt:
        raise ValueError("the prompt is empty: give a character or more to go on from")
    with evaluation_mode(method, seed):
        return method.sample(prompt, length, temperature=0.8)[0]


def collect(make: Callable[[], Tensor | str], n: int | None) -> Tensor | str:
    """Call `make` until there are `n` images or texts; once for None."""
    first = make()
    if isinstance(first, str):
        return "\n\n---\n\n".join([first, *(str(make()) for _ in range((n or 1) - 1))])
    return torch.cat([first, *(torch.as_tensor(make()) for _ in range(((n or 1) - 1) // len(first)))])[:n]


def recorded_call(call: dict, data: Any = None) -> tuple[str, dict]:
    """Name and arguments of a recorded call; `data` stands for an object of the user's own, which no record can hold."""
    form = find_recipe(call["recipe"]).form
    unknown = sorted(call["arguments"].keys() - form.defaults.keys())
    if unknown:
        raise ValueError(f"the recipe {call['recipe']} of this version has no argument {unknown[0]!r}")
    return call["recipe"], call["arguments"] | ({form.data: data} if data is not None and form.data else {})


@contextlib.contextmanager
def data_of(folder: str | Path, call: dict) -> Iterator[None]:
    """Inside the block, data that cannot be read because they are no longer where they were are named as such."""
    try:
        yield
    except (ValueError, OSError) as error:
        named = [s["name"] for s in call["sources"] if s["kind"] != "env" and s["name"] not in known_names(s["kind"])]
        if gone := next((name for name in named if not name.startswith("<") and not Path(name).exists()), None):
            place = "" if Path(gone).is_absolute() else f" in {Path.cwd()}"
            raise FileNotFoundError(f"{folder} was trained on '{gone}', which is not found{place}: put the data back, "
                                    "or go to the folder where the run was started") from error
        raise


@contextlib.contextmanager
def reading_of(folder: str | Path) -> Iterator[None]:
    """Inside the block, data are read as they were for the run of that folder."""
    with reading(**read_call(Path(folder)).get("reading", {})):
        yield
