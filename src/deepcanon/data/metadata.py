"""What a saved run remembers of its data, so that its model can be built again where the data is not.

    with recorded_metadata({"images:mnist:train": {"shape": [1, 28, 28], "classes": [...], "count": 60000, "sha256": "..."}}):
        images("mnist").classes         # from the record; no file is opened

Metadata are JSON: numbers, strings, lists, dicts.
"""

from collections.abc import Iterator, Mapping
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
