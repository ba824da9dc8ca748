"""`deepcanon resume`: go on with a run or a comparison that was stopped."""

from deepcanon.cli import several
from deepcanon.cli.flags import Parser, add_run_options, path, run_options
from deepcanon.cli.terminal import readable
from deepcanon.cli.train import show_run
from deepcanon.errors import UsageError


def main(words: list[str]) -> None:
    """Go on where it was stopped; the bits are those of an unbroken run."""
    parser = Parser("resume", "FOLDER [--anyway]", "Go on where a run or a comparison was stopped; it ends with the same bits as an unbroken one.")
    parser.add_argument("run", type=path, metavar="FOLDER", help="a folder such as runs/vae/20260101-120000")
    parser.add_argument("--anyway", action="store_true", help="even if the code or the data have changed since")
    add_run_options(parser, folder=None)
    asked = parser.parse(words)
    how = run_options(asked)

    from deepcanon import comparison, engine, runs

    with engine.options(**how):
        if comparison.is_comparison(asked.run):
            if several():
                raise UsageError(f"{asked.run} holds a comparison, which runs on one process: leave torchrun out")
            print(readable(comparison.resume(asked.run)))
            return
        run = runs.resume(asked.run, asked.anyway)
    show_run(run, how["quiet"])
