"""What would be read of a path or a known name, before anything is trained on it: `deepcanon data check`."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from . import sets
from .box_index import has_boxes
from .caption_files import has_captions
from .mask_files import has_masks
from .source import PLURAL, TABLE_FILES, TEXT_FILES, Source, check_options, kind_of, known_kind

WHERE = {"images": ("image_check", "describe_images"), "table": ("tables", "describe_table"), "text": ("texts", "describe_text"),
         "points": ("point_sets", "describe_points"), "env": ("environments", "describe_env"), "boxes": ("box_check", "describe_boxes"),
         "masks": ("mask_data", "describe_masks"), "captions": ("caption_data", "describe_captions")}
SUFFIXES = 200                                          # files of a folder that are looked at for its kind


def describe(source: str, kind: str | None = None, **options: Any) -> dict[str, Any]:
    """What these data are, how they would be read, and what would be left out.

    Args:
        source: a known name, a path, or `module:Class` of an environment.
        kind: what to read it as; None decides by what it is.
        options: of the function that opens the kind.

    Raises:
        ValueError: no such kind, an option that it does not have, or data that cannot be read as it.
    """
    kind = kind or likely_kind(source)
    if kind not in PLURAL:
        raise ValueError(f"unknown kind '{kind}'{sets.nearest(kind, list(PLURAL))}")
    check_options(source, kind, options)
    if kind not in WHERE or (kind in ("images", "boxes") and known_kind(source)):
        return Source(source, kind, options).metadata
    module, function = WHERE[kind]
    return {"kind": kind} | getattr(import_module(f".{module}", __package__), function)(source, **options)


def likely_kind(source: str) -> str:
    """The kind of a name or path: of a file by its ending, of a folder by what most of its files are."""
    path = Path(source)
    if known_kind(source) or not path.exists():
        named_env = ":" in source or re.search(r"-v\d+$", source)
        return known_kind(source) or ("env" if named_env else kind_of(source, ("images", "table", "text", "points", "arrays")))
    if has_boxes(path):
        return "boxes"
    if path.is_dir() and (has_masks(path) or has_captions(path)):
        return "masks" if has_masks(path) else "captions"
    if path.is_dir():
        endings = [file.suffix.lower() for _, file in zip(range(SUFFIXES), path.rglob("*.*"))]
        texts = sum(ending in TEXT_FILES for ending in endings)
        return "text" if texts > len(endings) / 2 else "images"
    ending = path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()
    return "table" if ending in TABLE_FILES else "text" if ending in TEXT_FILES else "arrays" if ending in (".npy", ".npz") else "images"
