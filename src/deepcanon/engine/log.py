"""What a run says while it trains: one bar on a terminal or in a notebook, one row of metrics.csv every few steps, and
an alarm at the first loss that is not finite.

Losses stay on the device as they come and are read together every `every` steps, so that logging costs the loop almost nothing.
"""

import contextlib
import csv
import io
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepcanon.engine.checkpoint import write_rows
from deepcanon.engine.parallel import mean_of_ranks


class Log:
    """The record of a run.

    Args:
        folder: where metrics.csv is kept; None keeps the history in memory only.
        every: steps between two rows.
        quiet: no bar and no messages.
    """

    def __init__(self, folder: Path | None = None, every: int = 50, quiet: bool = False):
        self.file, self.every, self.quiet = folder / "metrics.csv" if folder else None, every, quiet
        self.history: list[dict[str, float]] = []
        self.columns: list[str] = []                                   # of metrics.csv, empty until this session has written it
        self.last = 0                                                  # where its last row begins
        self.pending: dict[str, list[tuple[int, Tensor | float]]] = {}
        self.evaluation: dict[str, float] = {}                         # the latest
        self.before, self.started = 0.0, None                          # seconds of earlier sessions, start of this one
        self.shared = False                                            # whether the ranks of a run each note their part
        self.bar: Any = None
        self.output: NotebookOutput | None = None
        self.drawn = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all sessions of the run."""
        return self.before + (time.perf_counter() - self.started if self.started is not None else 0.0)

    def add(self, name: str, value: Tensor, step: int) -> None:
        """Note one value of this step."""
        self.pending.setdefault(name, []).append((step, value.detach()))

    def add_terms(self, player: str, terms: dict[str, Tensor], step: int) -> None:
        """Note the entries of a loss dict: the loss under the player's name, the others beside it. Of several ranks, each notes its share."""
        for name, value in terms.items():
            self.add((player or "loss") if name == "loss" else f"{player}/{name}" if player else name, value, step)

    def step(self, step: int) -> None:
        """Called after every step: a row when it is due, the bar a few times a second."""
        if step % self.every == 0:
            self.row(step)
        if self.bar is not None and (now := time.perf_counter()) - self.drawn > 0.25:
            self.drawn = now
            self._draw(step)

    def row(self, step: int, evaluation: dict[str, float] | None = None) -> None:
        """Write the mean of what was noted since the last row, and an evaluation if there is one."""
        means = self._means()
        self.pending = {}
        if evaluation:
            self.evaluation = evaluation
            means |= {f"eval/{name}": value for name, value in evaluation.items()}
        if not means:
            return
        if self.history and self.history[-1]["step"] == step:
            self.history[-1] |= means
            self._write(self.history[-1], again=True)
        else:
            self.history.append({"step": step, "seconds": round(self.seconds, 3)} | means)
            self._write(self.history[-1])

    def check(self) -> None:
        """Raise FloatingPointError if a loss noted since the last row is not finite."""
        self._means()

    def results(self) -> dict[str, float]:
        """The last value of every training column, overlaid by the last evaluation."""
        last: dict[str, float] = {}
        for row in self.history[-20:]:
            last |= {k: v for k, v in row.items() if not k.startswith("eval/") and k not in ("step", "seconds")}
        return last | self.evaluation

    def _means(self) -> dict[str, float]:
        means = {}
        for name, values in self.pending.items():
            numbers = torch.stack([torch.as_tensor(v, dtype=torch.float64) for _, v in values]).cpu()
            if self.shared:
                numbers = mean_of_ranks(numbers)
                self.pending[name] = [(step, number) for (step, _), number in zip(values, numbers)]
            finite = numbers.isfinite()
            if not finite.all():
                self._alarm(name, [step for step, _ in values], numbers, int((~finite).nonzero()[0]))
            means[name] = numbers.mean().item()
        return means

    def _alarm(self, name: str, steps: list[int], numbers: Tensor, index: int) -> None:
        good = [f"{v:.4g}" for v in numbers[:index][-3:].tolist()]
        if not good and self.history:
            good = [f"{self.history[-1].get(name, math.nan):.4g}"]
        player = "the loss" if name == "loss" else f"the loss of {name!r}"
        raise FloatingPointError(
            f"{player} became {numbers[index].item()} at step {steps[index] + 1} (last finite values: {', '.join(good) or 'none'}); "
            "try a lower learning rate, clip_norm=1, or a warm-up; the last checkpoint is untouched")

    # metrics.csv

    def _write(self, row: dict[str, float], again: bool = False) -> None:
        """Append a row, in place of the last one when that is written again; a new column, or a new session, writes the whole file."""
        if self.file is None:
            return
        if any(name not in self.columns for name in row) or not self.file.exists():
            self._rewrite()
            return
        try:
            with open(self.file, "r+b") as file:
                self.last = file.seek(self.last if again else 0, io.SEEK_SET if again else io.SEEK_END)
                file.truncate()
                file.write(self._line(row))
        except OSError as error:
            raise OSError(error.errno, f"could not write {self.file} ({error.strerror})") from None

    def _rewrite(self) -> None:
        """Write the whole history."""
        if self.file is not None:
            self.columns = write_rows(self.file, self.history)
            self.last = self.file.stat().st_size - (len(self._line(self.history[-1])) if self.history else 0)

    def _line(self, row: dict[str, float]) -> bytes:
        """A row as CSV."""
        text = io.StringIO(newline="")
        csv.DictWriter(text, self.columns).writerow(row)
        return text.getvalue().encode()

    def state_dict(self) -> dict:
        return {
            "seconds": self.seconds, "history": self.history, "evaluation": self.evaluation,
            "pending": {name: [[step, float(v)] for step, v in values] for name, values in self.pending.items()},
        }

    def load_state_dict(self, state: dict) -> None:
        self.before, self.history, self.evaluation = state["seconds"], state["history"], state["evaluation"]
        self.pending = {name: [(step, v) for step, v in values] for name, values in state["pending"].items()}
        self._rewrite()

    # the terminal

    @contextlib.contextmanager
    def open(self, trainer):
        """The clock runs and the bar is shown inside."""
        self.started = time.perf_counter()
        with self._make_bar(trainer):
            try:
                yield
                if not trainer.stop.startswith("SIG"):                 # an interrupted run resumes in the middle of a row
                    self.row(trainer.step)
            finally:
                if self.bar is not None:
                    self._draw(trainer.step)
                self.before, self.started = self.seconds, None
                self.bar = self.output = None

    def _make_bar(self, trainer):
        notebook = in_notebook()
        if self.quiet or not (notebook or sys.stderr.isatty()):
            return contextlib.nullcontext()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                            TextColumn("{task.fields[shown]}", markup=False),
                            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=Console(stderr=True), auto_refresh=False)
        self.task = self.bar.add_task(type(trainer.method).__name__, total=trainer.total, completed=trainer.step, shown="", rate="")
        self.first = trainer.step
        if not notebook:
            return self.bar
        self.output = NotebookOutput(self.bar)
        return contextlib.nullcontext()

    def _draw(self, step: int) -> None:
        rate = (step - self.first) / max(self.seconds - self.before, 1e-9)
        self.bar.update(self.task, completed=step, shown=self._shown(), rate=f"{rate:.3g} steps/s", refresh=self.output is None)
        if self.output is not None:
            self.output.draw()

    def _shown(self) -> str:
        for name, values in self.pending.items():
            if values and not self.shared:
                return f"{name} {float(values[-1][1]):.4g}"
        names = [n for n in (self.history[-1] if self.history else {}) if n not in ("step", "seconds") and not n.startswith("eval/")]
        return f"{names[0]} {self.history[-1][names[0]]:.4g}" if names else ""

    def say(self, message: str) -> None:
        """One line for the user, above the bar."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)


class NotebookOutput:
    """A rich bar as one output of a notebook's cell, drawn again in place; it needs no widgets."""

    def __init__(self, bar: Any):
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        self.bar, self.html = bar, HTML
        self.handle = display(HTML(self.text()), display_id=True)

    def draw(self) -> None:
        """Show the bar as it is now."""
        self.handle.update(self.html(self.text()))

    def text(self) -> str:
        """The bar as HTML."""
        from rich.console import Console

        page = Console(record=True, file=io.StringIO(), width=110, force_jupyter=False, force_terminal=True, color_system="truecolor")
        page.print(self.bar.get_renderable())
        return page.export_html(inline_styles=True, code_format="<pre style='white-space:pre;overflow-x:auto;margin:0'>{code}</pre>")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "ipykernel" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter
