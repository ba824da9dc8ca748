"""Bytes to characters: which encoding a file has, and the place of the first byte that does not fit it.

A byte order mark decides; without one a file is UTF-8 unless its user says otherwise. Chunks are decoded as
they are read.
"""

import codecs
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import downloads

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Scan(NamedTuple):
    """What one pass over a file tells: its encoding, whether that was a guess, and the sha256 of its
    content."""

    encoding: str
    guessed: bool
    sha256: str


def checked_encoding(encoding: str | None) -> str | None:
    """The encoding's own name; ValueError when Python does not know it as an encoding of text."""
    if encoding is None:
        return None
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        raise ValueError(f"there is no text encoding {encoding!r}; try 'utf-8', 'utf-16', 'latin-1' or "
                         f"'cp1252'") from None
    return codecs.lookup(encoding).name


def marked_encoding(start: bytes) -> str | None:
    """The encoding that a byte order mark at the start of a file names."""
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), None)


def decoded(name: str, chunks: Iterable[bytes], encoding: str | None = None) -> Iterator[str]:
    """The characters of a file, a chunk at a time, without the byte order mark.

    Args:
        name: of the file, for messages.
        chunks: its bytes.
        encoding: None: what the byte order mark says, else UTF-8.

    Raises:
        ValueError: a byte that does not fit (file, byte and position are named), or NUL characters.
    """
    decoder: codecs.IncrementalDecoder | None = None
    position = characters = 0
    for chunk, last in with_last(chunks):
        if decoder is None:
            used = encoding or marked_encoding(chunk) or "utf-8"
            decoder = codecs.getincrementaldecoder(used)()
        pending = len(decoder.getstate()[0])
        try:
            string = decoder.decode(chunk, last)
        except UnicodeDecodeError as error:
            place = position - pending + error.start
            raise ValueError(f"{name}: expected {used.upper()} text, found the byte "
                             f"0x{error.object[error.start]:02x} "
                             f"at position {place:,}; if it has another encoding, set encoding=") from None
        if "\0" in string:
            raise ValueError(f"{name}: found a NUL character at position "
                             f"{characters + string.index(chr(0)):,}; this is a "
                             "binary file, or text in UTF-16 without a byte order mark (then set "
                             "encoding='utf-16-le')")
        yield string.removeprefix("\ufeff") if position == 0 else string
        position, characters = position + len(chunk), characters + len(string)


def with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Every chunk, and whether it is the last one."""
    before = None
    for chunk in chunks:
        if before is not None:
            yield before, False
        before = chunk
    if before is not None:
        yield before, True


def scan(path: Path, encoding: str | None = None) -> Scan:
    """Find the encoding of a file that may be no UTF-8: then it is taken for Windows' (bytes 0x80 to 0x9f) or
    Latin-1.

    Raises:
        ValueError: a byte that does not fit the given or marked encoding, NUL characters, a damaged `.gz`
            file.
    """
    digest, marked, high = hashlib.sha256(), None, set()

    def seen() -> Iterator[bytes]:
        nonlocal marked
        for i, chunk in enumerate(downloads.stream(path)):
            marked = marked_encoding(chunk) if i == 0 else marked
            digest.update(chunk)
            yield chunk

    try:
        for _ in decoded(str(path), seen(), checked_encoding(encoding)):
            pass
        return Scan(checked_encoding(encoding) or marked or "utf-8", False, digest.hexdigest())
    except ValueError:
        if encoding or marked:
            raise
        digest = hashlib.sha256()
        for chunk in seen():
            high |= {byte for byte in set(chunk) if byte < 0xA0}
        if 0 in high:
            raise
    windows = set(range(0x80, 0xA0)) & high and not high & {0x81, 0x8D, 0x8F, 0x90, 0x9D}
    return Scan("cp1252" if windows else "latin-1", True, digest.hexdigest())
