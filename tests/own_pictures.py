"""Pictures of a user's own, and a judge that is hardly trained, for tests of recipes."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import deepcanon
from deepcanon import recipes
from deepcanon.engine import Run, options
from deepcanon.recipes import judge

JUDGED = {"frechet_distance", "precision", "recall", "class_min", "class_max"}


def photos(folder: Path, *, colour: bool = True, classes: str = "ab", count: int = 6, size: int = 12) -> str:
    """A folder with a folder of pictures for each class; its path."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (size, size, 3) if colour else (size, size), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return f"./{folder.name}"


def hurried(monkeypatch, cache: Path) -> None:
    """A judge of two steps, which looks at few draws: what it says is not tested here."""
    monkeypatch.setattr(judge, "STEPS", 2)
    monkeypatch.setattr(judge, "DRAWS", 32)
    monkeypatch.setattr(judge, "DRAWN", dict.fromkeys(judge.DRAWN, 32))
    monkeypatch.setattr(judge, "cache_folder", lambda: cache)
    monkeypatch.setattr(judge.Judge.conditional_accuracy.__wrapped__, "__defaults__", (32,))


def short(name: str, **arguments) -> Run:
    """A run of some steps: its numbers are finite, and its folder gives the same method back."""
    with options(quiet=True):
        run = getattr(recipes, name)(**arguments)
    assert run.results
    assert all(math.isfinite(value) for value in run.results.values()), run.results
    again, saved = deepcanon.load(run.folder).state_dict(), run.method.state_dict()
    assert again.keys() == saved.keys()
    assert all(torch.equal(again[name], saved[name]) for name in saved)
    return run
