"""The recipe of meta-learning on embedded data, for a few steps."""

import pytest

from deepcanon import recipes
from deepcanon.engine import options


@pytest.mark.row("MGL-06")
def test_a_short_run_measures_the_error_on_unseen_curves(tmp_path):
    with options(folder=tmp_path / "run", quiet=True):
        run = recipes.maml_sinusoid(steps=3)
    assert run.results["error"] > 0
    assert (run.steps, run.method.vectorized) == (3, True)
