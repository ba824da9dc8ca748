"""The recipe of self-supervision on embedded data, for a few steps."""

import pytest

from deepcanon import recipes
from deepcanon.engine import options


@pytest.mark.row("SSL-10")
def test_a_short_run_measures_the_probe_beside_the_untrained_net(workplace, embedded_only):
    with options(quiet=True):
        results = recipes.byol("digits", steps=2).results
    assert 0.1 < results["probe_untrained"] < 1
    assert results["probe_gain"] == pytest.approx(results["probe_accuracy"] - results["probe_untrained"])


def test_a_view_is_made_in_a_known_way(workplace):
    with pytest.raises(ValueError, match=r"^expected distort as crop or affine, got 'blur'$"):
        recipes.byol("digits", distort="blur")
