"""Data as iterables of batches: `at(step)` is a pure function of (seed, step)."""

from importlib import import_module

_HOME = {
    "images": "pictures", "text": "texts", "table": "tables", "arrays": "batches",
    "recorded_facts": "facts",
    "Experience": "experience", "anneal": "experience", "env": "envs",
}
_MODULES = ("augment", "download", "sets")

__all__ = ["Experience", "arrays", "augment", "download", "env", "images", "recorded_facts", "sets", "table", "text"]    # noqa: F822


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
