"""What the runs of energy-based models, memories and chains measure."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import deepcanon
from deepcanon import recipes
from deepcanon.data.toys import density
from deepcanon.engine import options
from deepcanon.recipes.energy.models import grid_divergence

ENERGIES = """
SHAPES = set()

def bowl(x):
    SHAPES.add(tuple(x.shape))
    return x.square().sum(1) / 2

def far(x):
    return (x[:, 0].square() - 16).square() / 4 + x[:, 1].square()

def column(x):
    return x.square().sum(1, keepdim=True)

def floating(x):
    return x.detach().square().sum(1)

def arrays(x):
    return x.detach().numpy().sum(1)

def planar(x):
    return x @ x.new_ones(2)
"""


@pytest.fixture(autouse=True)
def quiet():
    with options(quiet=True):
        yield


class Known(nn.Module):
    """An energy-based model whose energy is that of a toy, a constant added."""

    def __init__(self, name: str):
        super().__init__()
        self.mixture = density(name)
        self.register_buffer("chains", torch.zeros(1, 2))

    def energy(self, x):
        return 7.0 - self.mixture.log_prob(x)


def test_the_divergence_of_the_density_itself_is_zero_whatever_the_constant():
    assert grid_divergence("moons")(Known("moons"))["kl"] == pytest.approx(0, abs=1e-4)
    assert grid_divergence("moons")(Known("rings"))["kl"] > 1


def test_some_steps_of_points_whose_density_is_known(workplace):
    run = recipes.ebm("eight_gaussians", steps=3, width=16, chain_steps=2)
    assert 0 < run.results["kl"] < 20
    assert list((run.folder / "samples").glob("*.png"))


@pytest.mark.row("GEN-43")
def test_random_patterns_are_lost_near_the_known_load(workplace):
    """0.138 N for large N; the transition of 200 units is wide."""
    run = recipes.hopfield(units=200, draws=1, stored=6, size=20, steps=20)
    assert 0.09 < run.results["capacity"] < 0.17
    assert run.results["kept"] > 0.8


@pytest.mark.row("GEN-43")
def test_a_memory_of_pictures_recalls_them(workplace):
    """Stripes of three widths, which are told apart at 10 x 10 pixels; a bright one is the same pattern as a dark one."""
    (workplace / "stripes").mkdir()
    for i, period in enumerate((10, 20, 40)):
        stripes = np.tile(60 + 40 * (np.arange(40) // (period // 2) % 2), (40, 1)).astype(np.uint8)
        for bright in (0, 90):
            Image.fromarray(stripes + np.uint8(bright)).save(workplace / "stripes" / f"{i}-{bright}.png")
    run = recipes.hopfield("./stripes", stored=4, steps=50)
    assert run.results["kept"] == 1
    assert "capacity" not in run.results
    assert deepcanon.load(run.folder).coupling.shape == (100, 100)


@pytest.mark.row("GEN-45", "GEN-47")
def test_chains_of_the_toys_are_judged(workplace):
    run = recipes.mcmc(chains=4, steps=60, burn_in=10)
    assert run.results["r_hat"] > 0.9
    assert run.results["errors"] > 0
    assert run.seconds > 0
    assert run.steps == 60


@pytest.fixture
def energies(workplace, monkeypatch):
    """A module of the user's own in the working directory, which is not on the search path."""
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    (workplace / "own_energies.py").write_text(ENERGIES)
    (workplace / "broken_energies.py").write_text("def bowl(x:\n    return x\n")
    yield
    for name in ("own_energies", "broken_energies"):
        sys.modules.pop(name, None)


@pytest.mark.row("GEN-45", "GEN-47")
def test_chains_take_an_energy_of_a_module(energies):
    """Chains of a normal density agree; of two wells 8 apart, with 64 between them, each stays in its own."""
    good = recipes.mcmc("own_energies:bowl", chains=8, steps=800, burn_in=50, dims=3)
    assert good.results.keys() == {"r_hat", "effective_draws"}
    assert good.results["r_hat"] < 1.05
    shapes = sys.modules["own_energies"].SHAPES
    assert shapes == {(3, 3), (8, 3)}                                            # three points that it is tried on, then eight chains
    assert good.results["effective_draws"] > 50
    assert recipes.mcmc("own_energies:far", chains=8, steps=800, burn_in=50, walk=0.3, drift=0.01).results["r_hat"] > 1.3


@pytest.mark.parametrize(("data", "message"), [
    ("bowls", "^unknown density 'bowls'; known: toy_densities, gaussian, banana, mixture; or give module:function of an energy$"),
    ("own_energies:bowls", "^the energy 'own_energies:bowls': AttributeError: module 'own_energies' has no attribute 'bowls'"),
    ("no_energies:bowl", "^the energy 'no_energies:bowl': ModuleNotFoundError: No module named 'no_energies'$"),
    ("broken_energies:bowl", "^the energy 'broken_energies:bowl': SyntaxError: "),
    ("own_energies:SHAPES", "^the energy 'own_energies:SHAPES': TypeError: 'set' object is not callable$"),
    ("own_energies:column", r"of 3 points in 3 dimensions, expected a tensor of shape \(3,\) with a gradient, got shape \(3, 1\) with a gradient$"),
    ("own_energies:floating", r"with a gradient, got shape \(3,\) without a gradient$"),
    ("own_energies:arrays", r"expected a tensor of shape \(3,\) with a gradient, got ndarray$"),
    ("own_energies:planar", "^the energy 'own_energies:planar': RuntimeError: size mismatch")])
def test_energies_that_are_none_are_refused_in_one_line(data, message, energies, workplace):
    with pytest.raises(ValueError, match=message) as error:
        recipes.mcmc(data, dims=3)
    assert "\n" not in str(error.value)
    assert not (workplace / "runs").exists()
