"""What a saved run remembers of its data, so that its model can be built again where the data is not.

    with recorded_facts({"images:mnist:train": {"shape": [1, 28, 28], "classes": [...], "count": 60000, "sha256": "..."}}):
        images("mnist").classes         # from the record; no file is opened

Facts are JSON: numbers, strings, lists, dicts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Facts = dict[str, Any]

_recorded: ContextVar[Mapping[str, Facts]] = ContextVar("recorded_facts")


@contextmanager
def recorded_facts(facts: Mapping[str, Facts]) -> Iterator[None]:
    """Inside the block, data whose `.key` is in `facts` answers from there."""
    token = _recorded.set(facts)
    try:
        yield
    finally:
        _recorded.reset(token)


def recorded(key: str) -> Facts | None:
    """The recorded facts of the data of that key, or None when they must be read."""
    return _recorded.get({}).get(key)
