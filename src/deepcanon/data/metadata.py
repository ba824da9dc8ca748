"""What a saved run remembers of its data, so that its model can be built again without the data.

    with recorded_metadata({"images:mnist:train": {"shape": [1, 28, 28], "classes": [...], "count": 60000, "sha256": "..."}}):
        images("mnist").classes         # from the record; no file is opened

Metadata are JSON: numbers, strings, lists, dicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Metadata = dict[str, Any]

_recorded: ContextVar[Mapping[str, Metadata]] = ContextVar("recorded_metadata")


@contextmanager
def recorded_metadata(metadata: Mapping[str, Metadata]) -> Iterator[None]:
    """Inside the block, data whose `.key` is in `metadata` answers from there."""
    token = _recorded.set(metadata)
    try:
        yield
    finally:
        _recorded.reset(token)


def recorded(key: str) -> Metadata | None:
    """The recorded metadata of the data of that key, or None when they must be read."""
    return _recorded.get({}).get(key)


# the sources of a call: what `open_data` was asked for, in order


_collected: ContextVar[list[Any] | None] = ContextVar("collected_sources", default=None)
_replayed: ContextVar[Iterator[Metadata] | None] = ContextVar("recorded_sources", default=None)


@contextmanager
def collected_sources(into: list[Any]) -> Iterator[None]:
    """Inside the block, every source that is opened is appended to `into`."""
    token = _collected.set(into)
    try:
        yield
    finally:
        _collected.reset(token)


@contextmanager
def recorded_sources(metadata: Sequence[Metadata]) -> Iterator[None]:
    """Inside the block, the first source that is opened answers from the first of the records, and so on.

    A saved method is rebuilt in this way, without its data.
    """
    token = _replayed.set(iter(metadata))
    try:
        yield
    finally:
        _replayed.reset(token)


def note_source(source: Any) -> None:
    """Add a source to those that are collected."""
    if (into := _collected.get()) is not None:
        into.append(source)


def next_record() -> Metadata | None:
    """The record that the next source must answer from, if there is one."""
    records = _replayed.get()
    return next(records, None) if records is not None else None
