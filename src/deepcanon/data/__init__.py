"""Data as iterables of batches: `at(step)` is a pure function of (seed, step)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import augment, download, sets
    from .batches import arrays
    from .envs import env
    from .experience import Experience, anneal
    from .facts import recorded_facts
    from .pictures import images
    from .tables import table
    from .texts import text

__all__ = ["Experience", "anneal", "arrays", "augment", "download", "env", "images", "recorded_facts", "sets", "table", "text"]

_HOME = {
    "images": "pictures", "text": "texts", "table": "tables", "arrays": "batches", "recorded_facts": "facts",
    "Experience": "experience", "anneal": "experience", "env": "envs",
}


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
