"""Recipes of several stages: each `fit` has a folder of its own, and the first one's holds the others."""

from dataclasses import replace

from deepcanon.engine import Run


def joined(*runs: Run) -> Run:
    """The last run of a recipe, with the folder of the first, and the seconds and steps of all."""
    seconds, steps = (sum(getattr(run, of) for run in runs) for of in ("seconds", "steps"))
    return replace(runs[-1], folder=runs[0].folder, seconds=seconds, steps=steps)
