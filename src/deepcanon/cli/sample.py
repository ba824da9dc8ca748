"""`deepcanon sample`: draw from a trained run."""

from deepcanon.cli.flags import Parser, add_run_options, add_weights, path, run_options, whole
from deepcanon.cli.terminal import readable
from deepcanon.errors import UsageError


def main(words: list[str]) -> None:
    """Write a picture grid or a text, by what the method samples."""
    parser = Parser("sample", "FOLDER [--n N] [--prompt TEXT] [--out FILE]",
                    "Draw from a trained run: a picture grid or a text, by what its method samples.")
    parser.add_argument("run", type=path, metavar="FOLDER", help="a run folder")
    parser.add_argument("--n", type=whole, metavar="N", default=None, help="how many (default 64 pictures, or 1 text)")
    parser.add_argument("--prompt", metavar="TEXT", help="what a language model goes on from")
    parser.add_argument("--length", type=whole, metavar="N", default=500, help="how far a prompt is continued, in tokens (default 500)")
    parser.add_argument("--seed", type=whole, metavar="N", default=0, help="of the random numbers (default 0)")
    parser.add_argument("--out", type=path, metavar="FILE", help="where to (default: into the run folder)")
    add_weights(parser)
    add_run_options(parser, folder=None, quiet=False)
    asked = parser.parse(words)
    if asked.out and asked.out.is_dir():
        raise UsageError(f"sample: --out: {asked.out} is a folder, expected a file")

    from deepcanon import engine, runs

    with engine.options(**run_options(asked)):
        if asked.prompt is not None:
            print(runs.continue_text(asked.run, asked.prompt, asked.length, asked.seed, asked.weights))
            return
        print(readable(runs.sample_folder(asked.run, asked.n, asked.seed, asked.out, asked.weights)))
