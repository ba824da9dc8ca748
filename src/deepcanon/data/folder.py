"""Pictures of your own: `./photos/cat/1.jpg`, a subfolder a class; with `train` and `test` above the classes, or split here.

Without these two a picture belongs to the test split when the sum of its path inside the folder says so: one in five, whatever else is there.
Up to a gigabyte is decoded once and kept; more is decoded by a few threads when a batch asks for it, the next batch while this one is used.
"""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .batches import Content

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
IN_MEMORY = 2**30           # bytes
THREADS = 4


def content(root: Path, split: str, size: int | None, in_memory: int = IN_MEMORY) -> Content:
    """The pictures of a split, RGB, with their classes."""
    classes, paths, y = found(root, split)
    files = Files(paths, size)
    every = torch.arange(len(paths))
    metadata = {"classes": classes, "sha256": listing(root, paths)}
    return Content(files.index_select(0, every) if files.bytes <= in_memory else files, torch.tensor(y), 255, metadata)


def listing(root: Path, paths: list[Path]) -> str:
    """The digest of the pictures' names and sizes, which costs no reading."""
    lines = "".join(f"{path.relative_to(root)} {path.stat().st_size}\n" for path in paths)
    return hashlib.sha256(lines.encode()).hexdigest()


def found(root: Path, split: str) -> tuple[list[str], list[Path], list[int]]:
    """Class names, the paths of the split, the label of each."""
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    made = (root / "train").is_dir()
    if made and not (root / split).is_dir():
        raise FileNotFoundError(f"{root} has a folder train but no folder {split}")
    named_by, top = (root / "train", root / split) if made else (root, root)
    classes = sorted(path.name for path in named_by.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = {name: pictures(top / name) for name in classes} if classes else {root.name: pictures(top)}
    if not made:
        paths = {name: [path for path in some if is_test(path.relative_to(root)) == (split == "test")] for name, some in paths.items()}
    if not any(paths.values()):
        raise ValueError(f"{root}: no picture falls into the {split} split; make folders train and test, or add pictures")
    return list(paths), [path for some in paths.values() for path in some], [k for k, some in enumerate(paths.values()) for _ in some]


def pictures(folder: Path) -> list[Path]:
    """The image files of a folder, by name; ValueError when there is none."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise ValueError(f"{folder} has no images (expected files such as {folder / '1.png'}; known: {', '.join(sorted(SUFFIXES))})")
    return paths


def is_test(path: Path) -> bool:
    """One path in five, by its sum."""
    return int(hashlib.sha256(path.as_posix().encode()).hexdigest(), 16) % 5 == 0


class Files:
    """Image files that answer like a uint8 tensor (N, 3, H, W): a shape, a length, rows by number.

    Args:
        paths: of the pictures.
        size: side of the middle square they are resized to; None: all must have the size of the first.
    """

    def __init__(self, paths: list[Path], size: int | None):
        self.paths, self.size = paths, size
        self.shape = (len(paths), *decoded(paths[0], size).shape)
        self.bytes = int(np.prod(self.shape))
        self.pool = ThreadPoolExecutor(THREADS)
        self.coming: dict[tuple[int, ...], list[Future[Tensor]]] = {}

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        wanted = tuple(rows.tolist())
        return torch.stack([future.result() for future in self.coming.pop(wanted, None) or self.start(wanted)]).to(rows.device)

    def prepare(self, rows: Tensor) -> None:
        """Begin to decode rows that will be asked for next; what was prepared before and not taken is forgotten."""
        wanted = tuple(rows.tolist())
        self.coming = {wanted: self.start(wanted)}

    def start(self, wanted: tuple[int, ...]) -> list["Future[Tensor]"]:
        return [self.pool.submit(self.picture, row) for row in wanted]

    def picture(self, row: int) -> Tensor:
        x = decoded(self.paths[row], self.size)
        if x.shape != self.shape[1:]:
            raise ValueError(f"{self.paths[row]} is {x.shape[2]} x {x.shape[1]} pixels but {self.paths[0]} is {self.shape[3]} x {self.shape[2]}; "
                             "pass size= to bring all to one size")
        return x

    def to(self, device: torch.device) -> "Files":
        """Itself: pictures are decoded on the CPU and moved a batch at a time."""
        return self


def decoded(path: Path, size: int | None) -> Tensor:
    """A picture as uint8 (3, H, W); ValueError names a file that cannot be read."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ModuleNotFoundError('images from a folder need Pillow: pip install "deepcanon[vision]"') from None
    try:
        with Image.open(path) as picture:
            rgb = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not a readable image: {error}") from None
    if size:
        side = min(rgb.size)
        left, top = ((extent - side) // 2 for extent in rgb.size)
        rgb = rgb.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()
