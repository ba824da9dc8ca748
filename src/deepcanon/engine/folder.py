"""Run folders.

    runs/<recipe>/<stamp>/    call.json          the call, versions, commit, hardware, data
                              metrics.csv        training and evaluation, a row every few steps
                              state/             checkpoints for resume
                              weights.safetensors, best.safetensors, samples/, evaluation/, result.json, card.md, report.html
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import nn

from deepcanon.engine import parallel
from deepcanon.engine.calls import Call, current_call
from deepcanon.engine.checkpoint import load_weights, read_state, write_bytes, write_json, write_rows, write_state, write_weights
from deepcanon.engine.parallel import from_first
from deepcanon.engine.record import card, check_same, describe, read_call
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import current_options

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


class RunFolder:
    """The folder of a run in progress; rank 0 writes what the ranks share, every rank its own random streams, buffers and data state."""

    def __init__(self, path: Path, call: dict, rank: int):
        self.path, self.call, self.rank = path, call, rank
        self.root = path                                # of a run of several stages, the folder of the first
        self.saved, self.every = time.perf_counter(), current_options().save_seconds
        self.finished = False

    @classmethod
    def open(cls, method: nn.Module, data: Any, seed: int, rank: int, folder: str | Path | None = None) -> RunFolder | None:
        """The folder given or named by the options, or a new one below runs/ for a recipe; None when there is neither."""
        path, chosen = place(current_call(), folder), current_options()
        if path is None:
            return None
        call = describe(current_call(), method, data, seed)
        begun = (path / "call.json").exists()
        if begun and chosen.resume:
            check_same(read_call(path), call, path, chosen.anyway)
        elif begun and rank == 0:
            raise ValueError(f"{path} holds a run already: continue it with 'deepcanon resume {path}' or name another folder")
        elif rank == 0:
            check_free(path)
            write_json(path / "call.json", call)
        opened = cls(path, call, rank)
        opened.root = getattr(current_call(), "folder", None) or path
        return opened

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.perf_counter() - self.saved > self.every

    def save(self, trainer: Trainer) -> None:
        """A checkpoint; the one before it stays until this one is complete."""
        trainer.log.check()
        shared = trainer.state_dict()
        broken = [name for name, p in trainer.method.named_parameters() if not parallel.whole(p.detach().isfinite().all())]
        if broken:
            raise FloatingPointError(f"{broken[0]} is not finite after step {trainer.step}; try clip_norm=1; the checkpoint before is untouched")
        state = self.path / "state"
        write_state(state / f"{trainer.step:09d}.rank{self.rank}", local_state(trainer))
        if trainer.sharded:
            from deepcanon.engine.sharded import write_parts

            shared = write_parts(state / f"{trainer.step:09d}.parts", shared)
        if trainer.world > 1:
            torch.distributed.barrier()
        if self.rank == 0:                                             # written last: a step with this file is complete
            write_state(state / f"{trainer.step:09d}.all", shared)
            kept = {file.stem for file in sorted(state.glob("*.all"))[-2:]}
            for file in state.iterdir():                               # older ones, and what a killed process left
                if file.stem not in kept:
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.saved = time.perf_counter()

    def restore(self, trainer: Trainer) -> None:
        """The newest checkpoint, if this is a resume and there is one."""
        found = sorted((self.path / "state").glob("*.all")) if current_options().resume else []
        if not found:
            return
        ranks = len(list(found[-1].parent.glob(f"{found[-1].stem}.rank*")))
        if ranks != trainer.world:
            raise ValueError(f"{self.path} was run by {ranks} processes and cannot be resumed by {trainer.world}")
        trainer.load_state_dict(read_checkpoint(found[-1], trainer))
        load_local_state(trainer, read_state(found[-1].with_suffix(f".rank{self.rank}")))
        if (self.path / "result.json").exists():
            self.finished, trainer.total = True, trainer.step

    def finish(self, run: Run, trainer: Trainer) -> None:
        """Weights, numbers and the model card of a run that is over."""
        weights = trainer.weights()
        if self.rank > 0:
            return
        write_weights(self.path / "weights.safetensors", weights)
        write_result(self.path, self.call, run, trainer.stop or None)


def read_checkpoint(file: Path, trainer: Trainer | None = None) -> dict:
    """The state that all ranks share; the tensors of one that was written in parts are divided as the trainer's nets are."""
    state, parts = read_state(file), file.with_suffix(".parts")
    if not parts.exists():
        return state
    from deepcanon.engine.sharded import read_parts

    return read_parts(parts, state, trainer)


def check_free(path: Path) -> None:
    """Refuse to write a run among other people's files.

    Raises:
        ValueError: the path, or one above it, is a file, or the folder holds files that are of no run.
    """
    if file := next((p for p in (path, *path.parents) if p.is_file()), None):
        raise ValueError(f"{file} is a file, a run needs a folder: name another one")
    if path.exists() and (other := next((p for p in sorted(path.iterdir()) if not p.name.startswith(".")), None)):
        raise ValueError(f"{path} is not empty and holds no run (it has {other.name}): name another folder")


def place(call: Call | None, folder: str | Path | None) -> Path | None:
    """Where the next `fit` is kept: of a recipe, its folder, then stage2, stage3 inside; else the folder given or named by the options."""
    chosen = folder or current_options().folder
    if call is None:
        return Path(chosen) if chosen else None
    call.stages += 1
    call.folder = call.folder or (Path(chosen) if chosen else new_folder(call.resolved.recipe))
    return call.folder if call.stages == 1 else call.folder / f"stage{call.stages}"


def new_folder(name: str) -> Path:
    """runs/<name>/<stamp>, with a stamp that is not in use; the ranks of one run agree on it."""
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


def last_stage(path: Path) -> Path:
    """The folder of the last `fit` of a run: its own, or the last of its stages, whose method is the one that the recipe returns."""
    return max(Path(path).glob("stage*"), key=lambda p: int(p.name.removeprefix("stage")), default=Path(path))


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
    method.load_state_dict(read_checkpoint(states[-1])["method"])


def save_run(run: Run, folder: Path) -> Path:
    """Weights, history and numbers of a run that was made without a folder."""
    if (folder / "call.json").exists():
        raise ValueError(f"{folder} holds a run already: name another folder")
    check_free(folder)
    call = describe(None, run.method, None, seed=0)
    write_json(folder / "call.json", call)
    write_rows(folder / "metrics.csv", run.history)
    write_weights(folder / "weights.safetensors", run.method.state_dict())
    write_result(folder, call, run, stopped=None)
    return folder


def write_result(folder: Path, call: dict, run: Run, stopped: str | None) -> None:
    """result.json and the model card; a run has ended when they are there."""
    result = {"results": run.results, "steps": run.steps, "seconds": round(run.seconds, 3), "stopped": stopped}
    write_bytes(folder / "card.md", card(call, result).encode())
    write_json(folder / "result.json", result)
