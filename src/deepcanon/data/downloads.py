"""Files of the named sets: first the folder `DEEPCANON_DATA`, then the cache, then the network (pooch),
always checked.

What a file holds must have the sum written in `sets.py`; a damaged or truncated one is refused with its name,
what was expected and what was found. A file that unpacks to more than it may is refused before it fills the
memory.
"""

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from .sets import File, lookup

CHUNK = 4 * 2**20           # bytes that are read at a time
LIMIT = 4 * 2**30           # bytes that a packed file of the user's own may hold


def cache() -> Path:
    """Where downloaded files are kept."""
    import pooch

    return Path(pooch.os_cache("deepcanon"))


def local(name: str) -> Path | None:
    """The file of that name, or of that name and `.gz`, in `DEEPCANON_DATA`; None when there is none."""
    folder = os.environ.get("DEEPCANON_DATA")
    candidates = [Path(folder) / name, Path(folder) / f"{name}.gz"] if folder else []
    return next((path for path in candidates if path.is_file()), None)


def where(name: str) -> list[Path]:
    """The files of a named set that are on this machine already."""
    return [path for file in lookup(name).files if (path := local(file.name)
                                                    or cache() / file.name).is_file()]


def get(name: str) -> list[Path]:
    """The files of a named set, fetched where they are missing, each checked."""
    files = lookup(name).files
    for file in files:
        read(file)
    return [path(file) for file in files]


def path(file: File) -> Path:
    """The file on this machine, downloaded to the cache if it is not here yet."""
    found = local(file.name) or cache() / file.name
    if not found.is_file():
        download(file, found)
    return found


def download(file: File, target: Path) -> None:
    """Fetch the address to a temporary name, then rename; FileNotFoundError says what to do by hand."""
    import pooch

    try:
        pooch.retrieve(file.address, known_hash=None, fname=target.name, path=target.parent,
                       progressbar=False)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"could not download {file.name} ({type(error).__name__}); fetch {file.address} by hand "
            f"and put it as {file.name} in the folder that the environment variable DEEPCANON_DATA "
            "names") from error


def read(file: File) -> bytes:
    """The checked content of a file of a named set, unpacked if it is a plain `.gz`."""
    found = path(file)
    content = unpacked(found, limit=file.size)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        raise ValueError(f"{found} is damaged or another file: expected content with sha256 {file.sha256}, "
                         f"found {sha256} "
                         f"({len(content):,} bytes); delete it to fetch it again")
    return content


def unpacked(found: Path, limit: int = 0) -> bytes:
    """The bytes of a file; of what it holds when it is a `.gz` (but not a `.tar.gz`)."""
    return b"".join(stream(found, limit))


def is_packed(found: Path) -> bool:
    """Whether a file is unpacked as it is read: a `.gz`, but not a `.tar.gz`."""
    return found.suffix.lower() == ".gz" and not found.name.lower().endswith(".tar.gz")


def stream(found: Path, limit: int = 0) -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is a `.gz`, in chunks; one empty chunk for an empty file.

    Args:
        found: the file.
        limit: bytes that a `.gz` may hold; 0: `LIMIT`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a damaged `.gz` file, or one that holds more than it may.
    """
    limit = limit or LIMIT
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {found}")
    count = 0
    try:
        with gzip.open(found) if is_packed(found) else open(found, "rb") as opened:
            while (chunk := opened.read(CHUNK)) or not count:
                yield chunk
                count += len(chunk)
                if not chunk:
                    return
                if is_packed(found) and count > limit:
                    raise ValueError(f"{found} unpacks to more than the {limit:,} bytes expected of it at "
                                     f"most; unpack it by hand "
                                     "if it is meant to be that large")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{found} is damaged: expected a whole gzip file, found: {error}") from None


def check_zip(found: Path) -> None:
    """Refuse a zip file (`.npz`, `.xlsx`) that unpacks to more than `LIMIT` bytes, or that is damaged
    (ValueError)."""
    try:
        with zipfile.ZipFile(found) as archive:
            count = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{found} is damaged: expected a whole zip file, found: {error}") from None
    if count > LIMIT:
        raise ValueError(f"{found} unpacks to {count:,} bytes, more than the {LIMIT:,} allowed")
