"""What a trained run says of new data: labels with probabilities, values, or pictures.

    <run>/predictions/predictions.csv        one row an example: file or row, label, its probability, that of every class
                      least_certain.png      the pictures of which a classifier is least certain
                      <name>.png             of a method that makes pictures of pictures
                      <name>_mask.png        labels of pixels or numbers of objects, with a palette, at the size of the file
                      <name>_overlay.png     the same drawn over the picture
                      <name>_words.png       where a captioner looked for each word
    what a detector finds stands in the same files (see `box_predictions`)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepcanon.box_predictions import Boxes, boxes_csv, predict_boxes
from deepcanon.data.metadata import Metadata
from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.engine.predictions import probabilities
from deepcanon.engine.record import read_call
from deepcanon.engine.samples import write_samples
from deepcanon.runs import rebuild

SHOWN = 24                                              # pictures in least_certain.png
MOST_COLUMNS = 100                                      # classes that get a column each


class Predictions(NamedTuple):
    """Names of the examples, and for each either probabilities of the classes, or a value, or a picture; or a table of what was found."""

    names: list[str]
    outputs: Tensor
    classes: list[str]
    path: Path
    table: str = ""                                     # CSV, of masks and captions


def predict(folder: str | Path, what: str | Path | Sequence[str | Path] | Any, out: str | Path | None = None,
            weights: str = "weights") -> Predictions | Boxes:
    """Apply the method of a run to new data and write what it says.

    Args:
        folder: the run folder.
        what: for images: files, or folders of them; for a table: a CSV file or a frame with the columns of the training data.
        out: the CSV file; by default predictions/predictions.csv in the run folder.
        weights: "weights" or "best".

    Raises:
        ValueError: the run predicts nothing from such data, or data of another form than it was trained on.
    """
    call = read_call(Path(folder))
    method: Any = rebuild(folder, weights).method
    source = call["sources"][0] if call["sources"] else {}
    path = Path(out) if out else Path(folder) / "predictions" / "predictions.csv"
    if source.get("kind") == "boxes" and hasattr(method, "detect"):
        return predict_boxes(method, source, parts(what), path)
    if source.get("kind") in ("masks", "captions"):
        from deepcanon.picture_predictions import predict_pictures

        return predict_pictures(method, source, [file for part in parts(what) for file in files_of(part)], path)
    if not callable(getattr(method, "predict", None)) or source.get("kind") not in ("images", "table"):
        verbs = [v for v in ("sample", "reconstruct", "encode", "act") if hasattr(method, v)]
        raise ValueError(f"{folder} holds a {type(method).__name__}, which predicts nothing from images or a table" +
                         (f"; in Python it has {', '.join(verbs)}" if verbs else ""))
    names, batches = open_images(what, source) if source["kind"] == "images" else open_rows(what, source)
    with evaluation_mode(method):
        outputs = torch.cat([method.predict(x.to(next(method.parameters()).device)).cpu() for x in batches])
    found = Predictions(names, outputs, source.get("classes", []), path)
    write(found, source, batches)
    return found


def open_images(what: Any, source: Metadata) -> tuple[list[str], list[Tensor]]:
    """Image files as the run saw its own: the same size and channels."""
    from deepcanon.data import images

    channels, height, width = source["shape"]
    same: dict[str, Any] = {"size": height} if height == width else {}
    names, batches = [], []
    for part in parts(what):
        data = images(part, split=None, batch=250, shuffle=False, channels=channels, **same)
        if tuple(data.shape) != (channels, height, width):
            raise ValueError(f"the run was trained on images {(channels, height, width)}, those of {part} are {tuple(data.shape)}")
        inside = Path(part) if isinstance(part, str) and Path(part).is_dir() else Path()
        names += [str(inside / str(path)) for path in data.metadata.get("paths", range(data.count))]
        batches += [x for x, _ in data]
    return names, batches


def files_of(part: Any) -> list[str]:
    """The pictures of a folder or of a list of files; ValueError names what cannot be one."""
    from deepcanon.data.image_content import cannot_read
    from deepcanon.data.image_index import unsplit

    index = unsplit(part, predict=True)
    if index.bad:
        raise ValueError(cannot_read(index, {}))
    return [str(row) for row in index.rows]


def parts(what: Any) -> list[Any]:
    """Each folder by itself, files that follow each other together; an object as it is."""
    given = [what] if isinstance(what, str | Path) else what
    if not (isinstance(given, list | tuple) and given and all(isinstance(w, str | Path) for w in given)):
        return [what]
    found: list[Any] = []
    for is_folder, group in itertools.groupby(map(str, given), lambda part: Path(part).is_dir()):
        some = list(group)
        found += some if is_folder or len(some) == 1 else [some]
    return found


def open_rows(what: Any, source: Metadata) -> tuple[list[str], list[Tensor]]:
    """Rows of a table in the form that the run was trained on."""
    from deepcanon.data.tables import encode_rows

    if isinstance(what, list | tuple) and what and all(isinstance(part, str | Path) for part in what):
        files = [*map(str, what)]
        if len(files) > 1:
            names = ", ".join(files[:3])
            raise ValueError(f"expected one file with the rows of a table, got {len(files)}: {names}")
        what = files[0]
    rows = encode_rows(source, str(what) if isinstance(what, Path) else what)
    return [str(i) for i in range(1, len(rows) + 1)], list(rows.split(1_000))


def write(found: Predictions, source: Metadata, batches: list[Tensor]) -> None:
    """The CSV file, and the pictures beside it."""
    if found.outputs.ndim == 4:
        for name, picture in zip(picture_names(found.names), found.outputs):
            write_samples(found.path.parent / name, picture[None].clamp(0, 1))
        return
    write_bytes(found.path, as_csv(found).encode())
    if source["kind"] == "images" and found.classes:
        write_bytes(found.path.parent / "least_certain.png", least_certain(found, torch.cat(batches)))


def picture_names(names: list[str]) -> list[str]:
    """What the pictures of these examples are called: as their files are, with the folders where two would be the same."""
    stems = [Path(name).stem for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return ["_".join(part for part in Path(name).parts if part not in ("/", "..")) for name in names]


def as_csv(found: Predictions | Boxes) -> str:
    """One row an example, or a box."""
    if isinstance(found, Boxes):
        return boxes_csv(found)
    if found.table:
        return found.table
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if not found.classes:
        writer.writerows([("example", "value"), *((n, f"{v:.6g}") for n, v in zip(found.names, found.outputs.flatten().tolist()))])
        return text.getvalue()
    p = probabilities(found.outputs, len(found.names), len(found.classes))
    every = found.classes if len(found.classes) <= MOST_COLUMNS else []
    writer.writerow(["example", "label", "probability", *every])
    for name, row in zip(found.names, p):
        best = int(row.argmax())
        writer.writerow([name, found.classes[best], f"{row[best]:.4f}", *(f"{v:.4f}" for v in row[: len(every)])])
    return text.getvalue()


def least_certain(found: Predictions, x: Tensor) -> bytes:
    """The examples whose best class has the lowest probability, each with its two likeliest classes, as a PNG picture."""
    import io

    from matplotlib.figure import Figure

    p = probabilities(found.outputs, len(found.names), len(found.classes))
    order = p.max(1).values.argsort()[:SHOWN].tolist()
    columns = min(6, len(order))
    rows = math.ceil(len(order) / columns)
    figure = Figure(figsize=(1.9 * columns, 2.35 * rows), layout="constrained")
    for axes, i in zip(figure.subplots(rows, columns, squeeze=False).flat, order):
        axes.imshow(x[i].permute(1, 2, 0).squeeze(-1).clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        best = p[i].topk(min(2, p.shape[1]))
        lines = "\n".join(f"{found.classes[k][:16]} {100 * v:.0f} %" for v, k in zip(best.values.tolist(), best.indices.tolist()))
        axes.set_title(f"{Path(found.names[i]).name[-18:]}\n{lines}", fontsize=7)
    for axes in figure.axes:
        axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
