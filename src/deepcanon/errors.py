"""What a user reads when something goes wrong: one line, and an exit status.

    2    the command cannot be understood (UsageError)
    1    a mistake that the validation of inputs found: a value, a file, a missing package, a loss that is not finite
    1    an exception of the user's own code (an environment, a data set, a callback), with its file and line
    1    out of memory, with what to lower
    1    anything else: a bug of ours, and the line says so
    128 + n    ended by signal n: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 138 SIGUSR1
    141        the reader of a pipe went away

`--debug` shows the traceback instead.
"""

import contextlib
import errno
import os
import re
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

EXTRAS = {
    "pyarrow": "tables", "openpyxl": "tables", "onnx": "export", "onnxscript": "export", "onnxruntime": "export",
    "sacrebleu": "language", "tokenizers": "language", "scipy": "graphs", "gymnasium": "rl",
    "openTSNE": "explain",
}
SIGNALS = ("SIGTERM", "SIGHUP", "SIGUSR1")             # that end a command beside Ctrl-C
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)      # a write to standard output that fails so names no file
PACKAGE = Path(__file__).parent
LIBRARIES = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
MEMORY = re.compile(r"out of memory|(can't|cannot|unable to|failed to) allocate|not enough memory|bad_alloc"
                    r"|storage size calculation overflowed", re.IGNORECASE)

AS_FLAGS = [
    (r"skip_unreadable=True", "--skip-unreadable"), (r"types=\{'([^']*)': '(\w+)'\}", r"--read 'types=\1:\2'"),
    (r"\btarget=(?![\w'\"])", "--target"), (r"(?<![\w-])size=(\d+)", r"--size \1"),
    (r"(?<![\w'-])(?<!--read )(separator|decimal|encoding|fit|fill|task|names|missing|types|classes|channels"
     r"|count)=", r"--read \1="),
    (r"=\[\.\.\.\]", "=..."),
]


class UsageError(ValueError):
    """A command that cannot be understood."""


class Stopped(SystemExit):
    """A signal that ends the command; its name is the message, 128 + its number the exit status."""

    def __init__(self, name: str):
        super().__init__(128 + signal.Signals[name])
        self.name = name


def report(error: BaseException) -> int:
    """Tell the user in one line; the exit status."""
    _drop_unwritten()
    match error:
        case Stopped():
            return _say(f"stopped by {error.name}", 128 + signal.Signals[error.name])
        case SystemExit(code=str(text)):
            return _say(" ".join(text.split()), 1)
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case KeyboardInterrupt():
            return _say("interrupted", 130)
        case BrokenPipeError():
            return 141
        case UsageError():
            return _say(str(error), 2)
        case _ if is_out_of_memory(error):
            return _say(_memory(error), 1)
        case _ if place := users_place(error):
            words = _message(error) if is_mistake(error) else f"{type(error).__name__}: {_message(error)}"
            return _say(f"{as_flags(words.removesuffix(': '))}; raised in {place}", 1)
        case ModuleNotFoundError(name=str(name)) if (package := name.partition(".")[0]) != "deepcanon":
            install = f"'deepcanon[{EXTRAS[package]}]'" if package in EXTRAS else package
            return _say(f"this needs {package}, which is not installed: pip install {install}", 1)
        case _ if is_mistake(error):
            return _say(as_flags(_message(error)), 1)
        case _:
            kind = type(error).__name__
            return _say(f"{kind}: {_message(error)}; this looks like a bug in deepcanon: run again with --debug for the traceback", 1)


def is_mistake(error: BaseException) -> bool:
    """Whether the message was written for the user: a KeyError counts when it says more than the key, a
    missing module when we say which."""
    if isinstance(error, KeyError):
        return bool(error.args) and isinstance(error.args[0], str) and " " in error.args[0]
    if isinstance(error, ModuleNotFoundError):
        return error.name is None
    return isinstance(error, ValueError | OSError | FloatingPointError)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: in Python, NumPy, or torch on any device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and MEMORY.search(str(error)) is not None


def _memory(error: BaseException) -> str:
    """How much was asked for, where the error says it, and what to lower."""
    text = " ".join(str(error).split())
    found = re.search(r"allocate ([\d.]+ ?[KMGTPE]?i?B\b|[\d.]+ bytes)", text)
    amount = found[1] if found else ""
    if amount.endswith(" bytes") and float(amount.split()[0]) > 2**20:
        amount = f"{float(amount.split()[0]) / 2**30:,.1f} GiB"
    asked = f": {amount} were asked for" if amount else ""
    return f"out of memory{asked}; lower --batch, the --size of pictures, or the width of the nets"


def users_place(error: BaseException) -> str:
    """File and line of the user's own code that raised the error or its cause; "" where none did."""
    chain = [error]
    while (cause := chain[-1].__cause__) and cause not in chain:
        chain.append(cause)
    for raised in reversed(chain):
        for frame in reversed(traceback.extract_tb(raised.__traceback__)):
            if _is_users(frame.filename):
                path = Path(frame.filename)
                near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
                return f"{near}, line {frame.lineno}, {frame.name}"
    return ""


def _is_users(filename: str) -> bool:
    """Whether a file is neither of this package nor of Python or an installed one."""
    path = Path(filename)
    installed = "site-packages" in path.parts or any(path.is_relative_to(library) for library in LIBRARIES)
    return not (filename.startswith("<") or path.is_relative_to(PACKAGE) or installed)


def _message(error: BaseException) -> str:
    """The message on one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror.lower()}"
    elif isinstance(error, OSError) and error.errno in FULL and error.strerror == os.strerror(error.errno):
        text = f"could not write the output: {os.strerror(error.errno).lower()}"
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _say(message: str, status: int) -> int:
    rank = os.environ.get("RANK", "0") if os.environ.get("WORLD_SIZE", "1") != "1" else "0"
    with contextlib.suppress(OSError):                 # nobody reads it any more
        print(f"deepcanon{'' if rank == '0' else f', rank {rank}'}: {message}", file=sys.stderr)
    return status


def _drop_unwritten() -> None:
    """Where standard output takes nothing more (a full disk, a reader that went away), drop what waits for
    it, so that Python's last flush does not fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside the block SIGTERM, SIGHUP and SIGUSR1 raise `Stopped`, so that what is open is closed and a line
    is said; one that is ignored, as under nohup, stays ignored."""
    def stop(number, frame):
        raise Stopped(signal.Signals(number).name)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def as_flags(message: str) -> str:
    """What a message tells a Python user to write, as it is written on the command line: encoding= is --read
    encoding=. A command at its end stays as it is."""
    command = re.search(r"deepcanon (resume|train|prove|compare) .*", message, re.DOTALL)
    words, command = (message[: command.start()], command[0]) if command else (message, "")
    for python, flags in AS_FLAGS:
        words = re.sub(python, flags, words)
    return words + command
