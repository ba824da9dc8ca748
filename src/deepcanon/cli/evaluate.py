"""`deepcanon evaluate`: measure a trained run again."""

from deepcanon.cli.flags import Parser, add_run_options, add_weights, path, run_options
from deepcanon.cli.terminal import fields
from deepcanon.cli.train import results_fields


def main(words: list[str]) -> None:
    """Print the numbers of a run, measured on its test data."""
    parser = Parser("evaluate", "FOLDER", "Measure a trained run again, on its test data.")
    parser.add_argument("run", type=path, metavar="FOLDER", help="a run folder")
    add_weights(parser)
    add_run_options(parser, folder=None, quiet=False)
    asked = parser.parse(words)

    from deepcanon import engine, runs
    from deepcanon.engine.record import read_call
    from deepcanon.grammar import bounds

    with engine.options(**run_options(asked)):
        results = runs.evaluate_folder(asked.run, asked.weights)
    fields(results_fields(results, bounds(read_call(asked.run).get("target", {}))))
