"""Texts from where their user has them: a known name, a file, a folder, strings; as numbers, one a character.

What is read is numbered a chunk at a time, so that a large text never stands in memory as a string of
Python's.
"""

import hashlib
import io
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import downloads, sets
from .notices import counted, say
from .text_encoding import checked_encoding, decoded

SUFFIXES = {".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".org", ".adoc", ".asc", ".srt"}
CHARACTERS = 0x110000           # code points of Unicode
BETWEEN = "\n"                  # stands between two texts


class Content(NamedTuple):
    """A text as numbers, uint8 or int32, with its vocabulary."""

    ids: Tensor                 # (characters,)
    vocabulary: list[str]
    sha256: str
    notes: list[str]
    files: int


class Texts:
    """A text, or several, read when they are needed; equal to other texts of the same content.

    Args:
        name: what messages and keys call it.
        version: changes when the content does.
        read: gives the bytes of each part with its name, or its string.
        encoding: of the bytes; None: what a byte order mark says, else UTF-8.
    """

    def __init__(self, name: str, version: Hashable, read: Callable[["Texts"], Iterator["Part"]],
                 encoding: str | None):
        self.name, self.version, self.read, self.encoding = name, version, read, encoding
        self.notes: list[str] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Texts) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def identity(self) -> tuple[Hashable, ...]:
        return self.name, self.version, self.encoding


class Part(NamedTuple):
    """One text of several: its name, and its bytes in chunks, or itself."""

    name: str
    content: Iterable[bytes] | str


def open_texts(source: Any, encoding: str | None = None) -> Texts:
    """The texts that a source names or holds.

    Args:
        source: a known name; the path of a file (`.gz` too) or of a folder of texts; a list of paths;
            `io.StringIO`; a list or a column of strings; a frame or Hugging Face data set with one column of
            strings, or one named text.
        encoding: of files.

    Raises:
        ValueError: an unknown name, an unknown encoding, a string that is a text and not a name, an object
            that holds no text.
    """
    encoding = checked_encoding(encoding)
    if isinstance(source, str) and ("\n" in source or len(source) > 1_000):
        raise ValueError(f"expected a name or a path, got a text of {len(source):,} characters; pass it as "
                         f"io.StringIO(text)")
    if isinstance(source, str) and source in sets.names("text"):
        return Texts(source, os.environ.get("DEEPCANON_DATA"),
                     lambda texts: iter([Part(source, named(source))]), "utf-8")
    if isinstance(source, str) and not sets.is_path(source) and not Path(source).exists():
        sets.lookup(source, "text")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            files = found(path)
            return Texts(str(source), versions(files), lambda texts: folder(path, files, texts), encoding)
        return of_paths(str(source), [path], encoding)
    if isinstance(source, list | tuple) and source and all(isinstance(one, os.PathLike) for one in source):
        paths = [Path(path) for path in source]
        name = f"files-{hashlib.sha256(repr(paths).encode()).hexdigest()[:12]}"
        return of_paths(name, paths, encoding)
    strings = strings_of(source)
    digest = hashlib.sha256()
    for string in strings:
        digest.update(string.encode("utf-8", "surrogatepass") + b"\0")
    name = f"strings-{digest.hexdigest()[:12]}"
    return Texts(name, None, lambda texts: (Part(f"text {i}", string) for i, string in enumerate(strings, 1)),
                 encoding)


def of_paths(name: str, paths: list[Path], encoding: str | None) -> Texts:
    """The texts of some files, in this order."""
    def read(_: Texts) -> Iterator[Part]:
        return (Part(str(path), downloads.stream(path)) for path in paths)

    return Texts(name, versions(paths), read, encoding)


def versions(paths: list[Path]) -> Hashable:
    """What changes when one of the files does."""
    return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths
                 if path.is_file())


def named(name: str) -> list[bytes]:
    """The bytes of a named text."""
    if name == "pydoc":
        from pydoc_data.topics import topics

        return ["\n\n".join(topics[topic] for topic in sorted(topics)).encode()]
    (file,) = sets.SETS[name].files
    return [downloads.read(file)]


def found(root: Path) -> list[Path]:
    """The files below a folder that are not hidden, by their path."""
    return sorted((path for path in root.rglob("*") if path.is_file()
                   and not any(p.startswith(".") for p in path.relative_to(root).parts)),
                  key=lambda path: path.relative_to(root).as_posix())


def folder(root: Path, files: list[Path], texts: Texts) -> Iterator[Part]:
    """The texts of a folder; ValueError names all files that cannot be read."""
    chosen = [path for path in files if suffix(path) in SUFFIXES]
    others = sorted({suffix(path) or path.name for path in files if path not in set(chosen)})
    if not chosen:
        raise ValueError(f"{root}: found no text ({', '.join(sorted(SUFFIXES))}), only "
                         f"{', '.join(others) or 'nothing'}; "
                         "pass a list of paths to read other files as text")
    texts.notes = [f"read {counted(len(chosen), 'text')}"]
    if others:
        texts.notes.append(f"left out {counted(len(files) - len(chosen), 'file')} that are no text: "
                           f"{', '.join(others)}")
    wrong = []
    for path in chosen:
        try:
            for _ in decoded(path.relative_to(root).as_posix(), downloads.stream(path), texts.encoding):
                pass
        except (ValueError, OSError) as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError(f"{root}: {counted(len(wrong), 'file')} of {len(chosen)} cannot be read: "
                         f"{'; '.join(wrong)}")
    yield from (Part(str(path), downloads.stream(path)) for path in chosen)


def suffix(path: Path) -> str:
    """The suffix of a file, of what it holds when it is a `.gz`."""
    return (path.with_suffix("") if downloads.is_packed(path) else path).suffix.lower()


def strings_of(source: Any) -> list[str]:
    """The strings that an object holds, in order; ValueError names what is not a string."""
    if isinstance(source, io.StringIO):
        return [source.getvalue()]
    if hasattr(source, "columns") or hasattr(source, "column_names"):
        source = text_column(source)
    if hasattr(source, "to_list"):                          # a column of pandas or polars
        source = source.to_list()
    if isinstance(source, np.ndarray):
        source = source.tolist()
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable) or hasattr(source, "read"):
        raise ValueError(f"expected a name, a path, io.StringIO or strings, got {type(source).__name__}")
    strings = list(source)
    wrong = next((i for i, string in enumerate(strings) if not isinstance(string, str)), None)
    if wrong is not None:
        raise ValueError(f"expected strings, got {type(strings[wrong]).__name__} in row {wrong + 1} of "
                         f"{len(strings)}")
    if not strings:
        raise ValueError("expected a string or more, got none")
    return strings


def text_column(frame: Any) -> Any:
    """The column of a frame or a Hugging Face data set that is named text, or the only one that holds
    strings."""
    names = [str(name) for name in (frame.column_names if hasattr(frame, "column_names") else frame.columns)]
    likely = [name for name in names if name.lower() == "text"]
    likely = likely or [name for name in names if len(frame[name])
                        and isinstance(next(iter(frame[name])), str)]
    if len(likely) != 1:
        raise ValueError(f"expected one column of strings, or one named text, found the columns "
                         f"{', '.join(names)}; "
                         "pass the column itself, such as frame['body']")
    return frame[likely[0]]


class Numbering:
    """Gives every character a number in the order in which they come; in the end, in the order of Unicode."""

    def __init__(self) -> None:
        self.table = np.full(CHARACTERS, -1, dtype=np.int32)
        self.seen: list[int] = []
        self.parts: list[np.ndarray] = []

    def add(self, string: str) -> None:
        """Take in the next characters."""
        points = np.frombuffer(string.encode("utf-32-le", "surrogatepass"), dtype=np.int32)
        ids = self.table[points]
        if (ids < 0).any():
            new = np.unique(points[ids < 0])
            self.table[new] = np.arange(len(self.seen), len(self.seen) + len(new))
            self.seen += new.tolist()
            ids = self.table[points]
        self.parts.append(ids.astype(np.uint8) if len(self.seen) <= 256 else ids)

    def finish(self) -> tuple[Tensor, list[str]]:
        """The numbers of all characters and the vocabulary; the parts are given up one by one."""
        order = np.argsort(np.array(self.seen, dtype=np.int64), kind="stable")
        small = len(self.seen) <= 256
        place = np.empty(len(order), dtype=np.uint8 if small else np.int32)
        place[order] = np.arange(len(order))
        ids = np.empty(sum(map(len, self.parts)), dtype=place.dtype)
        start = 0
        self.parts.reverse()
        while self.parts:
            part = self.parts.pop()
            ids[start : start + len(part)] = place[part]
            start += len(part)
        return torch.from_numpy(ids), [chr(self.seen[i]) for i in order.tolist()]


@lru_cache(maxsize=4)
def numbered(texts: Texts) -> Content:
    """Texts and their vocabulary, one after the other; one copy in memory, however many ask.

    Raises:
        ValueError: a byte that does not fit the encoding, a binary file, a damaged or an endless `.gz` (the
            file is named).
        FileNotFoundError: there is no such file.
    """
    numbering, digest, files, ends = Numbering(), hashlib.sha256(), 0, set()
    for part in texts.read(texts):
        if files:
            numbering.add(BETWEEN)
            digest.update(BETWEEN.encode())
        files += 1
        for string in unified(part, texts.encoding, digest, ends):
            if string:
                numbering.add(string)
    ids, vocabulary = numbering.finish()
    notes = [*texts.notes, *(["line ends \\r\\n and \\r were read as \\n"] if ends else [])]
    say(notes, texts.name)
    return Content(ids, vocabulary, digest.hexdigest(), notes, files)


def unified(part: Part, encoding: str | None, digest: Any, ends: set[str]) -> Iterator[str]:
    """The characters of a text with `\\n` for every line end; bytes are added to the digest as they are
    read."""
    def read(chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    if isinstance(part.content, str):
        if "\0" in part.content:
            raise ValueError(f"{part.name}: found a NUL character at position {part.content.index(chr(0)):,}")
        digest.update(part.content.encode("utf-8", "surrogatepass"))
        strings: Iterable[str] = [part.content]
    else:
        strings = decoded(part.name, read(part.content), encoding)
    ending = io.IncrementalNewlineDecoder(None, translate=True)
    for string in strings:
        yield ending.decode(string)
    yield ending.decode("", final=True)
    if ending.newlines not in (None, "\n"):
        ends.add("\r")
