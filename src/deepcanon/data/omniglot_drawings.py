"""Omniglot (Lake, Salakhutdinov & Tenenbaum 2015, "Human-level concept learning through probabilistic program induction", Science 350).

Handwritten characters, each drawn once by 20 people: here the eight alphabets (242 characters) of the authors' two small background sets.
A split is of alphabets: the last two by name, Sanskrit and Tagalog (59 characters), are for testing, so that no test character is seen in training.
N drawings of 105 x 105 pixels, 1 where there is ink.
"""

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import downloads, sets
from .batches import Content

TEST_ALPHABETS = 2


class Drawings(NamedTuple):
    """Every drawing, sorted by alphabet, character, drawer."""

    x: Tensor                   # uint8 (N, 105, 105)
    character: Tensor           # int64 (N,), 0 to 241
    names: list[str]            # of the characters, as "Greek 3"


def omniglot(split: str) -> Content:
    """From `omniglot8-105px.npz` in `DEEPCANON_DATA` if it is there, else from the authors' archives."""
    packed = downloads.local("omniglot8-105px.npz")
    x, character, names = unpacked(packed) if packed else archived([downloads.read(file) for file in sets.SETS["omniglot"].files])
    alphabets = [name.rpartition(" ")[0] for name in names]
    held_out = sorted(set(alphabets))[-TEST_ALPHABETS:]
    mine = torch.tensor([(alphabet in held_out) == (split == "test") for alphabet in alphabets])
    rows = mine[character]
    classes = [name for name, one in zip(names, mine.tolist(), strict=True) if one]
    return Content(x[rows].unsqueeze(1), (mine.cumsum(0) - 1)[character[rows]], 1, {"classes": classes})


def unpacked(path: Path) -> Drawings:
    """From arrays bits (N, 1379), character, alphabet, alphabets."""
    with np.load(path) as z:
        bits, character, alphabet, alphabets = z["bits"], z["character"], z["alphabet"], z["alphabets"].tolist()
    if bits.dtype != np.uint8 or bits.shape != (4_840, 1_379):
        raise ValueError(f"{path}: expected bits as uint8 (4840, 1379), found {bits.dtype} {bits.shape}")
    x = np.unpackbits(bits, axis=1)[:, : 105 * 105].reshape(-1, 105, 105)
    first = {k: int(character[alphabet == k].min()) for k in range(len(alphabets))}
    kinds = alphabet[np.unique(character, return_index=True)[1]].tolist()
    names = [f"{alphabets[kind]} {c - first[kind] + 1}" for c, kind in enumerate(kinds)]
    return Drawings(torch.from_numpy(x), torch.from_numpy(character.astype(np.int64)), names)


def archived(archives: list[bytes]) -> Drawings:
    """From zip archives of <set>/<alphabet>/characterNN/NNNN_DD.png, black on white; alphabets that are in two of them are kept once."""
    from PIL import Image

    pictures: dict[str, bytes] = {}
    for content in archives:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pictures |= {name.partition("/")[2]: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    folders = sorted({name.rpartition("/")[0] for name in pictures})             # Greek/character01, Japanese_(katakana)/character01
    place = {folder: i for i, folder in enumerate(folders)}
    paths = sorted(pictures)
    x = np.stack([~np.array(Image.open(io.BytesIO(pictures[path])).convert("1")) for path in paths]).astype(np.uint8)
    names = [f"{alphabet} {int(number)}" for alphabet, number in (re.sub(r"[()]", "", f).split("/character") for f in folders)]
    return Drawings(torch.from_numpy(x), torch.tensor([place[path.rpartition("/")[0]] for path in paths]), names)
