"""The races of optimizers and schedules: every recipe runs, and the lessons that they are there to show hold."""

import pytest

from deepcanon import catalogue
from deepcanon.engine import options
from deepcanon.recipes import optimizers

RACES = [name for name in catalogue.recipes() if name.startswith(("optimizer_", "schedule_")) and name.endswith("_digits")]


def race(name: str, **arguments) -> list[float]:
    """The test loss at each evaluation."""
    with options(quiet=True):
        history = getattr(optimizers, name)(**arguments).history
    return [row["eval/nll"] for row in history if "eval/nll" in row]


def test_there_is_a_race_on_both_sets():
    names = set(catalogue.recipes())
    assert len(RACES) == 13
    assert {name.replace("_digits", "_mnist") for name in RACES} <= names


@pytest.mark.parametrize("name", RACES)
def test_every_race_runs(name):
    losses = race(name, steps=4)
    assert len(losses) == 4
    assert 0 < losses[-1] < 5


@pytest.mark.row("FND-20", "FND-24")
def test_momentum_adam_and_muon_leave_the_plateau_where_gradient_descent_stays_at_any_rate():
    heavy, adam, muon = (race(f"optimizer_{name}_digits", steps=240)[-1] for name in ("momentum", "adam", "muon"))
    assert heavy < 1.3
    assert adam < 0.7
    assert muon < 0.7
    assert all(race("optimizer_sgd_digits", lr=lr, steps=240)[-1] > heavy + 0.5 for lr in (1.0, 3.0, 10.0))


@pytest.mark.row("FND-26")
def test_a_warm_up_gives_a_better_start_at_the_same_peak_rate():
    def middle(name):
        return sum(race(f"schedule_{name}_digits", steps=300, seed=seed)[15] for seed in (0, 1, 2)) / 3

    assert middle("warmup_cosine") < middle("cosine") - 0.1
