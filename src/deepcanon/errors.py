"""What a user reads when something goes wrong: one line, and an exit status.

    2    the command cannot be understood (UsageError)
    1    a mistake that the validation of inputs found: a value, a file, a missing package, a loss that is not finite
    1    anything else: a bug of ours, and the line says so
    130, 143    Ctrl-C, SIGTERM; 141 when the reader of a pipe went away

`--debug` shows the traceback instead.
"""

import os
import re
import sys

EXTRAS = {
    "pyarrow": "tables", "openpyxl": "tables", "onnx": "export", "onnxscript": "export", "onnxruntime": "export",
    "sacrebleu": "language", "tokenizers": "language", "scipy": "graphs", "gymnasium": "rl",
}


AS_FLAGS = [
    (r"skip_unreadable=True", "--skip-unreadable"), (r"types=\{'([^']*)': '(\w+)'\}", r"--read 'types=\1:\2'"),
    (r"\btarget=(?![\w'\"])", "--target"), (r"(?<![\w-])size=(\d+)", r"--size \1"),
    (r"(?<![\w'-])(?<!--read )(separator|decimal|encoding|fit|fill|task|names|missing)=", r"--read \1="), (r"=\[\.\.\.\]", "=..."),
]


class UsageError(ValueError):
    """A command that cannot be understood."""


def report(error: BaseException) -> int:
    """Tell the user in one line; the exit status."""
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case KeyboardInterrupt():
            return _say("interrupted", 130)
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())             # so that Python's last flush has a reader
            return 141
        case UsageError():
            return _say(str(error), 2)
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] in EXTRAS:
            package = (error.name or "").partition(".")[0]
            return _say(f"this needs {package}, which is not installed: pip install 'deepcanon[{EXTRAS[package]}]'", 1)
        case _ if is_mistake(error):
            return _say(as_flags(_message(error)), 1)
        case _:
            kind = type(error).__name__
            return _say(f"{kind}: {_message(error)}; this looks like a bug in deepcanon: run again with --debug for the traceback", 1)


def is_mistake(error: BaseException) -> bool:
    """Whether the message was written for the user: a KeyError counts when it says more than the key."""
    if isinstance(error, KeyError):
        return bool(error.args) and isinstance(error.args[0], str) and " " in error.args[0]
    return isinstance(error, ValueError | OSError | FloatingPointError)


def _message(error: BaseException) -> str:
    """The message on one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror.lower()}"
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split())


def _say(message: str, status: int) -> int:
    rank = os.environ.get("RANK", "0") if os.environ.get("WORLD_SIZE", "1") != "1" else "0"
    print(f"deepcanon{'' if rank == '0' else f', rank {rank}'}: {message}", file=sys.stderr)
    return status


def as_flags(message: str) -> str:
    """What a message tells a Python user to write, as it is written on the command line: encoding= is --read encoding=."""
    for python, flags in AS_FLAGS:
        message = re.sub(python, flags, message)
    return message
