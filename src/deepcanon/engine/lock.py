"""One process a run folder: a file `lock` in it, which names the process that holds it.

The operating system releases the lock when its process ends, however it ends, so that a killed run leaves nothing in the way. Where the file system
has no such locks, the process that the file names must be gone from its host.
"""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

NAME = "lock"


class Lock:
    """The lock of a run folder, held until `release`.

    Raises:
        ValueError: another process holds it.
    """

    def __init__(self, folder: Path):
        self.path, self.descriptor = folder / NAME, -1
        self.acquire()

    def acquire(self) -> None:
        """Take the lock; again, where the folder was removed and made anew."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not exclusive(descriptor, self.path):
                os.close(descriptor)
                raise ValueError(f"{self.path.parent} is being written by {holder(self.path)}: wait for it, stop it, or name another folder")
            if self.is_there(descriptor):
                break
            os.close(descriptor)                                       # its last holder removed it in between
        self.drop()
        self.descriptor = descriptor
        os.ftruncate(descriptor, 0)
        about = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        os.write(descriptor, (json.dumps(about) + "\n").encode())

    def is_there(self, descriptor: int) -> bool:
        """Whether the open file is the one at the path."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    @property
    def held(self) -> bool:
        """Whether the file is still where it was taken."""
        return self.descriptor >= 0 and self.is_there(self.descriptor)

    def drop(self) -> None:
        """Close the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def release(self) -> None:
        """Remove the file, and let others in."""
        if self.held:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.drop()


def exclusive(descriptor: int, path: Path) -> bool:
    """Whether the lock is ours now."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except (ImportError, OSError):                                     # no such locks on this system or file system
        about = read(path)
        return not about or (about["host"] == socket.gethostname() and not is_alive(about["process"]))


def read(path: Path) -> dict[str, Any]:
    """What the file says of the process that holds it; nothing if it says nothing yet."""
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) and {"process", "host", "since"} <= about.keys() else {}


def holder(path: Path) -> str:
    """The process that holds a lock, in words."""
    about = read(path)
    return f"process {about['process']} on {about['host']} since {about['since']}" if about else "another process"


def is_alive(process: int) -> bool:
    """Whether a process of that number is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
