"""Which source files a run depends on, and their digests: a resume tells whether one of them has changed.

    reached = the modules of the given objects, and of everything that stands in the globals of a module that is reached

within this library and the packages of the given objects; torch, numpy and the like are recorded by version.
"""

import hashlib
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

OWN = __name__.partition(".")[0]
NO_PART = tuple(f"{OWN}.{room}" for room in ("cli", "report", "claims", "catalogue", "comparison", "proofs", "errors", "lazy"))


def digests(objects: Iterable[Any]) -> dict[str, str]:
    """Module -> the first 12 digits of the sha256 of its file, for every module that the objects lead to."""
    found = reached(module_of(thing) for thing in objects)
    return {name: digest(file, file.stat().st_mtime_ns) for name in sorted(found) if (file := file_of(name)) is not None}


def reached(names: Iterable[str]) -> set[str]:
    """The names of the modules that these lead to through their globals, and their own."""
    waiting = [name for name in names if name in sys.modules]
    packages, found = {OWN} | {name.partition(".")[0] for name in waiting if is_own_code(name)}, set()
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] not in packages or name.startswith(NO_PART) or name not in sys.modules:
            continue
        found.add(name)
        waiting += {module_of(value) for value in list(vars(sys.modules[name]).values())}
    return found


def module_of(thing: Any) -> str:
    """The name of the module that a thing is, or that it or its type was defined in."""
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    return name if isinstance(name, str) else ""


def file_of(name: str) -> Path | None:
    """The source file of a module; None where there is none, as in a notebook."""
    try:
        file = inspect.getsourcefile(sys.modules[name])
    except TypeError:
        return None
    return Path(file) if file and Path(file).is_file() else None


@cache
def digest(file: Path, changed: int) -> str:
    """The digest of a file that was last changed at a time."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def is_own_code(name: str) -> bool:
    """Whether a module is the user's or ours, and no installed package or part of Python."""
    file = file_of(name)
    return file is not None and not {"site-packages", "dist-packages"} & set(file.parts) and not file.is_relative_to(Path(sys.base_prefix) / "lib")
