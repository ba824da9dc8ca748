"""Runs of a comparison or a proof as commands: one after the other, several at once, or on a cluster.

    deepcanon train vae --seed 0 --folder cmp/vae-digits-seed0              the command of a run
    srun -n1 deepcanon train vae --seed 0 --folder cmp/vae-digits-seed0     behind the words of a launcher

A run has come back when its folder has a report; the others are trained, or resumed where they have begun.
What a command prints goes to a file beside the run folder, `<folder>.log`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepcanon.commands import operand, reading_words, train_words
from deepcanon.data.source import current_reading
from deepcanon.engine.record import as_json, read_call
from deepcanon.engine.run_options import current_options
from deepcanon.grammar import Resolved

TAIL = 12  # lines that are shown of the output of a command that has failed
PAUSE = 0.05  # seconds between two looks at the running commands


@dataclass(frozen=True)
class Job:
    """One run: what it is called, its call, its seed and its folder."""

    name: str
    call: Resolved
    seed: int
    folder: Path
    minutes: float | None = None

    @property
    def finished(self) -> bool:
        """Whether the run is over and its folder complete."""
        return (self.folder / "report.html").exists()

    @property
    def begun(self) -> bool:
        """Whether its folder holds a run already."""
        return (self.folder / "call.json").exists()

    def words(self, device: str | None = None) -> list[str]:
        """The command that trains it, or goes on where it has stopped."""
        how = ["--quiet"] if device in (None, "auto") else ["--device", device, "--quiet"]
        if self.begun:
            return ["deepcanon", "resume", *operand(self.folder), *how]
        given = {**self.call.given, "seed": self.seed}
        for name, value in given.items():
            if not isinstance(value, bool | int | float | str | Path | None):
                kind = type(value).__name__
                raise ValueError(f"{self.name}: {name} is a {kind}, which no command holds: name a path")
        where = {"minutes": self.minutes, "from": current_options().start_from, "folder": self.folder}
        train = train_words(self.call.recipe, given, self.call.budget, **where)
        return [*train, *reading_words(current_reading()), *how]

    def check(self) -> None:
        """Refuse a folder that holds another run than this one.

        Raises:
            ValueError: another recipe, seed or value.
        """
        if not self.begun:
            return
        found = read_call(self.folder)
        expected: dict[str, Any] = {"recipe": self.call.recipe, "seed": self.seed}
        expected |= {name: as_json(value) for name, value in self.call.arguments.items() if name != "seed"}
        known = {"recipe": found["recipe"], "seed": found.get("seed")} | found["arguments"]
        if other := next((name for name, value in expected.items() if known.get(name, value) != value), None):
            differs = f"its {other} is {known[other]}, expected {expected[other]}"
            raise ValueError(f"{self.folder} holds another run: {differs}; name another folder")


def launcher_words(text: str | None) -> list[str]:
    """The words before each command.

    Raises:
        ValueError: quotes that do not close, or a program that is not there.
    """
    if text is None:
        return []
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the launcher {text!r} is no command: {str(error).lower()}") from None
    if not words:
        raise ValueError("the launcher is empty: expected a command such as 'srun -n1'")
    if shutil.which(words[0]) is None:
        raise ValueError(f"the launcher {words[0]!r} is not found")
    return words


def lines(jobs: Sequence[Job], device: str | None = None) -> list[str]:
    """The commands of the runs that have not come back, each as a line for a shell."""
    return [shlex.join(job.words(device)) for job in jobs if not job.finished]


def launch(
    jobs: Sequence[Job], launcher: Sequence[str] = (), at_once: int = 1, device: str | None = None
) -> list[Job]:
    """Run the commands of the jobs that have not come back, `at_once` at a time.

    Returns:
        the jobs that have failed; each was named with its status and the end of its output, others went on.

    Raises:
        ValueError: less than one at a time, or a folder that holds another run.
    """
    if at_once < 1:
        raise ValueError(f"expected 1 run or more at once, got {at_once}")
    for job in jobs:
        job.check()
    waiting, failed = [job for job in jobs if not job.finished], []
    running: dict[subprocess.Popen, Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[start(job, launcher, device)] = job
            for process in [p for p in running if p.poll() is not None]:
                job = running.pop(process)
                failed += [] if ended(job, process.returncode) else [job]
            time.sleep(PAUSE)
    finally:
        end(list(running))
    return failed


def start(job: Job, launcher: Sequence[str], device: str | None) -> subprocess.Popen:
    """Begin a command, in a session of its own, so that a signal to this process reaches it once."""
    words = job.words(device)
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"{job.name}: {shlex.join([*launcher, *words])}")
    command = [*launcher, sys.executable, "-m", *words]
    with open(log_of(job), "wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def log_of(job: Job) -> Path:
    """The file beside the run folder that has what its command printed."""
    return job.folder.with_name(f"{job.folder.name}.log")


def ended(job: Job, status: int) -> bool:
    """Whether a command has done its run; one that has not is named, with its status and its last lines."""
    if status == 0 and job.finished:
        say(f"{job.name}: done")
        return True
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
    how = how if status else "ended without a finished run"
    tail = log_of(job).read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
    say("\n    ".join([f"{job.name} {how}; {log_of(job)} ends with:", *(tail or ["(nothing was printed)"])]))
    return False


def end(running: Sequence[subprocess.Popen]) -> None:
    """Ask what still runs to save and end, and wait for it; a second interruption kills it."""
    for process in running:
        send(process, signal.SIGTERM)
    try:
        for process in running:
            process.wait()
    except BaseException:
        for process in running:
            send(process, signal.SIGKILL)
        raise


def send(process: subprocess.Popen, number: signal.Signals) -> None:
    """A signal to a command and to what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)
