"""A few steps of each run."""

import pytest

from deepcanon import load
from deepcanon.engine import options
from deepcanon.recipes.flows import glow_digits, made_digits, maf_digits, nice_digits, realnvp_digits, realnvp_toy, wavenet_distillation_toy


@pytest.mark.parametrize(("recipe", "small"), [
    (nice_digits, {"width": 16, "layers": 2}), (maf_digits, {"width": 16, "layers": 2}), (made_digits, {"width": 16}),
    (realnvp_digits, {"width": 4}), (glow_digits, {"width": 4, "flow_steps": 1})])
def test_runs_on_digits_measure_what_they_promise_and_are_read_back(recipe, small, workplace, embedded_only):
    with options(folder=workplace / "run", quiet=True):
        run = recipe(steps=2, **small)
    assert set(recipe.recipe.target) <= set(run.results)
    assert load("run").sample(3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("recipe", [realnvp_toy, wavenet_distillation_toy])
def test_runs_in_the_plane_measure_what_they_promise(recipe, workplace, embedded_only):
    with options(folder=workplace / "run", quiet=True):
        run = recipe(width=8, layers=2, steps=2)
    assert set(recipe.recipe.target) <= set(run.results)
