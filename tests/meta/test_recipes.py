"""The recipes of meta-learning for a few steps, on embedded data and on characters of a user's own."""

import numpy as np
import pytest
from PIL import Image
from torch import nn

from deepcanon import recipes
from deepcanon.engine import options


@pytest.fixture(autouse=True)
def quiet():
    with options(quiet=True):
        yield


@pytest.mark.row("MGL-06")
def test_a_short_run_measures_the_error_on_unseen_curves(workplace):
    run = recipes.maml_regression(steps=3)
    assert run.results["error"] > 0
    assert (run.steps, run.method.vectorized) == (3, True)


def test_curves_of_another_name_are_refused():
    with pytest.raises(ValueError, match=r"^maml_regression knows the curves 'sinusoids', got 'lines'$"):
        recipes.maml_regression("lines")


@pytest.fixture
def characters(workplace) -> str:
    """Thirty classes of eighteen pictures of 20 x 20 random pixels."""
    rng = np.random.default_rng(0)
    for k in range(30):
        (folder := workplace / "characters" / f"{k:02d}").mkdir(parents=True)
        for i in range(18):
            Image.fromarray(rng.integers(0, 255, (20, 20), dtype=np.uint8)).save(folder / f"{i}.png")
    return "./characters"


@pytest.mark.row("MGL-01", "MGL-02")
@pytest.mark.parametrize("algorithm", ["maml", "first_order", "anil"])
def test_each_algorithm_learns_tasks_of_classes_of_ones_own(algorithm, characters):
    run = recipes.maml(characters, algorithm, width=4, tasks=2, steps=2, inner_steps=2, inner_lr=0.1)
    assert 0 <= run.results["accuracy"] <= 1
    method = run.method
    assert method.first_order == (algorithm == "first_order")
    assert isinstance(method.net, nn.Linear) == (algorithm == "anil")
    assert (method.steps, method.inner_lr, method.test_steps) == (2, 0.1, 3)
