"""The recipe of self-supervision on embedded data, for a few steps."""

import pytest

from deepcanon import recipes
from deepcanon.engine import options


@pytest.mark.row("SSL-10")
def test_a_short_run_measures_the_probe_beside_the_untrained_net(tmp_path, embedded_only):
    with options(folder=tmp_path / "run", quiet=True):
        results = recipes.byol_digits(steps=2).results
    assert 0.1 < results["probe_untrained"] < 1
    assert results["gain"] == pytest.approx(results["probe"] - results["probe_untrained"])
