"""Runs, one plain function each: `deepcanon.recipes.vae("digits", beta=4)` trains, saves and returns a `Run`.

A recipe's file is imported when the recipe is first named.
"""

import importlib

from deepcanon import catalogue


def __getattr__(name: str):
    known = catalogue.recipes()
    if name not in known:
        raise AttributeError(f"no recipe '{name}'{catalogue.suggest(name, known)}")
    return getattr(importlib.import_module(known[name].module), name)


def __dir__() -> list[str]:
    return list(catalogue.recipes())
