"""Recipes, runs and run folders.

    runs/<recipe>/<stamp>/    call.json          the call, versions, commit, hardware, data
                              metrics.csv        training and evaluation, a row every few steps
                              state/             checkpoints for resume
                              weights.safetensors, best.safetensors, samples/, result.json, card.md, report.html

A recipe is a plain function whose typed keyword arguments are the only knobs; it builds objects by ordinary constructor calls and returns `fit(...)`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import nn

from deepcanon.engine.checkpoint import load_weights, read_json, read_state, write_bytes, write_json, write_state, write_weights
from deepcanon.engine.parallel import from_first

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


@dataclass
class Run:
    """What `fit` gives back: the trained method, its final numbers, and where it all lies."""

    method: nn.Module
    results: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    folder: Path | None = None
    callbacks: Sequence = field(default=(), repr=False)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{k}={v:.4g}" for k, v in self.results.items())
        return f"Run({type(self.method).__name__}, {numbers}, {self.steps} steps in {self.seconds:.1f} s, {self.folder})"


# options of a call, beside the recipe's own arguments


@dataclass(frozen=True)
class Options:
    """How and where runs happen; set with `options(...)`."""

    folder: Path | None = None
    device: str | None = None
    quiet: bool = False
    minutes: float | None = None
    save_seconds: float = 30.0
    resume: bool = False
    anyway: bool = False
    build_only: bool = False

    def torch_device(self) -> torch.device:
        """The device asked for; by default an accelerator where there is one."""
        if self.device in (None, "auto"):
            return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"the device {self.device!r} cannot be used here: {str(error).splitlines()[0]}") from None
        return device


@dataclass
class Call:
    """A recipe at work; its second `fit` gets the folder stage2 inside the first one's, and so on."""

    recipe: str
    arguments: dict
    stages: int = 0
    folder: Path | None = None


_options: ContextVar[Options] = ContextVar("options", default=Options())  # noqa: B039 (frozen)
_call: ContextVar[Call | None] = ContextVar("call", default=None)


def current_options() -> Options:
    """The options in force."""
    return _options.get()


@contextlib.contextmanager
def options(**changes):
    """Run what is inside with these fields of `Options` changed."""
    token = _options.set(replace(_options.get(), **changes))
    try:
        yield
    finally:
        _options.reset(token)


# recipes


@dataclass(frozen=True)
class Bound:
    """A target: at least or at most a value."""

    value: float
    sign: int

    def holds(self, measured: float) -> bool:
        return self.sign * (measured - self.value) >= 0

    def __str__(self) -> str:
        return f"{'>=' if self.sign > 0 else '<='} {self.value:g}"


def at_least(value: float) -> Bound:
    """The measured number must be `value` or more."""
    return Bound(value, +1)


def at_most(value: float) -> Bound:
    """The measured number must be `value` or less."""
    return Bound(value, -1)


@dataclass(frozen=True)
class Recipe:
    """What is claimed of a recipe.

    Args:
        target: name of a result -> bound, over the mean of the seeds.
        seconds: training time allowed on two CPU cores.
        published, source: numbers of the literature, and whose they are.
        paper: of the method. rows: its systems in the catalogue.
    """

    target: dict[str, Bound] = field(default_factory=dict)
    seconds: float | None = None
    published: dict[str, float] = field(default_factory=dict)
    source: str = ""
    paper: str = ""
    rows: Sequence[str] = ()


def recipe(**claims) -> Callable:
    """Make a function a recipe: its call is recorded in the run folder, and its random numbers follow its `seed`."""
    about = Recipe(**claims)

    def decorate(function: Callable[..., Run]) -> Callable[..., Run]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args, **kwargs) -> Run:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            seed_everything(bound.arguments.get("seed", 0))
            token = _call.set(Call(function.__name__, dict(bound.arguments)))
            try:
                return function(**bound.arguments)
            finally:
                _call.reset(token)

        call.recipe = about  # type: ignore[attr-defined]
        return call

    return decorate


def seed_everything(seed: int) -> None:
    """Seed the streams of torch, numpy and random."""
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002 (the global streams are meant)
    random.seed(seed)


# run folders


class RunFolder:
    """The folder of a run in progress; rank 0 writes what the ranks share, every rank its own random streams, buffers and data state."""

    def __init__(self, path: Path, call: dict, rank: int):
        self.path, self.call, self.rank = path, call, rank
        self.saved, self.every = time.perf_counter(), current_options().save_seconds
        self.finished = False

    @classmethod
    def open(cls, method: nn.Module, data: Any, seed: int, rank: int) -> RunFolder | None:
        """The folder that the options name, or a new one below runs/ for a recipe; None when there is neither."""
        chosen, at_work = current_options(), _call.get()
        if chosen.folder is None and at_work is None:
            return None
        at_work = at_work or Call(type(method).__name__, {})
        at_work.stages += 1
        at_work.folder = at_work.folder or (Path(chosen.folder) if chosen.folder else new_folder(at_work.recipe))
        path = at_work.folder if at_work.stages == 1 else at_work.folder / f"stage{at_work.stages}"
        call = describe(at_work.recipe, at_work.arguments, method, data, seed)
        begun = (path / "call.json").exists()
        if begun and chosen.resume:
            check_same(read_call(path), call, path, chosen.anyway)
        elif begun and rank == 0:
            raise ValueError(f"{path} holds a run already: continue it with 'deepcanon resume {path}' or name another folder")
        elif rank == 0:
            write_json(path / "call.json", call)
        return cls(path, call, rank)

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.perf_counter() - self.saved > self.every

    def save(self, trainer: Trainer) -> None:
        """A checkpoint; the one before it stays until this one is complete."""
        trainer.log.check()
        shared = trainer.state_dict()
        broken = [name for name, _ in trainer.method.named_parameters() if not shared["method"][name].isfinite().all()]
        if broken:
            raise FloatingPointError(f"{broken[0]} is not finite after step {trainer.step}; try clip_norm=1; the checkpoint before is untouched")
        state = self.path / "state"
        write_state(state / f"{trainer.step:09d}.rank{self.rank}", local_state(trainer))
        if trainer.world > 1:
            torch.distributed.barrier()
        if self.rank == 0:                                             # written last: a step with this file is complete
            write_state(state / f"{trainer.step:09d}.all", shared)
            kept = {file.stem for file in sorted(state.glob("*.all"))[-2:]}
            for file in state.iterdir():                               # older ones, and what a killed process left
                if file.stem not in kept:
                    file.unlink()
        self.saved = time.perf_counter()

    def restore(self, trainer: Trainer) -> None:
        """The newest checkpoint, if this is a resume and there is one."""
        found = sorted((self.path / "state").glob("*.all")) if current_options().resume else []
        if not found:
            return
        ranks = len(list(found[-1].parent.glob(f"{found[-1].stem}.rank*")))
        if ranks != trainer.world:
            raise ValueError(f"{self.path} was run by {ranks} processes and cannot be resumed by {trainer.world}")
        trainer.load_state_dict(read_state(found[-1]))
        load_local_state(trainer, read_state(found[-1].with_suffix(f".rank{self.rank}")))
        if (self.path / "result.json").exists():
            self.finished, trainer.total = True, trainer.step

    def finish(self, run: Run, trainer: Trainer) -> None:
        """Weights, numbers and the model card of a run that is over."""
        weights = trainer.weights()
        if self.rank > 0:
            return
        write_weights(self.path / "weights.safetensors", weights)
        result = {"results": run.results, "steps": run.steps, "seconds": round(run.seconds, 3), "stopped": trainer.stop or None}
        write_json(self.path / "result.json", result)
        write_bytes(self.path / "card.md", card(self.call, result).encode())


def new_folder(name: str) -> Path:
    """runs/<name>/<stamp>, a stamp nobody has; the ranks of one run agree on it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return from_first(next(p for i in range(10**6) if not (p := Path("runs") / name / (f"{stamp}-{i}" if i else stamp)).exists()))


def local_state(trainer: Trainer) -> dict:
    """What differs between ranks: random streams, buffers, data with a state."""
    kind, keys, *rest = numpy.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(numpy.asarray(keys, "int64")), *rest],
        "random": random.getstate(),
        "buffers": {name: b for name, b in trainer.method.named_buffers()},
        "data": trainer.data.state_dict() if hasattr(trainer.data, "state_dict") else {},
    }


def load_local_state(trainer: Trainer, state: dict) -> None:
    """The inverse of `local_state`."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    numpy.random.set_state((kind, keys.numpy().astype("uint32"), *rest))  # noqa: NPY002
    version, words, gauss = state["random"]
    random.setstate((version, tuple(words), gauss))
    for name, buffer in trainer.method.named_buffers():
        buffer.copy_(state["buffers"][name])
    if hasattr(trainer.data, "load_state_dict"):
        trainer.data.load_state_dict(state["data"])


def describe(name: str, arguments: dict, method: nn.Module, data: Any, seed: int) -> dict:
    """call.json: all that is needed to do the run again, and to tell whether code or data have changed since."""
    return {
        "recipe": name, "arguments": {k: v if isinstance(v, bool | int | float | str | None) else str(v) for k, v in arguments.items()}, "seed": seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "method": type(method).__name__, "about": inspect.getdoc(sys.modules[type(method).__module__]) or "",
        "likelihood": getattr(method, "likelihood_is", None),
        "parameters": sum(p.numel() for p in method.parameters() if p.requires_grad),
        "data": {data.key: data.metadata} if hasattr(data, "metadata") else {},
        "code": code_digest(method), **environment(),
    }


def environment() -> dict:
    """Versions, commit and hardware of this process."""
    from deepcanon import __version__

    chip = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name()
    return {
        "versions": {"deepcanon": __version__, "torch": torch.__version__, "python": platform.python_version()}, "commit": commit(),
        "hardware": f"{chip}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
                    f"{torch.get_num_threads()} threads",
    }


def cpu_name() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from, with a + if it was changed since; None outside a checkout."""
    def git(*words: str) -> str:
        call = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(call, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no", "--", "src") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def code_digest(method: nn.Module) -> str:
    """sha256 of the sources of the method and its nets, and of the engine."""
    modules = {type(m).__module__ for m in method.modules() if not type(m).__module__.startswith("torch.")} | {"deepcanon.engine.loop"}
    files = sorted(f for m in modules if (f := getattr(sys.modules[m], "__file__", None)))
    return hashlib.sha256(b"".join(Path(f).read_bytes() for f in files)).hexdigest()


def read_call(path: Path) -> dict:
    """call.json of a run folder; a ValueError if it is none."""
    if not Path(path).is_dir():
        raise ValueError(f"there is no run folder {path}")
    if not (Path(path) / "call.json").exists():
        raise ValueError(f"{path} is not a run folder: it has no call.json")
    call = read_json(Path(path) / "call.json")
    if not isinstance(call, dict) or not {"recipe", "arguments", "data", "code"} <= call.keys():
        raise ValueError(f"{Path(path) / 'call.json'} is not the record of a run")
    return call


def last_stage(path: Path) -> Path:
    """The folder of the last `fit` of a run: its own, or the last of its stages, whose method is the one that the recipe returns."""
    return max(Path(path).glob("stage*"), key=lambda p: int(p.name.removeprefix("stage")), default=Path(path))


def check_same(before: dict, now: dict, path: Path, anyway: bool) -> None:
    """Refuse to resume with other code or other data, unless told to go on anyway."""
    if anyway:
        return
    if before["data"] != json.loads(json.dumps(now["data"])):
        raise ValueError(f"the data of {path} have changed since it was started; resume with --anyway to continue on the new ones")
    if before["code"] != now["code"]:
        raise ValueError(f"the code of {before['method']} has changed since {path} was started; resume with --anyway to continue with the new code")


def card(call: dict, result: dict) -> str:
    """The model card."""
    flags = "".join(f" --{k.replace('_', '-')} {v}" for k, v in call["arguments"].items())
    numbers = "\n".join(f"| {k} | {v:.6g} |" for k, v in result["results"].items())
    data = "\n".join(f"- {key}: {', '.join(f'{k} {v}' for k, v in metadata.items() if k in ('count', 'shape'))}" for key, metadata in call["data"].items())
    return f"""# {call['method']}: {call['recipe']}

Trained with DeepCanon {call['versions']['deepcanon']} (torch {call['versions']['torch']}, commit {call['commit']}) on {call['hardware']}:

    deepcanon train {call['recipe']}{flags}

| result | value |
| --- | --- |
{numbers}

{result['steps']} steps in {result['seconds']:.1f} s. Data:

{data or '- (made during the run)'}

Use it again:

```python
import deepcanon

method = deepcanon.load("PATH/TO/THIS/FOLDER")
```
"""


def restore_weights(method: nn.Module, path: Path, weights: str = "weights") -> None:
    """The weights of a finished run, or those of its newest checkpoint."""
    file = Path(path) / f"{weights}.safetensors"
    if file.exists():
        load_weights(method, file)
        return
    states = sorted((Path(path) / "state").glob("*.all"))
    if weights != "weights" or not states:
        raise ValueError(f"{path} has no {file.name}" + ("" if states else " and no checkpoint yet"))
    print(f"{path} is not finished: using its checkpoint of step {int(states[-1].stem)}", file=sys.stderr)
    method.load_state_dict(read_state(states[-1])["method"])
