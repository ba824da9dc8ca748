"""The races of optimizers and schedules: every one runs, and the lessons that they are there to show hold."""

import pytest

from deepcanon import catalogue, recipes
from deepcanon.engine import options

RACES = ("optimizer_race", "schedule_race")
RUNNERS = [(name, runner) for name in RACES for runners in catalogue.recipes()[name].form.variants.values() for runner in runners]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(workplace):
    """Runs are kept there."""


def race(name: str, runner: str, **arguments) -> list[float]:
    """The test loss at each evaluation, on the digits."""
    with options(quiet=True):
        history = getattr(recipes, name)("digits", runner, **arguments).history
    return [row["eval/nll"] for row in history if "eval/nll" in row]


def test_every_runner_has_settings_of_its_own_on_both_sets():
    assert len(RUNNERS) == 13
    for name in RACES:
        form = catalogue.recipes()[name].form
        ((argument, runners),) = form.variants.items()
        first = form.defaults[argument]
        for data in ("digits", "mnist"):
            assert sorted(p.arguments.get(argument, first) for p in form.presets if p.data == data) == sorted(runners)


@pytest.mark.parametrize(("name", "runner"), RUNNERS)
def test_every_race_runs(name, runner):
    losses = race(name, runner, steps=4)
    assert len(losses) == 4
    assert 0 < losses[-1] < 5


@pytest.mark.row("FND-20", "FND-24")
def test_momentum_adam_and_muon_leave_the_plateau_where_gradient_descent_stays_at_any_rate():
    heavy, adam, muon = (race("optimizer_race", name, steps=160)[-1] for name in ("momentum", "adam", "muon"))
    assert heavy < 1.3
    assert adam < 0.7
    assert muon < 0.7
    assert all(race("optimizer_race", "sgd", lr=lr, steps=160)[-1] > heavy + 0.5 for lr in (1.0, 3.0, 10.0))


@pytest.mark.row("FND-26")
def test_a_warm_up_gives_a_better_start_at_the_same_peak_rate():
    def middle(name):
        return sum(race("schedule_race", name, steps=300, seed=seed)[15] for seed in (0, 1, 2)) / 3

    assert middle("warmup_cosine") < middle("cosine") - 0.1
