"""Options of a run that no recipe has to know: where it lies, on which device, how long, from which weights it starts."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

import torch


@dataclass(frozen=True)
class Options:
    """How and where runs happen; set with `options(...)`.

    Args:
        folder: the run folder; None makes one below runs/ for a recipe.
        device: "cpu", "cuda" or None for an accelerator where there is one.
        quiet: no progress bar and no messages.
        minutes: a budget in place of the recipe's own.
        save_seconds: time between two checkpoints.
        resume, anyway: continue the run of the folder; even if code or data have changed.
        build_only: build the method and train nothing.
        start_from: a run folder whose weights this run starts from.
        track: names of trackers that get every row of metrics.csv.
        alone: train on this process by itself, also where there are several ranks.
    """

    folder: Path | None = None
    device: str | None = None
    quiet: bool = False
    minutes: float | None = None
    save_seconds: float = 30.0
    resume: bool = False
    anyway: bool = False
    build_only: bool = False
    start_from: Path | None = None
    track: tuple[str, ...] = ()
    alone: bool = False

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


_options: ContextVar[Options] = ContextVar("options", default=Options())  # noqa: B039 (frozen)


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


def starts_from() -> bool:
    """Whether the run at hand starts from the weights of another: a recipe may then take a lower rate."""
    return current_options().start_from is not None
