"""`deepcanon explain`: why a classifier takes images for what it takes them for, as one page of pictures."""

import argparse
import sys
from pathlib import Path

from deepcanon.cli.flags import Parser, add_run_options, add_weights, data, path, run_options, whole
from deepcanon.cli.terminal import fields, readable

METHODS = (
    "saliency, smooth_grad, integrated_gradients, guided_backprop, deconvolution, grad_cam, occlusion, "
    "attention_rollout of each image; filters, class_pictures, regions, map of the net"
)


def main(words: list[str]) -> None:
    """Write the page, and print where it is."""
    asked = flags().parse(words)

    from deepcanon import engine
    from deepcanon.explaining import explain_images
    from deepcanon.report.explanations import write_explanation

    with engine.options(**run_options(asked)):
        how = {k: v for k, v in vars(asked).items() if k not in ("model", "images", "out")}
        found = explain_images(asked.model, asked.images, **how)
    folder = Path(asked.model) if Path(asked.model).is_dir() else Path()
    page = write_explanation(found, asked.out or folder / "explanations.html")
    for line in found.left_out:
        print(f"deepcanon: note: left out {line}", file=sys.stderr)
    fields([("images", str(found.count)), ("page", readable(page))])


def flags() -> Parser:
    """The words that the verb takes."""
    parser = Parser("explain", "RUN|module:object IMAGES ... [--class C] [--methods ...] [--out FILE]",
                    "Why a classifier takes images for what it takes them for: one page of maps over the "
                    "images, with what the net looks for. A classifier is the folder of a run, or module:object "
                    "(file.py:object) of your own.", f"methods: {METHODS}")
    parser.add_argument("model", metavar="RUN|module:object", type=data,
                        help="a run folder, or an nn.Module or what makes one")
    parser.add_argument("images", nargs="+", metavar="IMAGES", type=data, help="images or folders of them")
    parser.add_argument("--class", dest="target", metavar="C", type=data,
                        help="name or number of the class that is explained (default: the likeliest of each)")
    parser.add_argument("--methods", metavar="A,B", type=listed, default=[],
                        help="some of the methods below (default: all that apply)")
    parser.add_argument("--layer", metavar="NAME", type=data,
                        help="of Grad-CAM and the regions (default: the last maps)")
    parser.add_argument("--size", metavar="INT", type=side,
                        help="pixels a side of the images, for a module:object")
    parser.add_argument("--mean", metavar="A,B,C", type=numbers, default=[],
                        help="mean of each channel of the pixels that a module:object takes, if it does not "
                        "normalise them itself")
    parser.add_argument("--std", metavar="A,B,C", type=numbers, default=[], help="their standard deviations")
    parser.add_argument("--skip-unreadable", action="store_true", help="leave out files that cannot be read")
    parser.add_argument("--out", metavar="FILE", type=path,
                        help="the page (default: explanations.html in the run folder, or here)")
    add_weights(parser)
    add_run_options(parser, folder=None, quiet=False)
    return parser


def listed(text: str) -> list[str]:
    """Names with commas between; the dashes of flags are underscores."""
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got '{text}'")
    return names


def numbers(text: str) -> list[float]:
    """Numbers with commas between."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, got '{text}'") from None


def side(text: str) -> int:
    """A number of pixels above 0."""
    value = whole(text)
    if not isinstance(value, int) or value < 1:
        raise argparse.ArgumentTypeError(f"expected pixels above 0, got '{text}'")
    return value
