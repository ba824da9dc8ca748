"""`deepcanon export`: a trained method as a file that opens without this library."""

from deepcanon.cli.flags import Parser, add_run_options, add_weights, path, reader, run_options
from deepcanon.cli.terminal import readable


def main(words: list[str]) -> None:
    """Write the file or folder and print its path."""
    parser = Parser("export", "FOLDER [--to torch|onnx|folder]",
                    "The trained method of a run as a file that opens without this library; it is read again and must give "
                    "the method's own outputs.")
    parser.add_argument("run", type=path, metavar="FOLDER", help="a run folder")
    parser.add_argument("--to", default="folder", metavar="FORM", type=reader(["Literal['torch', 'onnx', 'folder']"]),
                        help="torch (torch.export), onnx, or folder (torch.export with a README; the default)")
    parser.add_argument("--out", type=path, metavar="DIR",
                        help="where to (default: export/ in the run folder)")
    add_weights(parser)
    add_run_options(parser, folder=None, quiet=False)
    asked = parser.parse(words)

    from deepcanon import engine
    from deepcanon.exporting import export

    with engine.options(**run_options(asked)):
        print(readable(export(asked.run, asked.to, asked.out, asked.weights)))
