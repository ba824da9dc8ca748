"""Files of the named sets: first the folder `DEEPCANON_DATA`, then the cache, then the network (pooch),
always checked.

What a file holds must have the sum written in `sets.py`; a damaged or truncated one is refused with its name,
what was expected and what was found. A download is written beside its place, over https alone, and gets its
name when its size and its sum are right, so that the cache holds nothing else and two processes may fetch
one file at once; a file of the cache that was damaged since is removed. A file that is larger, or unpacks to
more, than it may is refused before it fills the memory.
"""

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .sets import File, lookup

CHUNK = 4 * 2**20           # bytes that are read at a time
TIMEOUT = 30                # seconds without an answer after which a download is given up
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


class WrongContent(ValueError):
    """A file that is not the one that was meant."""


def download(file: File, target: Path) -> None:
    """Fetch the address to a temporary name, check what came, then rename.

    Raises:
        FileNotFoundError: the address gave nothing; the message says what to do by hand.
        WrongContent: what came is another file or larger than it may be; it was removed.
    """
    import pooch

    def fetch(fname: str, action: Any, pooch: Any, *, check_only: bool | None = None) -> None:
        save(fname, Path(str(action)), file)

    try:
        pooch.retrieve(file.address, known_hash=None, fname=target.name, path=target.parent,
                       downloader=fetch)
    except WrongContent:
        raise
    except (OSError, ValueError) as error:
        why = f"could not download {file.name} ({reason(error)})"
        raise FileNotFoundError(f"{why}; {by_hand(file)}") from error


def save(address: str, output: Path, file: File) -> None:
    """What the address gives, written to `output` and checked; no more is read than the file may have."""
    count = 0
    answer = session().get(address, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    with answer, open(output, "wb") as opened:
        answer.raise_for_status()
        for chunk in answer.iter_content(2**18):
            count += len(chunk)
            if count > file.most:
                raise WrongContent(f"{address} gives more than the {file.most:,} bytes that {file.name} may "
                                   f"have; it was not kept; {by_hand(file)}")
            opened.write(chunk)
    try:
        check(content(output, file, file.name), file, address)
    except ValueError as error:
        words = str(error).replace(str(output), address)
        raise WrongContent(f"{words}; it was not kept; {by_hand(file)}") from None


def session() -> Any:
    """A session of requests that speaks https alone, also where an address leads on to another."""
    import requests

    made = requests.Session()
    del made.adapters["http://"]
    return made


def reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"the server answered {answer.status_code}"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def by_hand(file: File) -> str:
    """What to do where a download is not possible."""
    return (f"fetch {file.address} by hand and put it as {file.name} in the folder that the environment "
            "variable DEEPCANON_DATA names")


def read(file: File) -> bytes:
    """The checked content of a file of a named set, unpacked if it is a plain `.gz`.

    Raises:
        ValueError: another content than is meant. A file of the cache is then removed, one of the user's own
            stays.
    """
    found = path(file)
    try:
        return check(content(found, file), file, str(found))
    except ValueError as error:
        if found.parent != cache():
            raise ValueError(f"{error}; put the right one in its place, or remove it to have it "
                             "fetched") from None
        found.unlink(missing_ok=True)
        raise ValueError(f"{error}; it was removed, the next run fetches it again") from None


def content(found: Path, file: File, name: str = "") -> bytes:
    """What a file of a named set holds, also under a temporary name; a ValueError for one that is larger, or
    unpacks to more, than it may."""
    if (size := found.stat().st_size) > file.most:
        raise ValueError(f"{found} is damaged or another file: it has {size:,} bytes, expected {file.most:,} "
                         "at most")
    return unpacked(found, file.size, name or found.name)


def check(content: bytes, file: File, where: str) -> bytes:
    """The content, if its sum is the one that is written beside the file."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        raise ValueError(f"{where} is damaged or another file: expected content with sha256 {file.sha256}, "
                         f"found {sha256} ({len(content):,} bytes)")
    return content


def unpacked(found: Path, limit: int = 0, name: str = "") -> bytes:
    """The bytes of a file; of what it holds when it is a `.gz` (but not a `.tar.gz`)."""
    return b"".join(stream(found, limit, name))


def is_packed(found: Path) -> bool:
    """Whether a file is unpacked as it is read: a `.gz`, but not a `.tar.gz`."""
    return found.suffix.lower() == ".gz" and not found.name.lower().endswith(".tar.gz")


def stream(found: Path, limit: int = 0, name: str = "") -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is a `.gz`, in chunks; one empty chunk for an empty file.

    Args:
        found: the file.
        limit: bytes that a `.gz` may hold; 0: `LIMIT`.
        name: which tells a `.gz`, where it is not the file's own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a damaged `.gz` file, or one that holds more than it may.
    """
    limit, packed = limit or LIMIT, is_packed(Path(name or found.name))
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {found}")
    count = 0
    try:
        with gzip.open(found) if packed else open(found, "rb") as opened:
            while (chunk := opened.read(CHUNK)) or not count:
                yield chunk
                count += len(chunk)
                if not chunk:
                    return
                if packed and count > limit:
                    raise ValueError(f"{found} unpacks to more than the {limit:,} bytes expected of it at "
                                     "most; unpack it by hand if it is meant to be that large")
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
