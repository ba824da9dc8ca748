"""Trackers: callbacks that send every row of metrics.csv to TensorBoard, Weights & Biases or MLflow.

A row is sent when the next one begins, because an evaluation may still be added to it. A resumed run sends
its rows from the start again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepcanon.engine.checkpoint import read_json

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


class TensorBoard:
    """Every row as scalars for TensorBoard, in the run folder or the folder given."""

    def __init__(self, folder: str | Path | None = None):
        self.folder, self.sent = folder, 0

    def start(self, trainer: Trainer) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
        folder = self.folder or (trainer.log.file.parent / "tensorboard" if trainer.log.file else None)
        self.writer: Any = SummaryWriter(folder) if trainer.rank == 0 else None

    def step(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent : -1])

    def end(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent :])
        if self.writer:
            self.writer.close()

    def _send(self, rows: list[dict[str, float]]) -> None:
        self.sent += len(rows)
        for row in rows if self.writer else ():
            for name, value in row.items():
                if name != "step":
                    self.writer.add_scalar(name, value, row["step"])


class WandB:
    """Every row, and the arguments of the call, for Weights & Biases.

    Args:
        project: the project's name.
        settings: further arguments of `wandb.init`.
    """

    def __init__(self, project: str = "deepcanon", **settings):
        self.project, self.settings, self.sent = project, settings, 0

    def start(self, trainer: Trainer) -> None:
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ValueError("Weights & Biases is not installed: pip install wandb") from None
        arguments = arguments_of(trainer)
        config = {"config": arguments} if arguments else {}
        self.run: Any = (
            wandb.init(project=self.project, **config | self.settings) if trainer.rank == 0 else None
        )

    def step(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent : -1])

    def end(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent :])
        if self.run:
            self.run.finish()

    def _send(self, rows: list[dict[str, float]]) -> None:
        self.sent += len(rows)
        for row in rows if self.run else ():
            self.run.log({k: v for k, v in row.items() if k != "step"}, step=row["step"])


class MLflow:
    """Every row, and the arguments of the call, for MLflow, at the address that `MLFLOW_TRACKING_URI` names.

    Args:
        experiment: the experiment's name.
        settings: further arguments of `mlflow.start_run`.
    """

    def __init__(self, experiment: str = "deepcanon", **settings):
        self.experiment, self.settings, self.sent = experiment, settings, 0
        self.mlflow: Any = None

    def start(self, trainer: Trainer) -> None:
        try:
            import mlflow  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ValueError("MLflow is not installed: pip install mlflow") from None
        if trainer.rank == 0:
            self.mlflow = mlflow
            mlflow.set_experiment(self.experiment)
            mlflow.start_run(**self.settings)
            if arguments := arguments_of(trainer):
                mlflow.log_params(arguments)

    def step(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent : -1])

    def end(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent :])
        if self.mlflow:
            self.mlflow.end_run()

    def _send(self, rows: list[dict[str, float]]) -> None:
        self.sent += len(rows)
        for row in rows if self.mlflow else ():
            self.mlflow.log_metrics({k: v for k, v in row.items() if k != "step"}, step=int(row["step"]))


TRACKERS = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def tracker(name: str) -> TensorBoard | WandB | MLflow:
    """The tracker of that name, with its default settings.

    Raises:
        ValueError: for any other name.
    """
    if name not in TRACKERS:
        raise ValueError(f"unknown tracker '{name}'; expected one of {', '.join(TRACKERS)}")
    return TRACKERS[name]()


def arguments_of(trainer: Trainer) -> dict[str, Any]:
    """The arguments that the run folder records; none where there is no folder."""
    record = trainer.log.file.parent / "call.json" if trainer.log.file else None
    return read_json(record)["arguments"] if record and record.exists() else {}
