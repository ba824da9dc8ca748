"""The command line: `deepcanon VERB ...`, one file a verb, each with `main(words) -> exit status or None`.

Looking around (list, find, show, any --help) reads the catalogue and imports no torch. The flags of a recipe are made from its signature,
so that `deepcanon train vae --data mnist --beta 4` and `deepcanon.recipes.vae("mnist", beta=4)` are the same call.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TextIO

from deepcanon import __version__, errors
from deepcanon.catalogue import suggest
from deepcanon.errors import UsageError

HELP = f"""\
deepcanon: the deep-learning canon, every method in one short file, checked, trained by one command

usage: deepcanon VERB ...          deepcanon VERB --help says more

look around
  list                  the methods; `list systems` and `list AREA` for the whole catalogue
  find WORDS            methods and systems near these words, misspelt as they may be
  show NAME             equation, paper, file, presets and proofs of a system or a method
  claims                statements of the course, and what experiments say of them

run
  train NAME            train it, on your data or a known set: deepcanon train vae --data ./photos
  resume FOLDER         go on where a run or a comparison was stopped, to the same bits
  evaluate FOLDER       the numbers of a trained run, measured again
  compare NAME ...      several methods or settings under one budget, one report
  prove NAME            run with several seeds and check the target

use
  predict FOLDER FILES  what a trained run says of new files
  explain FOLDER FILES  what in each image the answer of a classifier rests on
  sample FOLDER         draw from a trained run
  export FOLDER         the trained method as a file that opens without this library

data
  data check PATH       what would be read of your own data, and what would not
  data list             the known data sets
  data get NAME         fetch one
  data where NAME       where its files are

anywhere
  --help                this, or the help of a verb
  --debug               show the traceback of an error
  --version             {__version__}

first steps: deepcanon train vae
"""
SPINS = "2000"                                           # some microseconds
SEVERAL = ("train", "resume")                            # what several processes do together
VERBS = ("list", "find", "show", "claims", "train", "resume", "evaluate", "compare", "prove", "predict", "explain", "sample", "export", "data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    debug = "--debug" in words
    try:
        warnings.showwarning = plainly
        spin_briefly()
        with one_voice(), errors.stopped_by_signals():
            status = dispatch([word for word in words if word != "--debug"])
            sys.stdout.flush()
            return status
    except BaseException as error:
        if debug and not isinstance(error, SystemExit | BrokenPipeError):
            raise
        return errors.report(error)


def spin_briefly() -> None:
    """Let a thread that waits for others go to sleep soon, unless the user has said how threads wait.

    GNU OpenMP, which torch's wheels for Linux use, spins for milliseconds: on a machine that has other work every step then waits for threads that do
    nothing. It reads this when torch is loaded, which none of the command line's modules has done by now. `benchmarks/busy.py` measures it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def plainly(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None) -> None:
    """A warning as one line: what the user should know, not where in the code it was said."""
    print(f"deepcanon: note: {errors.as_flags(str(message))}", file=file or sys.stderr)


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """Of the processes that torchrun starts, the first prints what there is to say; the others print nothing but errors."""
    if not several() or os.environ.get("RANK") == "0":
        yield
        return
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        yield


def several() -> bool:
    """Whether this process is one of several that torchrun has started."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def dispatch(words: list[str]) -> int:
    """Call the verb; 0, or the status that it returns."""
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    if verb in ("--help", "-h", "help"):
        print(HELP, end="")
        return 0
    if verb == "--version":
        print(f"deepcanon {__version__}")
        return 0
    if verb not in VERBS:
        kind = "flag" if verb.startswith("-") else "verb"
        raise UsageError(f"no {kind} '{verb}'{suggest(verb, [*VERBS, '--help', '--version']) or '; see deepcanon --help'}")
    if several() and verb not in SEVERAL:
        raise UsageError(f"'{verb}' runs on one process: leave torchrun out; {' and '.join(SEVERAL)} run on several")
    return import_module(f"deepcanon.cli.{verb}").main(rest) or 0
