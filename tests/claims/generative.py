"""How the tests of the claims about generative models run them: with one seed, and with a fault in them."""

import importlib
from collections.abc import Callable

import pytest

from deepcanon.claims import Finding, index, measure
from deepcanon.engine import seed_everything
from tests.claims.verdicts import measured


def one_seed(experiment: Callable[[int], dict[str, float]]):
    """What `over_seeds` gives back, of the first seed alone."""
    seed_everything(0)
    numbers = experiment(0)
    return numbers, {name: (value, value) for name, value in numbers.items()}


def reduced(id: str, verdict: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The numbers of a claim with one seed in place of five, once its verdict is the expected one."""
    monkeypatch.setattr(module_of(id), "over_seeds", one_seed)
    return measured(id, verdict)


def faulty(id: str, monkeypatch: pytest.MonkeyPatch, **faults) -> Finding:
    """The finding with one seed and with other objects under these names of the experiment's module."""
    monkeypatch.setattr(module_of(id), "over_seeds", one_seed, raising=False)
    for name, fault in faults.items():
        monkeypatch.setattr(module_of(id), name, fault)
    return measure(id).finding


def module_of(id: str):
    """Where the experiment stands."""
    return importlib.import_module(index.statement(id).module)


def untrained(method, *args, **options):
    """In place of a training."""
    return method
