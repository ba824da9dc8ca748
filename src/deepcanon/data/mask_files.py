"""A folder of images and a folder of masks: which belong together, what the masks' values mean, one size for all.

    cells/images/a/7.jpg, cells/masks/a/7.png               a pair: equal paths without suffix (or 7_mask.png)
    cells/train/images/7.jpg, cells/images/train/7.jpg      with a folder for the split above or below

What a mask's values are:
    palette (mode P)    indices are the labels, 255 is ignored
    grey                labels 0 to K - 1, 255 is ignored; or black and white, also with soft edges: above 127 is 1
    colour              refused, unless it is grey in fact
The names of the labels stand in `classes.txt` beside the folders, one a line; without it they are their numbers.
"""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deepcanon.layers.components import connected_components

from . import folder
from .array_read import finite
from .batches import Content
from .image_decode import decoded, looked_at, opened
from .image_notices import collected, say, some
from .notices import counted

IMAGES = {"images", "image", "img", "imgs", "photos", "x", "jpegimages", "rgb"}
MASKS = {"masks", "mask", "labels", "label", "annotations", "annotation", "annot", "segmentation", "instances", "gt", "y"}
LARGEST, SIZE = 256, 128        # pixels a side that `size="auto"` keeps, and that it resizes to otherwise
IGNORED, BRIGHT = 255, 239      # the label that does not count; of black and white, what is white in spite of soft edges
MOST_LABELS = 128               # in grey masks; more are grey tones
SOFT = 0.2                      # the share of pixels between black and white that soft edges may have


class Pairs(NamedTuple):
    """What a folder holds: paths of images and their masks, by their common name, with their splits; what is left out."""

    root: Path
    names: list[str]
    images: list[Path]
    masks: list[Path]
    splits: list[str] | None
    left_out: dict[str, list[str]]
    classes: list[str]


class Form(NamedTuple):
    """What images and masks are brought to: the side (None: as they are), channels, and how values are read."""

    size: int | None
    channels: int
    binary: bool
    classes: list[str]
    notes: list[str]


def folder_content(source: str, split: str | None, size: int | str | None, channels: int | None, instances: bool) -> Content:
    """The pairs of a split, masks as labels or, with `instances`, as numbers of objects."""
    pairs = paired(Path(source))
    form = formed(pairs, size, channels, instances)
    for line in [*told(pairs), *form.notes]:
        say(f"{pairs.root}: {line}")
    rows = rows_of(pairs, split)
    if split == "train":
        rows_of(pairs, "test")
    x, y = zip(*(pair(pairs, row, form, instances) for row in rows), strict=True)
    x = equal_sizes(pairs, rows, x)
    sizes = [pairs.images[row].stat().st_size + pairs.masks[row].stat().st_size for row in rows]
    metadata: dict[str, Any] = {"classes": form.classes, "sha256": folder.listing([pairs.names[row] for row in rows], sizes)}
    if split is None:
        metadata["paths"] = [str(pairs.images[row]) for row in rows]
    return Content(x, torch.stack(y), 255, metadata)


def paired(root: Path) -> Pairs:
    """Images and masks below a folder that have one name.

    Raises:
        FileNotFoundError: no folder, no images or no masks.
        ValueError: no image has a mask; folders for some splits only.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    found = folder.scan(root)
    sides: dict[str, dict[str, str]] = {"images": {}, "masks": {}}
    for path in found.pictures:
        *above, name = path.split("/")
        kinds = [word for part in above if (word := kind_of_folder(part))]
        if kinds:
            stem = PurePath(name).stem
            stem = stem.removesuffix("_mask") if kinds[0] == "masks" else stem
            sides[kinds[0]]["/".join([part for part in map(shortened, above) if part] + [stem])] = path
    for side, paths in sides.items():
        if not paths:
            raise FileNotFoundError(f"{root} has no folder of {side} (expected {root / side} with pictures in it, "
                                    f"such as {root / side / '1.png'})")
    images, masks = sides["images"], sides["masks"]
    names = sorted(images.keys() & masks.keys())
    if not names:
        raise ValueError(f"{root}: no image has a mask of its name: the images are {some(sorted(images))}, "
                         f"the masks are {some(sorted(masks))}")
    left = {"images without a mask": sorted(images.keys() - masks.keys()),
            "masks without an image": sorted(masks.keys() - images.keys()),
            "not pictures": [name for name in found.others if name != "classes.txt"],
            "unreadable": [f"{name}: {why}" for name, why in found.bad.items()]}
    return Pairs(root, names, [root / images[n] for n in names], [root / masks[n] for n in names], splits_of(root, names),
                 left, class_names(root))


def kind_of_folder(name: str) -> str:
    """images or masks, where a folder's name says so; the rest of trainannot or img_dir does not matter."""
    words = name.lower().replace("-", "_").split("_")
    known = {word: kind for kind, words in (("images", IMAGES), ("masks", MASKS)) for word in words}
    return next((known[word] for word in words if word in known), "")


def shortened(part: str) -> str:
    """The name of a folder in that of a pair: that of images and masks falls away, a split has its own name."""
    split, rest = folder.role(part)
    return split if split and (not rest or kind_of_folder(part)) else "" if kind_of_folder(part) else part


def has_masks(root: Path) -> bool:
    """Whether a folder looks like images with masks: both kinds of folders lie in it, or in its folders."""
    kinds = {kind_of_folder(path.name) for path in [*root.glob("*/"), *root.glob("*/*/")] if path.is_dir()}
    return {"images", "masks"} <= kinds


def splits_of(root: Path, names: Sequence[str]) -> list[str] | None:
    """The split of each pair by its folders; None where there are no such folders."""
    splits = [next((part for part in name.split("/")[:-1] if part in folder.NAMES), "") for name in names]
    if not any(splits):
        return None
    if lost := [name for name, split in zip(names, splits, strict=True) if not split]:
        raise ValueError(f"{root}: some pairs lie in folders of splits and others do not: {some(lost)}")
    if "test" not in splits:
        splits = ["test" if split == "val" else split for split in splits]
    if missing := {"train", "test"} - set(splits):
        raise FileNotFoundError(f"{root} has folders for {' and '.join(sorted(set(splits)))}, none for {missing.pop()}")
    return splits


def class_names(root: Path) -> list[str]:
    """The lines of `classes.txt`; none where there is no such file."""
    path = root / "classes.txt"
    return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()] if path.is_file() else []


def told(pairs: Pairs) -> list[str]:
    """What is left out, in one line each."""
    return [f"{counted(len(names), 'file')} left out, {why}: {some(names)}" for why, names in pairs.left_out.items() if names]


def rows_of(pairs: Pairs, split: str | None) -> list[int]:
    """The pairs of a split; where there are no splits, one pair in five is for testing."""
    if split is None:
        return list(range(len(pairs.names)))
    splits = pairs.splits or ["test" if test else "train" for test in folder.held_out(pairs.names, [0] * len(pairs.names))]
    rows = [row for row, one in enumerate(splits) if one == split]
    if not rows:
        raise ValueError(f"{pairs.root}: no pair falls into the {split} split ({counted(len(splits), 'pair')} in all)")
    return rows


def formed(pairs: Pairs, size: int | str | None, channels: int | None, instances: bool) -> Form:
    """One form for all, from the headers of the images and the values of the masks.

    Raises:
        ValueError: a pair that cannot be read or differs in size; values that are no labels.
    """
    looks, notes, bad = [], [], []
    for image, mask in zip(pairs.images, pairs.masks, strict=True):
        try:
            looks.append(looked_at(image))
        except ValueError as error:
            bad.append(f"{image.relative_to(pairs.root)}: {error}")
            continue
        try:
            with opened(mask) as picture:
                if picture.size != looks[-1].size:
                    bad.append(f"{mask.relative_to(pairs.root)}: {' x '.join(map(str, picture.size))} pixels, its image has "
                               f"{' x '.join(map(str, looks[-1].size))}" + (" when upright" if looks[-1].turned else ""))
        except ValueError as error:
            bad.append(f"{mask.relative_to(pairs.root)}: {error}")
    if bad:
        raise ValueError(f"{pairs.root}: cannot be read: {counted(len(bad), 'file')} ({'; '.join(bad[:10])}"
                         + (f"; and {len(bad) - 10} more)" if len(bad) > 10 else ")"))
    sizes = {look.size for look in looks}
    side = None if size is None or (size == "auto" and len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST) else \
        SIZE if size == "auto" else int(size)
    if side and (len(sizes) > 1 or sizes != {(side, side)}):
        of = f"of {len(sizes):,} sizes" if len(sizes) > 1 else "of {} x {} pixels".format(*next(iter(sizes)))
        notes.append(f"{counted(len(looks), 'image')} {of}, each stretched to {side} x {side}, masks to the nearest label (size=)")
    binary, classes, about = meaning(pairs, instances)
    return Form(side, channels or (1 if all(look.grey for look in looks) else 3), binary, classes, notes + about)


def meaning(pairs: Pairs, instances: bool) -> tuple[bool, list[str], list[str]]:
    """Whether masks are black and white, the classes, and what is worth saying.

    Raises:
        ValueError: values that are no labels, with the file that holds them.
    """
    first: dict[int, Path] = {}
    pixels: dict[int, int] = {}
    palette = False
    for path in pairs.masks:
        values, counts = np.unique(mask_values(path), return_counts=True)
        palette = palette or is_palette(path)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            first.setdefault(value, path)
            pixels[value] = pixels.get(value, 0) + count
    top = 65535 if max(pixels) > IGNORED else IGNORED
    if black_and_white(pixels, palette, top):
        soft = sum(n for v, n in pixels.items() if 0 < v < top)
        notes = [f"masks are black and white, above {top // 2} is 1"] + ([f"{soft:,} pixels lie between, soft edges"] if soft else [])
        return True, ["object"] if instances else pairs.classes or ["background", "object"], notes
    if instances:
        one = len(pixels.keys() - {0}) == 1
        return False, ["object"], ["masks know one label: each connected part is an object"] if one else []
    known = len(pairs.classes)
    most = known or (IGNORED if palette else MOST_LABELS)
    strange = sorted(value for value in pixels if value != IGNORED and not 0 <= value < most)
    if strange:
        values = ", ".join(map(str, strange[:8])) + (f" and {len(strange) - 8} more" if len(strange) > 8 else "")
        why = f"{pairs.root / 'classes.txt'} names {known} labels" if known else \
            "grey masks hold labels from 0 on, or are black and white"
        raise ValueError(f"{first[strange[0]]} has the values {values}, which are no labels ({why}; 255 is ignored)")
    labels = sorted(pixels.keys() - {IGNORED})
    classes = pairs.classes or [str(k) for k in range(labels[-1] + 1 if labels else 0)]
    if len(classes) < 2:
        raise ValueError(f"{pairs.root}: expected masks with two labels or more, got only {', '.join(map(str, sorted(pixels)))}")
    unused = [classes[k] for k in range(len(classes)) if k not in pixels]
    return False, classes, [f"no pixel has the labels {some(unused)}"] if unused else []


def black_and_white(pixels: dict[int, int], palette: bool, top: int) -> bool:
    """Whether values are those of pictures in black and white: 0 and the top alone, or with soft edges between them."""
    if pixels.keys() <= {0, top} and top in pixels:
        return True
    bright = [v for v in pixels if v * IGNORED >= BRIGHT * top]
    between = sum(n for v, n in pixels.items() if v > top // 16 and v not in bright)
    soft = any(v != top for v in bright) or any(top // 2 < v for v in pixels.keys() - {*bright})
    return not palette and 0 in pixels and soft and bool(bright) and between < SOFT * sum(pixels.values())


def is_palette(path: Path) -> bool:
    """Whether values are indices of a palette."""
    with opened(path) as picture:
        return picture.mode == "P"


def mask_values(source: Any) -> np.ndarray:
    """The values of a mask, int32 (H, W): of a palette its indices.

    Raises:
        ValueError: a mask in colour, or that cannot be read.
    """
    with opened(source) as picture:
        if picture.mode == "1":
            picture = picture.convert("L")
        if picture.mode not in ("P", "L", "I", "I;16", "RGB", "RGBA"):
            raise ValueError(f"{source}: a mask of mode {picture.mode}; expected a palette or grey picture of labels")
        values = np.asarray(picture)
    if values.ndim == 3:
        if (values[..., :3] != values[..., :1]).any():
            raise ValueError(f"{source} is in colour; a mask is a palette or grey picture whose values are the labels")
        values = values[..., 0]
    return values.astype(np.int32)


def pair(pairs: Pairs, row: int, form: Form, instances: bool) -> tuple[Tensor, Tensor]:
    """An image, uint8 (C, H, W), and its labels uint8 or its objects int16 (H, W)."""
    x = decoded(pairs.images[row], form.size, "stretch", form.channels)
    y = torch.from_numpy(mask_values(pairs.masks[row]))
    if form.binary:
        y = (y > (32767 if y.max() > IGNORED else 127)).int()
    if instances:
        y = objects(y)
    if form.size:
        y = nearest(y, form.size, form.size)
    return x, y.to(torch.int16 if instances else torch.uint8)


def objects(y: Tensor) -> Tensor:
    """A mask as numbers of objects: its own, or of one label its connected parts."""
    return connected_components(y > 0) if len(y[y > 0].unique()) < 2 else y


def nearest(y: Tensor, height: int, width: int) -> Tensor:
    """Labels (..., H, W) at another size, each that of the nearest pixel."""
    return F.interpolate(y[None, None].double() if y.ndim == 2 else y[:, None].double(), (height, width),
                         mode="nearest-exact").to(y.dtype).view(*y.shape[:-2], height, width)


def equal_sizes(pairs: Pairs, rows: Sequence[int], x: Sequence[Tensor]) -> Tensor:
    """The images as one tensor; ValueError names one of another size."""
    for row, image in zip(rows, x, strict=True):
        if image.shape != x[0].shape:
            raise ValueError(f"{pairs.images[row]} is {image.shape[2]} x {image.shape[1]} pixels but {pairs.images[rows[0]]} is "
                             f"{x[0].shape[2]} x {x[0].shape[1]}; pass size= to bring all to one size")
    return torch.stack(list(x))


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """Images uint8 (N, C, H, W) at another size, bilinear, averaging where they shrink."""
    if x.shape[2:] == (height, width):
        return x
    parts = [F.interpolate(part.float(), (height, width), mode="bilinear", antialias=True) for part in x.split(64)]
    return torch.cat(parts).round().to(torch.uint8)


def array_content(source: Any, split: str | None, size: int | str | None, channels: int | None, instances: bool) -> Content:
    """A pair of arrays as labelled images: uint8, or real numbers in [0, 1]."""
    x, y = (torch.as_tensor(np.asarray(part)) for part in source)
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or y.shape != x.shape[:3] or not len(x) or x.shape[3] not in (1, 3):
        raise ValueError(f"expected images (N, H, W) or (N, H, W, 1 or 3) and masks (N, H, W), got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.is_floating_point():
        x = (finite(x, "images") * 255).round()
        if x.min() < 0 or x.max() > 255:
            raise ValueError(f"expected images in [0, 1] or uint8, got values from {x.min() / 255:g} to {x.max() / 255:g}")
    elif x.dtype != torch.uint8:
        raise ValueError(f"expected images as uint8 or real numbers in [0, 1], got {x.dtype}")
    if y.is_floating_point() or y.min() < 0:
        raise ValueError(f"expected masks of whole numbers from 0 on, got {y.dtype} from {y.min()} to {y.max()}")
    if instances:
        y = torch.stack([objects(one) for one in y.int()]).to(torch.int16)
    top = int(y[y != IGNORED].max()) if (y != IGNORED).any() else 0
    classes = ["object"] if instances else [str(k) for k in range(top + 1)]
    if len(classes) < 2 and not instances:
        raise ValueError("expected masks with two labels or more, got only " + ", ".join(map(str, y.unique().tolist())))
    test = torch.tensor(folder.held_out([str(row) for row in range(len(y))], [0] * len(y)))
    mine = torch.ones_like(test) if split is None else test == (split == "test")
    if split == "val" or not mine.any():
        raise ValueError(f"{counted(len(y), 'image')} leave none for the {split} split")
    return finished(x.to(torch.uint8).permute(0, 3, 1, 2)[mine], (y if instances else y.to(torch.uint8))[mine],
                    None if isinstance(size, str) else size, channels, {"classes": classes})


def finished(x: Tensor, y: Tensor, size: int | None, channels: int | None, metadata: dict[str, Any]) -> Content:
    """Images (N, C, H, W) and masks in the channels and at the size asked for."""
    if channels == 3 and x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    elif channels == 1 and x.shape[1] == 3:
        luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)              # ITU-R 601, as Pillow's
        x = (x * luma).sum(1, keepdim=True).round().to(torch.uint8)
    if size:
        x, y = resized(x, size, size), nearest(y, size, size)
    return Content(x.contiguous(), y.contiguous(), 255, metadata)


def describe_folder(source: str, *, size: int | str | None = "auto", channels: int | None = None, instances: bool = False) -> dict[str, Any]:
    """What would be read of a folder, and the problems for which it would be refused. All JSON."""
    pairs = paired(Path(source))
    about: dict[str, Any] = {"name": str(source), "pairs": len(pairs.names), "left_out": {k: v for k, v in pairs.left_out.items() if v}}
    with collected() as lines:
        try:
            form = formed(pairs, size, channels, instances)
        except ValueError as error:
            return about | {"problems": [str(error)]}
        parts = {split: len(rows_of(pairs, split)) for split in ("train", "test")}
        x, _ = pair(pairs, 0, form, instances)
    shares = label_shares(pairs, form) if not instances else {}
    lines += form.notes
    return about | {"splits": parts, "shape": list(x.shape), "classes": form.classes, "share_of_pixels": shares, "notes": lines}


def label_shares(pairs: Pairs, form: Form) -> dict[str, str]:
    """The share of the pixels that each class has."""
    total = np.zeros(256, np.int64)
    for path in pairs.masks:
        y = mask_values(path)
        total += np.bincount(((y > (32767 if y.max() > IGNORED else 127)) if form.binary else y).ravel().astype(np.int64), minlength=256)[:256]
    named = dict(zip(form.classes, total.tolist())) | ({"ignored": int(total[IGNORED])} if total[IGNORED] else {})
    return {name: f"{100 * n / total.sum():.2f} %" for name, n in named.items()}


