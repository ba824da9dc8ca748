"""What a segmenter or a captioner says of new pictures: masks and overlays at their own sizes, or captions, and a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepcanon.data.image_decode import decoded
from deepcanon.data.mask_files import nearest, resized
from deepcanon.data.metadata import Metadata
from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.engine.mask_pictures import overlay, palette_png
from deepcanon.engine.samples import write_samples
from deepcanon.engine.word_pictures import words_png
from deepcanon.predictions import Predictions, picture_names


def predict_pictures(method: Any, source: Metadata, files: Sequence[str], path: Path) -> Predictions:
    """Apply a method to picture files one after the other, and write a table and pictures beside it.

    Raises:
        ValueError: a file that cannot be read, by its name.
    """
    say, rows, said = {"masks": mask_of, "captions": caption_of}[source["kind"]], [], []
    device = next(method.parameters()).device
    with evaluation_mode(method):
        for name, stem in zip(files, picture_names(list(files))):
            try:
                picture = decoded(name, channels=source["shape"][0])             # uint8 (C, H, W)
            except ValueError as error:
                raise ValueError(f"{name} cannot be read: {error}") from None
            x = resized(picture[None], *source["shape"][1:]).float() / 255
            header, row, outputs = say(method, source, x.to(device), picture, path.parent / stem)
            rows.append([name, *row])
            said.append(outputs)
    writer = csv.writer(text := io.StringIO(newline=""))
    writer.writerows([["example", *header], *rows])
    write_bytes(path, text.getvalue().encode())
    return Predictions(list(files), torch.stack(said), source.get("classes", []), path, text.getvalue())


def mask_of(method: Any, source: Metadata, x: Tensor, picture: Tensor, stem: Path) -> tuple[list[str], list[str], Tensor]:
    """The mask at the picture's own size, as files; the share of the pixels of each class, or the number of objects."""
    said = method.predict(x).cpu()
    objects = said.ndim == 3
    y = nearest(said if objects else said.argmax(1), *picture.shape[1:])
    clear = objects or source["classes"][0] == "background" or len(source["classes"]) == 2
    write_bytes(stem.with_name(f"{stem.name}_mask.png"), palette_png(y[0], clear))
    write_samples(stem.with_name(f"{stem.name}_overlay"), overlay(picture[None].float() / 255, y, clear))
    if objects:
        return ["objects"], [str(len(y[y > 0].unique()))], y.amax().float()[None]
    shares = torch.bincount(y.flatten(), minlength=len(source["classes"])) / y.numel()
    return source["classes"], [f"{share:.4f}" for share in shares], shares


def caption_of(method: Any, source: Metadata, x: Tensor, picture: Tensor, stem: Path) -> tuple[list[str], list[str], Tensor]:
    """The caption, and a picture of where the method looked for each word."""
    told = method.look(x)[0]
    write_bytes(stem.with_name(f"{stem.name}_words.png"), words_png(x[0].cpu(), told.words, told.weights.cpu()))
    return ["caption"], [" ".join(told.words)], torch.tensor(float(len(told.words)))
