"""What `fit` gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn


@dataclass
class Run:
    """The trained method, its final numbers, and where it all lies."""

    method: nn.Module
    results: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    folder: Path | None = None
    callbacks: Sequence[Any] = field(default=(), repr=False)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{k}={v:.4g}" for k, v in self.results.items())
        return f"Run({type(self.method).__name__}, {numbers}, {self.steps} steps in {self.seconds:.1f} s, {self.folder})"

    def _repr_html_(self) -> str:
        from deepcanon.report import run_html

        return run_html(self)

    def save(self, folder: str | Path) -> Path:
        """Write weights, numbers and the record of a run that had no folder; `deepcanon.load(folder, method)` reads the weights back.

        Raises:
            ValueError: the folder holds a run already.
        """
        from deepcanon.engine.folder import save_run

        self.folder = save_run(self, Path(folder))
        return self.folder
