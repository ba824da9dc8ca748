"""Trackers: every row of a run, once, and the arguments of its call."""

import sys
from types import SimpleNamespace

import pytest

from deepcanon.engine import Adam, MLflow, TensorBoard, WandB, fit, options, tracker
from deepcanon.engine.checkpoint import read_json
from tests.engine.shapes import build


class FakeMLflow:
    """The part of mlflow that is called, noted."""

    def __init__(self):
        self.calls, self.rows, self.params = [], [], {}

    def set_experiment(self, name):
        self.calls.append(("experiment", name))

    def start_run(self, **settings):
        self.calls.append(("start", settings))

    def log_params(self, params):
        self.params = params

    def log_metrics(self, row, step):
        self.rows.append({"step": step} | row)

    def end_run(self):
        self.calls.append(("end", None))


def test_mlflow_gets_every_row_once_and_the_run_is_ended(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", fake := FakeMLflow())
    run = fit(*build("vae"), Adam(1e-3), steps=10, log_every=3, callbacks=[MLflow("mine", run_name="first")])
    assert fake.rows == run.history
    assert len(fake.rows) == 4
    assert fake.calls == [("experiment", "mine"), ("start", {"run_name": "first"}), ("end", None)]
    assert fake.params == {}


def test_the_arguments_that_the_run_folder_records_are_sent(monkeypatch, tmp_path):
    from deepcanon.engine import trackers

    monkeypatch.setattr(trackers, "read_json", lambda path: read_json(path) | {"arguments": {"lr": 0.5}})
    monkeypatch.setitem(sys.modules, "mlflow", fake := FakeMLflow())
    settings = {}
    wandb = SimpleNamespace(
        init=lambda **given: (
            settings.update(given) or SimpleNamespace(log=lambda *a, **k: None, finish=lambda: None)
        )
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with options(folder=tmp_path / "run"):
        fit(*build("vae"), Adam(1e-3), steps=2, callbacks=[MLflow(), WandB()])
    assert fake.params == {"lr": 0.5}
    assert settings == {"project": "deepcanon", "config": {"lr": 0.5}}


def test_a_tracker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ValueError, match=r"^MLflow is not installed: pip install mlflow$"):
        fit(*build("vae"), Adam(1e-3), steps=1, callbacks=[MLflow()])


@pytest.mark.parametrize(
    ("name", "kind"), [("tensorboard", TensorBoard), ("wandb", WandB), ("mlflow", MLflow)]
)
def test_trackers_by_name(name, kind):
    assert type(tracker(name)) is kind


def test_an_unknown_tracker_is_refused():
    with pytest.raises(
        ValueError, match=r"unknown tracker 'neptune'; expected one of tensorboard, wandb, mlflow"
    ):
        tracker("neptune")
