"""Toys in the plane: their densities are densities, and their points are drawn from them."""

import math

import pytest
import torch

from deepcanon.data import toy
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
