"""`deepcanon predict`: what a trained run says of new files."""

import sys
from collections import Counter
from typing import Any

from deepcanon.cli.flags import Parser, add_run_options, add_weights, data, path, run_options
from deepcanon.cli.terminal import fields, readable, table


def main(words: list[str]) -> None:
    """Write a CSV file of labels with probabilities, and print where it is."""
    parser = Parser("predict", "FOLDER FILES [--out FILE]", 
                    "What a trained run says of new images (files or folders) or of the rows of a CSV file: labels with "
                    "probabilities as CSV, and pictures of those of which it is least certain; masks; captions.")
    parser.add_argument("run", type=path, metavar="FOLDER", help="a run folder")
    parser.add_argument("files", nargs="+", metavar="FILES", type=data,
                        help="images, folders of images, or a CSV file")
    parser.add_argument("--out", metavar="FILE", type=data,
                        help="the CSV file, - for standard output (default: predictions/predictions.csv in "
                        "the run folder)")
    add_weights(parser)
    add_run_options(parser, folder=None, quiet=False)
    asked = parser.parse(words)

    from deepcanon import engine
    from deepcanon.box_predictions import Boxes
    from deepcanon.predictions import as_csv, predict

    with engine.options(**run_options(asked)):
        found = predict(asked.run, asked.files, None if asked.out == "-" else asked.out, asked.weights)
    if asked.out == "-":
        sys.stdout.write(as_csv(found))
        return
    if isinstance(found, Boxes):
        print_boxes(found)
        return
    if found.outputs.ndim == 4 or found.table:
        print(readable(found.path.parent))
        return
    if found.classes:
        counts = Counter(found.outputs.argmax(1).tolist()).most_common()
        table(["label", "examples"], [[found.classes[k], str(n)] for k, n in counts])
        print()
    picture = found.path.parent / "least_certain.png"
    fields([("examples", str(len(found.names))), ("predictions", readable(found.path)),
            ("least certain", readable(picture) if picture.exists() else "")])


def print_boxes(found: Any) -> None:
    """How many boxes of each class were found, and where they were written."""
    counts = Counter(found.classes[k] for d in found.found for k in d.labels.tolist())
    table(["label", "boxes"], [[name, str(n)] for name, n in counts.most_common()])
    print()
    fields([("pictures", str(len(found.names))), ("predictions", readable(found.path)),
            ("COCO", readable(found.path.with_suffix(".json")))])
