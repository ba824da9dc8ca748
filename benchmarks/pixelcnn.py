"""Drawing 28 x 28 images from a gated PixelCNN of 7 layers, 64 wide: kept activations beside whole passes, batch 16.

    python benchmarks/pixelcnn.py [--rounds 5] [--rows 1]

`whole passes` computes the net's output for all pixels anew at each pixel, as the plain sampler does. Every pixel costs it the same, so the first
`rows` rows are timed and scaled to 28. Both get the same answers; their outputs at those rows are compared, and must agree to 1e-6.
"""

import argparse
import itertools
import statistics
from collections.abc import Generator

import torch
from record import entry, in_turns, record
from torch import Tensor

from deepcanon.autoregressive.density import AutoregressiveDensity, decode
from deepcanon.autoregressive.pixels import Softmax
from deepcanon.nets.pixelcnn import GatedPixelCNN

BATCH, SIDE, TARGET = 16, 28, 200


def answered(outputs: Generator[Tensor, Tensor, None], x: Tensor, pixels: int) -> Tensor:
    """The first outputs, answered with the pixels of x in raster order, (pixels, B, P)."""
    given = [next(outputs)]
    given += [outputs.send(x[:, :, i, j]) for i, j in itertools.islice(itertools.product(range(SIDE), range(SIDE)), pixels - 1)]
    return torch.stack(given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1, help="rows of the plain sampler that are timed")
    args = parser.parse_args()
    torch.manual_seed(0)
    net, x, shape = GatedPixelCNN(1, 2, width=64).eval(), torch.randint(2, (BATCH, 1, SIDE, SIDE)).float(), (1, SIDE, SIDE)
    method, pixels, kept = AutoregressiveDensity(net, Softmax(1, 2), shape=shape), args.rows * SIDE, {}
    turns = {
        "whole passes": lambda: kept.update(plain=answered(decode(net, BATCH, shape), x, pixels)),
        "ours": lambda: method.sample(BATCH),
    }
    seconds = {name: statistics.median(times) for name, times in in_turns(turns, args.rounds).items()}
    rate = {"whole passes": BATCH / (seconds["whole passes"] * SIDE / args.rows), "ours": BATCH / seconds["ours"]}
    error = (answered(net.decode(BATCH, (SIDE, SIDE)), x, pixels) - kept["plain"]).abs().max().item()
    if error > 1e-6:
        raise SystemExit(f"the two samplers differ by {error:.1e} in their logits")
    record("pixelcnn", f"gated PixelCNN, 7 layers x 64, {SIDE}x{SIDE}, batch {BATCH}", "images/s",
           [entry("sampling", rate, "ours", "whole passes", TARGET)], logits_differ_by=error, rounds=args.rounds,
           whole_passes=f"{args.rows} of {SIDE} rows timed and scaled")


if __name__ == "__main__":
    main()
