"""Data as iterables of batches: `at(step)` is a pure function of (seed, step)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import augment, downloads, sets
    from .batches import arrays, batches_of
    from .environments import env
    from .experience import Experience, after, anneal
    from .few_shot import Sinusoids, episodes
    from .kinds import Arrays, Env, Images, Points, Table, Tokens
    from .metadata import recorded_metadata, recorded_sources
    from .pictures import images
    from .point_sets import describe_points, points
    from .rollouts import Rollouts
    from .source import Source, open_data
    from .tables import describe_table, encode_rows, table
    from .texts import describe_text, text
    from .toys import toy
    from .vector_envs import envs

__all__ = [
    "Arrays", "Env", "Experience", "Images", "Points", "Rollouts", "Sinusoids", "Source", "Table", "Tokens",
    "after", "anneal", "arrays", "augment", "batches_of", "describe_points", "describe_table", "describe_text",
    "downloads", "encode_rows", "env", "envs", "episodes", "images", "open_data", "points",
    "recorded_metadata", "recorded_sources", "sets", "table", "text", "toy",
]

_HOME = {
    **dict.fromkeys(("Arrays", "Env", "Images", "Points", "Table", "Tokens"), "kinds"), "points": "point_sets", "recorded_sources": "metadata",
    "open_data": "source", "Source": "source", "images": "pictures", "text": "texts", "table": "tables", "arrays": "batches",
    "recorded_metadata": "metadata",
    "Experience": "experience", "after": "experience", "anneal": "experience", "env": "envs", "envs": "vector_envs", "Rollouts": "rollouts",
    "batches_of": "batches", "describe_points": "point_sets", "describe_table": "tables", "describe_text": "texts", "encode_rows": "tables",
    "episodes": "few_shot", "Sinusoids": "few_shot", "toy": "toys",
}


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
