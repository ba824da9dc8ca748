"""Toys in the plane: their densities are densities, and their points are drawn from them."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from deepcanon.data import describe_points, points, toy
from deepcanon.data.toys import TOYS, density

SIDE = 8 / 200
LINE = SIDE * (torch.arange(200, dtype=torch.float64) + 0.5) - 4
GRID = torch.cartesian_prod(LINE, LINE)


def on_grid(mixture):
    return torch.cat([mixture.log_prob(part) for part in GRID.split(4_000)]).exp() * SIDE**2


@pytest.mark.parametrize("name", TOYS)
def test_every_density_integrates_to_one_within_the_square(name):
    assert on_grid(density(name)).sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", TOYS)
def test_points_have_the_moments_of_the_density(name):
    x, p = toy(name, batch=10_000).at(0)[0].double(), on_grid(density(name))
    mean = p @ GRID
    spread = (p @ (GRID - mean).square()).sqrt()
    assert ((x.mean(0) - mean).abs() < 4 * spread / math.sqrt(len(x))).all()
    quarter = (p @ (GRID - mean).square().square() - spread**4).sqrt()           # deviation of (x - mean)^2
    assert (((x - mean).square().mean(0) - spread**2).abs() < 4 * quarter / math.sqrt(len(x))).all()


def test_a_mixture_by_hand():
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    left, right = (math.exp(-((0.3 - c) ** 2 + 0.04) / (2 * 0.16)) / (2 * math.pi * 0.16) for c in (-2.0, 2.0))
    assert density("two_gaussians").log_prob(x).item() == pytest.approx(math.log(0.8 * left + 0.2 * right), abs=1e-6)


def test_parts_are_the_classes():
    data = toy("eight_gaussians", batch=1_000)
    x, y = data.at(0)
    assert (x.dtype, x.shape, y.dtype, data.classes) == (torch.float32, (1_000, 2), torch.int64, [str(k) for k in range(8)])
    nearest = torch.cdist(x, density("eight_gaussians").centres).argmin(1)       # the next part begins three deviations away
    assert (nearest == y).float().mean() > 0.98
    share = (toy("two_gaussians", batch=10_000).at(0)[1] == 0).float().mean().item()
    assert abs(share - 0.8) < 4 * math.sqrt(0.16 / 10_000)


def test_points_are_fixed_and_only_their_order_follows_the_seed():
    first, other = (toy("moons", batch=500, count=500, seed=seed).at(0)[0] for seed in (0, 1))
    assert not torch.equal(first, other)
    assert torch.equal(first.sort(0).values, other.sort(0).values)
    test = toy("moons", split="test", count=500, batch=500)
    assert torch.equal(test.at(0)[0], next(iter(test))[0])
    assert not torch.equal(test.at(0)[0].sort(0).values, first.sort(0).values)
    assert test.metadata["count"] == 500


@pytest.mark.parametrize(("how", "words"), [
    ({"name": "moon"}, "no toy 'moon'; did you mean 'moons'"), ({"name": "moons", "split": "val"}, "split must be 'train' or 'test', got 'val'"),
    ({"name": "moons", "count": 0}, "count must be at least 1, got 0")])
def test_wrong_requests_are_refused(how, words):
    with pytest.raises(ValueError, match=words):
        toy(**how)


# points of the user's own

ROWS = np.column_stack([np.arange(50.0), np.arange(50) ** 2 / 7])


def test_a_toy_is_points_too():
    data = points("moons", count=500, batch=500)
    assert data.key == toy("moons", count=500).key
    x, _ = data.at(0)
    torch.testing.assert_close(torch.tensor(data.metadata["mean"]), x.mean(0))
    torch.testing.assert_close(torch.tensor(data.metadata["std"]), x.std(0, correction=0))
    assert (data.shape, data.count) == ((2,), 500)


@pytest.fixture
def files(tmp_path):
    """The same points in many files."""
    np.save(tmp_path / "p.npy", ROWS)
    np.savez(tmp_path / "p.npz", x=ROWS)
    pd.DataFrame(ROWS).to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame(ROWS).to_csv(tmp_path / "p.tsv", index=False, sep="\t")
    return [tmp_path / name for name in ("p.npy", "p.npz", "p.csv", "p.tsv")]


def test_points_of_files_and_objects_are_the_same(files):
    expected = points(ROWS, batch=50, shuffle=False).at(0)[0]
    assert expected.dtype == torch.float32
    for source in [*files, *map(str, files), torch.tensor(ROWS), ROWS.tolist(), pd.DataFrame(ROWS), {"a": ROWS[:, 0], "b": ROWS[:, 1]},
                   np.asfortranarray(ROWS)]:
        x, y = points(source, batch=50, shuffle=False).at(0)
        assert torch.equal(x, expected)
        assert (y == 0).all()


def test_a_fifth_is_for_testing_and_moments_are_of_the_training_rows():
    train, test = (points(ROWS, split=split, batch=50) for split in ("train", "test"))
    assert (train.count, test.count) == (40, 10)
    both = torch.cat([train.at(0)[0], test.at(0)[0]])
    assert torch.equal(both[both[:, 0].argsort()], torch.tensor(ROWS, dtype=torch.float32))
    np.testing.assert_allclose(train.metadata["mean"], train.at(0)[0].double().mean(0), rtol=1e-6)
    np.testing.assert_allclose(test.metadata["std"], train.at(0)[0].double().std(0, correction=0), rtol=1e-6)
    assert not torch.equal(train.at(0)[0], points(ROWS, batch=50, seed=1).at(0)[0])


@pytest.mark.parametrize(("source", "line"), [
    (np.zeros(5), r"expected points \(N, D\), got x of the shape \(5,\)"), (np.zeros((5, 2, 2)), r"of the shape \(5, 2, 2\)"),
    (np.zeros((5, 0)), r"of the shape \(5, 0\)"), (np.zeros((5, 2), dtype=complex), "expected x as numbers or bytes, got torch.complex128"),
    (np.array([["a", "b"]]), "expected x as numbers or bytes"), (np.array([[1.0, np.nan], [0, 0]]), "x is NaN or infinite in 1 of 2 rows"),
    (np.zeros((1, 2)), "expected two rows or more, found 1"), ({"a": [1, None]}, "points are rows of numbers: column 'a' is empty in row 2"),
    ({"a": [1, 2], "w": ["p", "q"]}, "points are rows of numbers: column 'w' is 'p' in row 1"), ("mons", "there is no toy 'mons'; did you mean")])
def test_points_that_are_refused(source, line):
    with pytest.raises(ValueError, match=line) as error:
        points(source).at(0)
    assert "\n" not in str(error.value)


def test_a_split_that_there_is_not():
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        points(ROWS, split="val")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        points("none.csv").at(0)


def test_a_description_of_points(files):
    described = describe_points(files[2])
    assert (described["kind"], described["rows"], described["train"], described["test"], described["shape"]) == ("points", 50, 40, 10, [2])
    assert described["source"] == str(files[2])
    assert describe_points("ring", count=20)["source"] == "ring"
