"""What is measured of segmenters and captioners on test images, and the pictures and tables that show it.

    evaluation/classes.csv      IoU, Dice and share of the pixels of each class
    evaluation/captions.csv     every caption beside a true one; words_0.png, ...: where the method looked for each word
"""

import csv
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepcanon.data.caption_data import Split, opened, words_of
from deepcanon.data.source import Source
from deepcanon.engine import Samples
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.engine.mask_pictures import overlay
from deepcanon.engine.word_pictures import words_png
from deepcanon.metrics.segmentation import class_dice, class_iou, mean_iou, pixel_confusion
from deepcanon.metrics.sequences import bleu

LOOKED_INTO = 4                                         # test images whose words are drawn with what was looked at


class PixelClasses:
    """How well pixels are labelled, pooled over the test images; the numbers of each class go into the run folder."""

    def __init__(self, source: Source):
        self.source = source

    def __call__(self, method: Any) -> dict[str, float]:
        counts = self.counts(method)
        scores = class_dice(counts)
        return {"mean_iou": mean_iou(counts), "dice": float(scores[1] if len(scores) == 2 else scores.mean())}

    def counts(self, method: Any) -> Tensor:
        device = next(method.parameters()).device
        maps = ((method.predict(x.to(device)).argmax(1).cpu(), y) for x, y in self.source.test())
        return torch.stack([pixel_confusion(predicted, y, self.source.num_classes) for predicted, y in maps]).sum(0)

    def write(self, folder: Path, method: Any) -> None:
        """IoU, Dice and share of the pixels of each class, as evaluation/classes.csv."""
        counts = self.counts(method)
        numbers = zip(self.source.classes, class_iou(counts), class_dice(counts), counts.sum(1) / counts.sum())
        rows = [f'"{name}",{iou:.4f},{dice:.4f},{share:.4f}' for name, iou, dice, share in numbers]
        write_bytes(Path(folder) / "evaluation" / "classes.csv", "\n".join(["class,iou,dice,share", *rows, ""]).encode())


class Sentences:
    """Captions of the test images, each once: BLEU against all of an image's captions, in small letters without marks."""

    def __init__(self, source: Source, beam: int):
        self.source, self.beam = source, beam

    def __call__(self, method: Any) -> dict[str, float]:
        said, split = self.said(method)
        references = [[" ".join(words_of(text)) for text in texts] for texts in split.texts]
        return {"bleu": bleu(said, references).score, "exact": sum(map(list.__contains__, references, said)) / len(said)}

    def said(self, method: Any) -> tuple[list[str], Split]:
        split, device = opened(self.source.data, "test", **self.source.options), next(method.parameters()).device
        parts = [method.generate(x.to(device).float() / 255, beam=self.beam) for x in split.x.split(100)]
        return [text for part in parts for text in part], split

    def write(self, folder: Path, method: Any) -> None:
        """Every caption beside the first true one, evaluation/captions.csv, and pictures of what was looked at."""
        said, split = self.said(method)
        rows = zip(("file", *split.names), ("caption", *said), ("truth", *(texts[0] for texts in split.texts)))
        csv.writer(text := io.StringIO()).writerows(rows)
        write_bytes(Path(folder) / "evaluation" / "captions.csv", text.getvalue().encode())
        device = next(method.parameters()).device
        for i, x in enumerate(split.x[:LOOKED_INTO].float() / 255):
            told = method.look(x[None].to(device), beam=self.beam)[0]
            write_bytes(Path(folder) / "evaluation" / f"words_{i}.png", words_png(x, told.words, told.weights.cpu()))


def overlays(source: Source) -> Samples:
    """Predicted masks over test images, beside the true ones."""
    rows = torch.linspace(0, source.test_count - 1, min(9, source.test_count)).long()
    clear = bool(source.options.get("instances")) or source.classes[0] == "background"

    def drawn(method: Any) -> Tensor:
        predicted = method.predict(source.test().take(rows).at(0)[0].to(next(method.parameters()).device)).cpu()
        return overlay(source.test().take(rows).at(0)[0], predicted.argmax(1) if predicted.ndim == 4 else predicted, clear)

    def true() -> Tensor:
        x, y = source.test().take(rows).at(0)
        return overlay(x, y, clear)

    return Samples(drawn, beside=true)
