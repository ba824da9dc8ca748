"""Some steps of each run of flows, on digits, own pictures and own points; where flows of points start."""

import numpy as np
import pytest
import torch

import deepcanon
from deepcanon.data import open_data
from deepcanon.flows.flow import Chain
from deepcanon.flows.maf_flow import maf
from deepcanon.recipes import densities
from tests.own_pictures import JUDGED, hurried, photos, short

SMALL = {"nice": {"width": 16, "layers": 2}, "maf": {"width": 16, "layers": 2}, "realnvp": {"width": 4},
         "glow": {"width": 4, "flow_steps": 1}}
POINTS = {"realnvp": {"width": 8, "layers": 2}, "maf": {"width": 8, "layers": 2},
          "wavenet_distillation": {"width": 8, "layers": 2, "student_steps": 2}}


@pytest.fixture(autouse=True)
def quick(monkeypatch, workplace, embedded_only):
    hurried(monkeypatch, workplace / "cache")


@pytest.mark.parametrize("name", SMALL)
def test_runs_on_digits_measure_bits_on_their_levels(name):
    run = short(name, **SMALL[name], steps=2)
    assert set(run.results) >= {"bits_per_dim"} | JUDGED
    assert run.method.levels == 17
    drawn = deepcanon.load(run.folder).sample(3)
    assert drawn.shape == (3, 1, 8, 8)
    torch.testing.assert_close((16 * drawn).round(), 16 * drawn)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_runs_on_the_users_own_pictures(name, colour, workplace):
    run = short(name, data=photos(workplace / "photos", colour=colour), **SMALL[name], steps=2)
    assert set(run.results) >= {"bits_per_dim"} | JUDGED
    assert run.method.levels == 256
    side = 12 if name in ("nice", "maf") else 32
    assert run.method.sample(2).shape == (2, 3 if colour else 1, side, side)


@pytest.mark.parametrize("name", ["realnvp", "glow"])
def test_learned_noise_between_the_levels_and_muon_are_at_hand(name):
    run = short(name, **SMALL[name], variational=True, muon=True, steps=2)
    assert sum(p.numel() for p in run.method.noise.parameters()) > 0


@pytest.mark.parametrize("name", POINTS)
def test_runs_in_the_plane_measure_the_divergence(name):
    run = short(name, data="moons", **POINTS[name], steps=2)
    assert {"kl", "mmd"} <= set(run.results)
    stages = 2 if name == "wavenet_distillation" else 1
    assert (run.steps, (run.folder / "stage2").exists()) == (2 * stages, stages == 2)


@pytest.fixture
def points(workplace) -> str:
    """A file of three columns of very different scales."""
    x = np.random.default_rng(0).normal(size=(200, 3)) * [1, 1_000, 0.01] + [0, 50_000, 1]
    np.savetxt(workplace / "points.csv", x, delimiter=",", header="a,b,c", comments="")
    return "points.csv"


@pytest.mark.parametrize("name", POINTS)
def test_runs_on_the_users_own_points(name, points):
    run = short(name, data=points, **POINTS[name], steps=2)
    assert "mmd" in run.results
    assert ("kl" if name == "wavenet_distillation" else "nll") in run.results
    drawn = run.method.sample(500)
    assert drawn.shape == (500, 3)
    assert 40_000 < drawn[:, 1].mean() < 60_000                                  # in the units of its column
    assert 0.9 < drawn[:, 2].mean() < 1.1


def test_own_points_start_at_mean_zero_and_deviation_one_and_toys_as_they_are(points):
    source = open_data(points, "points")
    z, _ = Chain(*densities.units(source))(source.train(batch=1_000, shuffle=False).at(0)[0])
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3), atol=0.1, rtol=0)
    assert densities.units(open_data("moons", "points")) == []


def test_of_a_saved_run_the_weights_hold_the_scale_and_no_data_are_read(points, workplace):
    run = short("maf", data=points, **POINTS["maf"], steps=2)
    (workplace / points).unlink()
    again = deepcanon.load(run.folder)
    x = torch.randn(5, 3) * torch.tensor([1, 1_000, 0.01]) + torch.tensor([0, 50_000, 1])
    torch.testing.assert_close(again.log_prob(x), run.method.eval().log_prob(x))


def test_points_of_one_column_are_no_couplings(workplace):
    np.save(workplace / "line.npy", np.random.default_rng(0).normal(size=(50, 1)))
    with pytest.raises(ValueError, match="needs 2 channels or more"):
        short("realnvp", data="line.npy", steps=1)


def test_pictures_whose_sides_cannot_be_halved_twice_are_refused(workplace):
    with pytest.raises(ValueError, match=r"multiples of 4, got 30 x 30; pass size=28"):
        short("glow", data=photos(workplace / "photos"), size=30, steps=1)


def test_vectors_of_pictures_end_in_rows():
    flow = densities.vectors(open_data("digits", "images"), maf(64, hidden=(8,), num_layers=1)).flow
    assert flow.shape == (64,)
    assert flow.encode(torch.rand(2, 1, 8, 8)).shape == (2, 64)
