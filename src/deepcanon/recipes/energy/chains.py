"""Runs of associative memory and of Markov chains."""

import importlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deepcanon.data import Images, arrays, open_data
from deepcanon.data.env_sources import search_also
from deepcanon.energy.diagnostics import effective_sample_size, r_hat, standard_error
from deepcanon.energy.hopfield import Hopfield, hebb, recall
from deepcanon.energy.langevin_dynamics import Energy
from deepcanon.energy.mcmc import mala, metropolis_hastings, random_walk
from deepcanon.engine import SGD, Adam, Run, at_least, at_most, fit, preset, recipe


@recipe(paper="Hopfield 1982", systems=["GEN-43"], presets=[
    preset("random_patterns", target={"capacity_low": at_least(0.12), "capacity_high": at_most(0.16), "kept": at_least(1.0)}, seconds=60,
           published={"capacity": 0.138}, source="Amit, Gutfreund & Sompolinsky 1985, for N to infinity")])
def hopfield(data: Images = "random_patterns", *, units: int = 500, draws: int = 4, stored: int = 40, size: int = 100,
             lr: float = 0.1, steps: int = 200, seed: int = 0) -> Run:
    """Hebb's rule on random patterns: the share of N at which one in ten is lost; and the contrast, which keeps far more in a small net.

    Args:
        data: "random_patterns", or images, which are brought to 10 x 10 pixels and cut at their mean into +1 and -1.
        units, draws: N of the measurement of the capacity, and how often it is made.
        stored, size: patterns, and units, of the small net.
    """
    if isinstance(data, str) and data == "random_patterns":
        patterns, measured = spins(stored, size), [capacity(units, draws)]
    else:
        patterns, measured = binary(open_data(data, "images", size=10), stored), []
    method, batches = Hopfield(patterns.shape[1]), arrays(patterns, batch=len(patterns), shuffle=False)
    return fit(method.fit(patterns), batches, SGD(lr), steps=steps, seed=seed, evaluate=[batches, *measured])


def binary(source: Any, stored: int) -> Tensor:
    """The first images as rows of +1, above their own mean, and -1."""
    x = source.train(batch=stored, shuffle=False).at(0)[0].mean(1).flatten(1)
    return torch.where(x > x.mean(1, keepdim=True), 1.0, -1.0)


def spins(*shape: int) -> Tensor:
    """+1 and -1, as likely."""
    return 2.0 * torch.randint(2, shape) - 1


def capacity(units: int, draws: int) -> Callable[[Hopfield], dict[str, float]]:
    """An evaluation of Hebb's rule: the load P / N up to which recall keeps nine patterns in ten at an overlap above 0.95; its mean, least and
    largest value over some draws of the patterns. As N grows the fall becomes a jump, from nearly all to none."""
    loads = torch.arange(0.06, 0.21, 0.02)

    def nine_in_ten() -> float:
        kept = torch.zeros_like(loads)
        for i, load in enumerate(loads):
            patterns = spins(round(float(load) * units), units)
            overlap = (recall(hebb(patterns), patterns) * patterns).mean(1)
            kept[i] = (overlap > 0.95).float().mean()
        below = int((kept < 0.9).float().argmax())                               # the first load that is too much; a line to the one before
        share = (kept[below - 1] - 0.9) / (kept[below - 1] - kept[below])
        return (loads[below - 1] + share * (loads[below] - loads[below - 1])).item()

    def measure(method: Hopfield) -> dict[str, float]:
        found = [nine_in_ten() for _ in range(draws)]
        return {"capacity": sum(found) / draws, "capacity_low": min(found), "capacity_high": max(found)}

    return measure


class Law(NamedTuple):
    """A density in the plane with its mean and covariance, where these are known, and the lengths of steps that suit it."""

    energy: Energy
    mean: list[float] | None
    covariance: list[list[float]] | None
    walk: float
    drift: float | None


LAWS = {
    "gaussian": Law(lambda x: (x[:, 0].square() - x[:, 0] * x[:, 1] + x[:, 1].square()) / 1.5, [0, 0], [[1, 0.5], [0.5, 1]], 2.0, 0.7),
    "banana": Law(lambda x: x[:, 0].square() / 2 + (x[:, 1] - (x[:, 0].square() - 1) / 4).square(), [0, 0], [[1, 0], [0, 0.625]], 1.6, 0.5),
    "mixture": Law(lambda x: -torch.logaddexp(-2 * (x - 1).square().sum(1), -2 * (x + 1).square().sum(1)), [0, 0], [[1.25, 1], [1, 1.25]], 1.8,
                   None)}


@recipe(paper="Metropolis et al. 1953; Roberts & Tweedie 1996", systems=["GEN-45", "GEN-47"], presets=[
    preset("toy_densities", target={"r_hat": at_most(1.01), "errors": at_most(4.0)}, seconds=60)])
def mcmc(data: str = "toy_densities", *, chains: int = 20, steps: int = 5_000, burn_in: int = 200, walk: float = 1.0,
         drift: float = 0.5, dims: int = 2, seed: int = 0) -> Run:
    """Random walks and MALA: worst R-hat, and, where the moments are known, the worst in standard errors from the truth.

    Args:
        data: "toy_densities" (a Gaussian, a banana, a mixture), one of them, or module:function of an energy (chains, dims) -> (chains,).
        chains, steps, burn_in: how many, how long, and what is left out at the start of each.
        walk, drift: step of the random walk and of MALA on an energy of your own.
        dims: of an energy of your own.
    """
    dims = 2 if data in ("toy_densities", *LAWS) else dims
    laws = laws_of(data, walk, drift, dims)
    start = time.perf_counter()
    run = fit(nn.Module(), (), Adam(0.0), steps=0, seed=seed,
              evaluate=partial(moments, laws=laws, chains=chains, steps=steps, burn_in=burn_in, dims=dims))
    return replace(run, seconds=time.perf_counter() - start, steps=steps)


def laws_of(data: str, walk: float, drift: float, dims: int) -> list[Law]:
    """The densities that a name means."""
    if data == "toy_densities":
        return list(LAWS.values())
    if data in LAWS:
        return [LAWS[data]]
    module, colon, name = data.partition(":")
    if not colon:
        raise ValueError(f"unknown density '{data}'; known: toy_densities, {', '.join(LAWS)}; or give module:function of an energy")
    return [Law(energy_of(data, module, name, dims), None, None, walk, drift)]


def energy_of(data: str, module: str, name: str, dims: int) -> Energy:
    """The function of a module, which is looked for in the working directory last; it is tried on three points."""
    search_also(os.getcwd())
    try:
        energy = getattr(importlib.import_module(module), name)
        values = energy(torch.zeros(3, dims, dtype=torch.float64, requires_grad=True))
    except Exception as error:                          # whatever the user's own code raises
        raise ValueError(f"the energy {data!r}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(values, Tensor) or values.shape != (3,) or not values.requires_grad:
        found = type(values).__name__
        if isinstance(values, Tensor):
            found = f"shape {tuple(values.shape)} {'with a' if values.requires_grad else 'without a'} gradient"
        raise ValueError(f"the energy {data!r}: of 3 points in {dims} dimensions, expected a tensor of shape (3,) "
                         f"with a gradient, got {found}")
    return energy


def moments(method: nn.Module, *, laws: list[Law], chains: int, steps: int, burn_in: int, dims: int) -> dict[str, float]:
    """R-hat, errors of means and covariances, and effective draws, over all laws and samplers."""
    worst, errors, sizes = [], [], []
    for law in laws:
        x = torch.randn(chains, dims, dtype=torch.float64)
        runs = [metropolis_hastings(law.energy, x, propose=random_walk(law.walk), steps=steps)]
        if law.drift is not None:
            runs.append(mala(law.energy, x, steps=steps, step_size=law.drift))
        for draws in (made.draws[burn_in:] for made in runs):
            errors += moment_errors(draws, law)
            worst.append(r_hat(draws).max())
            sizes.append(effective_sample_size(draws).min())
    found = {"r_hat": max(worst).item(), "effective_draws": min(sizes).item()}
    return found | ({"errors": max(errors).item()} if errors else {})


def moment_errors(draws: Tensor, law: Law) -> list[Tensor]:
    """The worst error of the means and of the covariances, in standard errors; none where they are not known."""
    if law.mean is None:
        return []
    mean, covariance = (torch.tensor(t, dtype=torch.float64) for t in (law.mean, law.covariance))
    second = (draws - mean).unsqueeze(-1) * (draws - mean).unsqueeze(-2)
    return [((values.mean((0, 1)) - right).abs() / standard_error(values)).max() for values, right in ((draws, mean), (second, covariance))]
