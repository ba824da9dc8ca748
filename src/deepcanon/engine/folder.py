"""Run folders.

    runs/<recipe>/<stamp>/    call.json          the call, versions, commit, hardware, data
                              metrics.csv        training and evaluation, a row every few steps
                              state/             checkpoints for resume
                              lock               while a process writes the folder
                              weights.safetensors, best.safetensors, samples/, evaluation/, result.json, card.md, report.html
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from deepcanon.commands import resume_line
from deepcanon.engine import lock
from deepcanon.engine.calls import Call, current_call
from deepcanon.engine.checkpoint import (
    fitting,
    leftovers,
    load_weights,
    read_state,
    write_bytes,
    write_json,
    write_rows,
    write_state,
    write_weights,
)
from deepcanon.engine.lock import Lock
from deepcanon.engine.parallel import common, from_first, is_first, wait_for_all, whole
from deepcanon.engine.record import bound, card, check_same, describe, differences, read_call
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import current_options
from deepcanon.engine.seeds import load_streams, streams

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


class RunFolder:
    """The folder of a run in progress, which no other process may write meanwhile.

    Rank 0 writes what the ranks share, every rank its own random streams, buffers and data state.
    """

    def __init__(self, path: Path, call: dict, rank: int, held: Lock | None = None):
        self.path, self.call, self.rank, self.lock = path, call, rank, held
        self.root = path                                # of a run of several stages, the folder of the first
        self.saved, self.every = time.perf_counter(), current_options().save_seconds
        self.finished = False

    @classmethod
    def open(cls, method: nn.Module, data: Any, seed: int, rank: int, folder: str | Path | None = None,
             settings: dict[str, Any] | None = None, code: Sequence[Any] = ()) -> RunFolder | None:
        """The folder given or named by the options, or a new one below runs/ for a recipe; None when there is neither.

        Args:
            settings: of `fit`, by which the weights would be others; they are recorded, and a resume must have the same.
            code: what the run is made of, whose source code is recorded in the same way.
        """
        given, call = place(current_call(), folder), current_call()
        if given is None:
            return None
        path, chosen = given.absolute(), current_options()
        now = describe(call, method, data, seed, settings, code)
        begun = (path / "call.json").exists()
        if begun and not chosen.resume and rank == 0:
            raise ValueError(f"{given} holds a run already: name another folder, or continue it with: "
                             f"{resume_line(given)}")
        if not begun and rank == 0:
            check_free(path)
            path.mkdir(parents=True, exist_ok=True)
        opened = cls(path, now, rank, take_lock(path, call) if rank == 0 else None)
        opened.root = (getattr(call, "folder", None) or path).absolute()
        try:
            opened.begin(begun, given)
        except BaseException:
            opened.close()
            raise
        return opened

    def begin(self, begun: bool, shown: Path) -> None:
        """Compare this call with the one on record, or record it."""
        if begun:
            before, anyway = read_call(self.path), current_options().anyway and not (self.path / "result.json").exists()
            check_same(before, self.call, shown, current_options().anyway)
            self.call = self.call | {"started": before["started"]} if anyway else before
        if self.rank == 0:
            leftovers(self.path)
            if not begun or anyway:
                write_json(self.path / "call.json", self.call)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in; of a recipe, its last fit does."""
        if self.lock is not None and current_call() is None:
            self.lock.release()

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.perf_counter() - self.saved > self.every

    def save(self, trainer: Trainer) -> None:
        """A checkpoint; the one before it stays until this one is complete."""
        trainer.log.check()
        shared = trainer.state_dict() | {"call": bound(self.call)}
        if (broken := not_finite(shared)) is not None:
            raise FloatingPointError(f"{broken} is not finite after step {trainer.step}; try clip_norm=1; the checkpoint before is untouched")
        self.check_place()
        state = self.path / "state"
        write_state(state / f"{trainer.step:09d}.rank{self.rank}", local_state(trainer) | {"step": trainer.step})
        if trainer.sharded:
            from deepcanon.engine.sharded import write_parts

            shared = write_parts(state / f"{trainer.step:09d}.parts", shared)
        if trainer.world > 1:
            wait_for_all()
        if self.rank == 0:                                             # written last: a step with this file is complete
            write_state(state / f"{trainer.step:09d}.all", shared)
            kept = {file.stem for file in sorted(state.glob("*.all"))[-2:]}
            for file in state.iterdir():                               # older ones, and what a killed process left
                if file.stem not in kept:
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        if trainer.world > 1:
            wait_for_all()                                             # a rank that ends may have the others stopped
        self.saved = time.perf_counter()

    def check_place(self) -> None:
        """Where the folder was removed or renamed while the run goes on, make it again rather than lose the run."""
        if self.rank > 0 or (self.path / "call.json").exists():
            return
        print(f"{self.path} was removed or renamed while the run goes on: it is made again", file=sys.stderr)
        write_json(self.path / "call.json", self.call)
        if self.lock is not None and self.path == self.lock.path.parent:
            self.lock.acquire()

    def restore(self, trainer: Trainer) -> None:
        """The newest checkpoint that can be read, if this is a resume and there is one."""
        if not current_options().resume:
            return
        found = self.newest(trainer)
        if found is None:
            return
        shared, own = found
        differ = differences(shared.get("call", {}), bound(read_call(self.path)))
        told = f"the checkpoint in {self.path} was not made by the call in its call.json: {'; '.join(differ)}"
        if differ and not current_options().anyway:
            raise ValueError(f"{told}; one of them was changed or comes from elsewhere; resume with --anyway to follow call.json")
        if differ and self.rank == 0:
            print(told, file=sys.stderr)
        with fitting(self.path / "state", trainer.method):
            trainer.load_state_dict(shared)
            load_local_state(trainer, own)
        if (self.path / "result.json").exists():
            self.finished, trainer.total = True, trainer.step

    def newest(self, trainer: Trainer) -> tuple[dict, dict] | None:
        """What the ranks share and what is this rank's, of the newest checkpoint that every rank can read; None before the first one.

        Raises:
            ValueError: other ranks than now have made it, or none can be read.
        """
        files = sorted((self.path / "state").glob("*.all"), reverse=True)
        for file in files:
            ranks = len(list(file.parent.glob(f"{file.stem}.rank*")))
            if ranks > 0 and ranks != trainer.world:
                raise ValueError(f"{self.path} was run by {ranks} processes and cannot be resumed by {trainer.world}")
            try:
                found, fault = (shared_state(file, trainer), read_checkpoint(file.with_suffix(f".rank{self.rank}"))), ""
            except (ValueError, OSError) as error:
                found, fault = None, str(error)
            if common(found is not None):
                return found
            if self.rank == 0:
                warnings.warn(f"{fault or f'another rank cannot read its part of {file}'}; going back to the checkpoint before it", stacklevel=2)
        if files:
            raise ValueError(f"no checkpoint in {self.path / 'state'} can be read: remove that folder to begin the run again")
        return None

    def finish(self, run: Run, trainer: Trainer) -> None:
        """Weights, numbers and the model card of a run that is over."""
        weights = trainer.weights()
        if self.rank > 0:
            return
        self.check_place()
        write_weights(self.path / "weights.safetensors", weights)
        write_result(self.path, self.call, run, trainer.stop or None)


def check_free(path: Path) -> None:
    """Refuse to write a run among other people's files.

    Raises:
        ValueError: the path, or one above it, is a file, or the folder holds files that are of no run.
    """
    if file := next((p for p in (path, *path.parents) if p.is_file()), None):
        raise ValueError(f"{file} is a file, a run needs a folder: name another one")
    others = sorted(p for p in path.iterdir() if not p.name.startswith(".") and p.name != lock.NAME) if path.exists() else []
    if other := next(iter(others), None):
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
    """runs/<name>/<stamp>, made for this run alone: with a suffix where another one has that stamp; the ranks of one run agree on it."""
    return Path(from_first(make_folder(Path("runs") / name) if is_first() else ""))


def make_folder(parent: Path) -> Path:
    """A new folder with the time as its name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for i in itertools.count():
        with contextlib.suppress(FileExistsError):
            (path := parent / (f"{stamp}-{i}" if i else stamp)).mkdir(parents=True)
            return path
    raise AssertionError


def take_lock(path: Path, call: Call | None) -> Lock:
    """The lock of a folder; of the folder of the whole recipe, where one is at work, which keeps it until its last fit has ended."""
    if call is None:
        return Lock(path)
    if call.lock is None:
        call.lock = Lock((call.folder or path).absolute())
    return call.lock


def not_finite(state: dict) -> str | None:
    """The first weight, or state of an optimizer, with a value that is not finite."""
    for name, value in state["method"].items():
        if not whole(value.isfinite().all()):
            return name
    for player, optimizer in state["optimizers"].items():
        for slots in optimizer["state"].values():
            for name, value in slots.items():
                if isinstance(value, Tensor) and not whole(value.isfinite().all()):
                    return f"the state of the optimizer ({name}{' of ' + player if player else ''})"
    return None


def shared_state(file: Path, trainer: Trainer | None = None) -> dict:
    """What the ranks share; tensors that were written in parts are divided as the trainer's nets are, without one
    they are whole."""
    state, parts = read_checkpoint(file), file.with_suffix(".parts")
    if not parts.exists():
        return state
    from deepcanon.engine.sharded import read_parts

    return read_parts(parts, state, trainer)


def read_checkpoint(file: Path) -> dict:
    """One file of a checkpoint; a ValueError if it is damaged or of another step than its name says."""
    state = read_state(file)
    if not isinstance(state, dict):
        raise ValueError(f"{file} holds no checkpoint")
    if state.get("step") != int(file.stem):
        raise ValueError(f"{file} holds the state of step {state.get('step')}, not of the step in its name")
    return state


def local_state(trainer: Trainer) -> dict:
    """What differs between ranks: random streams, buffers, data with a state, and how far a pass through the data has come."""
    return {
        "streams": streams(),
        "buffers": {name: b for name, b in trainer.method.named_buffers()},
        "data": trainer.data.state_dict() if hasattr(trainer.data, "state_dict") else {},
        "passes": trainer.passes.state_dict() if trainer.passes is not None else {},
    }


def load_local_state(trainer: Trainer, state: dict) -> None:
    """The inverse of `local_state`."""
    for name, buffer in trainer.method.named_buffers():
        buffer.copy_(state["buffers"][name])
    if hasattr(trainer.data, "load_state_dict"):
        trainer.data.load_state_dict(state["data"])
    if trainer.passes is not None and state["passes"]:
        trainer.passes.load_state_dict(state["passes"])
    load_streams(state["streams"])


def last_stage(path: Path) -> Path:
    """The folder of the last `fit` of a run: its own, or the last of its stages, whose method is the one that the recipe returns."""
    return max(Path(path).glob("stage*"), key=lambda p: int(p.name.removeprefix("stage")), default=Path(path))


def restore_weights(method: nn.Module, path: Path, weights: str = "weights") -> None:
    """The weights of a finished run, or those of its newest checkpoint, averaged if the run averages them."""
    file = Path(path) / f"{weights}.safetensors"
    if file.exists():
        load_weights(method, file)
        return
    state = newest_state(path) if weights == "weights" else None
    if state is None:
        raise ValueError(f"{path} has no {file.name}" + (" and no checkpoint yet" if weights == "weights" else ""))
    print(f"{path} is not finished: using its checkpoint of step {state['step']}", file=sys.stderr)
    with fitting(Path(path) / "state", method):
        method.load_state_dict(evaluated_weights(state))


def newest_state(path: Path) -> dict | None:
    """What the ranks share, of the newest checkpoint that can be read; None when there is none."""
    for file in sorted((Path(path) / "state").glob("*.all"), reverse=True):
        try:
            return shared_state(file)
        except ValueError as error:
            warnings.warn(f"{error}; going back to the checkpoint before it", stacklevel=2)
    return None


def evaluated_weights(state: dict) -> dict[str, Tensor]:
    """The weights of a checkpoint that an evaluation would use: with averages in place of those that are averaged."""
    averages = [callback["average"] for callback in state["callbacks"] if "average" in callback]
    return state["method"] | {name: value for average in averages for name, value in average.items()}


def save_run(run: Run, folder: Path) -> Path:
    """Weights, history and numbers of a run that was made without a folder."""
    if (folder / "call.json").exists():
        raise ValueError(f"{folder} holds a run already: name another folder")
    check_free(folder)
    call = describe(None, run.method, None, seed=0, code=[run.method])
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
