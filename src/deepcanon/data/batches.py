"""Batches gathered by index, one call a batch, from tensors that live on the device (or from files decoded
when they are asked for).

    x, y = data.at(step)        # a pure function of (seed, step)

`images("mnist")`, `table("wine.csv")` and `arrays(x, y)` return such data. N rows, B rows a batch.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from .array_read import finite, is_array_file, label_rows, number_rows, rows_of
from .metadata import Metadata, recorded
from .order import Order, mix
from .split import held_out

Augment = Callable[[Tensor, torch.Generator], Tensor]    # (x, generator) -> x, a whole batch at a time


class Content(NamedTuple):
    """What a source holds: `x` is given out as float32 x / peak (peak None: as it is); `metadata` is what
    cannot be seen from the tensors."""

    x: Any                      # (N, ...), a tensor or what has its shape, to and index_select
    y: Tensor                   # (N, ...)
    peak: float | None
    metadata: Metadata


def sha256(*tensors: Tensor) -> str:
    """The digest of the bytes of some tensors, one after the other."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


class Batches:
    """Batches (x, y). Nothing is read before the first access.

    Args:
        key: what names this data in a record of metadata, such as `images:mnist:train`.
        load: returns the content; called once, when it is first needed.
        batch: rows a batch, over all ranks.
        shuffle: a new order each epoch and whole batches only; else rows in order, the last batch may be
            short.
        seed: of order and augmentation.
        augment: (x, generator) -> x on the float batch.

    Attributes: `.metadata` (JSON: shape, classes, count, sha256), `.shape` of one x, `.classes` (names; none
    for a number to predict), `.count`.
    """

    def __init__(self, key: str, load: Callable[[], Content], *, batch: int, shuffle: bool, seed: int,
                 augment: Augment | None):
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        self.key, self.load, self.batch = key, cache(load), batch
        self.shuffle, self.seed, self.augment = shuffle, seed, augment
        self.device, self.rank, self.world = torch.device("cpu"), 0, 1
        self._content: Content | None = None
        self._order: Order | None = None
        self._metadata: Metadata | None = recorded(key)
        self._generator: torch.Generator | None = None

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: the same one whenever it is asked for."""
        content, order = self.content, self.order
        mine = slice(self.rank, None, self.world)
        read = mine if self.augment is None else slice(None)
        rows = order.rows(step, self.device)[read]
        x = content.x.index_select(0, rows)
        y = content.y.index_select(0, rows)
        if not isinstance(content.x, Tensor):
            content.x.prepare(order.rows(step + 1)[read])
        if content.peak is not None:
            x = x.float().mul_(1 / content.peak)
        if self.augment is None:
            return x, y
        generator = self.generator.manual_seed(mix(self.seed, ~step))
        x = self.augment(x, generator)          # drawn for the joined batch, however many ranks there are
        return x[mine], y[mine]

    def __len__(self) -> int:
        return self.order.batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: batches 0 to len - 1."""
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "Batches":
        """The same data on another device."""
        return self._with(device=torch.device(device), _content=None, _generator=None)

    def shard(self, rank: int, world: int) -> "Batches":
        """The rows rank, rank + world, ... of every batch."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        return self._with(rank=rank, world=world)

    def take(self, rows: Sequence[int] | Tensor) -> "Batches":
        """Only these rows, in memory, a row as often as it is named: `take(range(2_000))`, or a bootstrap
        sample."""
        rows = torch.as_tensor(rows, dtype=torch.int64)
        if rows.ndim != 1 or not len(rows) or rows.min() < 0:
            raise ValueError(f"expected one row number or more, each 0 or more, got {tuple(rows.shape)}")

        def load() -> Content:
            x, y, peak, metadata = self.load()
            if rows.max() >= len(y):
                raise ValueError(f"{self.key} has the rows 0..{len(y) - 1}, got row {int(rows.max())}")
            return Content(x.index_select(0, rows), y[rows], peak,
                           {k: v for k, v in metadata.items() if k == "classes"})

        key = f"{self.key}:{sha256(rows)[:12]}"
        return self._with(key=key, load=cache(load), _content=None, _metadata=recorded(key))

    @property
    def metadata(self) -> Metadata:
        if self._metadata is None:
            x, y, _, metadata = self.content
            digest = {} if "sha256" in metadata else {"sha256": sha256(x, y)}
            self._metadata = {"shape": list(x.shape[1:]), "count": len(y), **digest, **metadata}
        return self._metadata

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.metadata["shape"]) if self._metadata else tuple(self.content.x.shape[1:])

    @property
    def classes(self) -> list[str]:
        return (self._metadata or self.content.metadata).get("classes", [])

    @property
    def count(self) -> int:
        return self._metadata["count"] if self._metadata else len(self.content.y)

    @property
    def content(self) -> Content:
        """The tensors, on the device."""
        if self._content is None:
            x, y, peak, metadata = self.load()
            self._content = Content(x.to(self.device), y.to(self.device), peak, metadata)
        return self._content

    @property
    def order(self) -> Order:
        if self._order is None:
            self._order = Order(self.count, self.batch, shuffle=self.shuffle, seed=self.seed)
        return self._order

    @property
    def generator(self) -> torch.Generator:
        if self._generator is None:
            self._generator = torch.Generator(self.device)
        return self._generator

    def _with(self, **changes) -> "Batches":
        other = copy.copy(self)
        other._order = None
        vars(other).update(changes)
        return other


class StackedBatches:
    """Several sources read at once: batch `step` of each of M, stacked, x (M, B, ...) and y (M, B). All must
    give batches of one shape."""

    def __init__(self, sources: Sequence[Batches]):
        if not sources:
            raise ValueError("expected one source or more to read together")
        self.sources = list(sources)
        self.key = "together:" + ",".join(source.key for source in self.sources)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step` of every source."""
        x, y = zip(*(source.at(step) for source in self.sources), strict=True)
        return torch.stack(x), torch.stack(y)

    def __len__(self) -> int:
        return min(map(len, self.sources))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "StackedBatches":
        """The same data on another device."""
        return StackedBatches([source.to(device) for source in self.sources])

    def shard(self, rank: int, world: int) -> "StackedBatches":
        """The rows rank, rank + world, ... of every batch of every source."""
        return StackedBatches([source.shard(rank, world) for source in self.sources])

    @property
    def metadata(self) -> Metadata:
        return {"sources": [source.metadata for source in self.sources]}


def arrays(x: Any, y: Any = None, *, batch: int = 128, seed: int = 0, augment: Augment | None = None,
           shuffle: bool | None = None,
           classes: list[str] | None = None, split: str | None = None) -> Batches:
    """Your own numbers: rows of x with labels or values y (none: all labels are 0).

    uint8 x is given out as float32 x / 255, other x as float32; whole-number y are int64 labels, other y
    float32 values.

    Args:
        x: an array or tensor; a `.npy` file, or a `.npz` file with x and y; a frame of numbers; a torch data
            set; a pair (x, y).
        y: numbers, words or truths.
        shuffle: by default rows are shuffled, of the test split they are in order.
        classes: names, in the order of the labels.
        split: `train` (four fifths, drawn once, of each class) or `test`; None: all rows.

    Raises:
        ValueError: lengths differ, x or y is not finite, a label is out of range, x holds no numbers.
        FileNotFoundError: there is no such file.
    """
    if split not in ("train", "test", None):
        raise ValueError(f"split must be 'train', 'test' or None, got {split!r}")
    how = {"batch": batch, "shuffle": split != "test" if shuffle is None else shuffle, "seed": seed,
           "augment": augment}
    if is_array_file(x):
        return Batches(f"arrays:{x}:{split or 'all'}", lambda: array_content(x, y, classes, split), **how)
    content = array_content(x, y, classes, split)
    return Batches(f"arrays:{sha256(content.x, content.y)[:16]}", lambda: content, **how)


def array_content(x: Any, y: Any, classes: list[str] | None, split: str | None) -> Content:
    """Rows and labels of a source, checked."""
    rows = rows_of(x, y)
    x = number_rows(rows.x)
    given = torch.zeros(len(x), dtype=torch.int64) if rows.y is None else rows.y
    y, names = label_rows(given, classes)
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(f"expected as many rows of x as of y, at least one, got {len(x)} and {len(y)}")
    x, peak = (x, 255) if x.dtype == torch.uint8 else (finite(x, "x"), None)
    metadata: Metadata = {}
    if y.is_floating_point():
        y = finite(y, "y")
    else:
        y, metadata["classes"] = labels(y, names)
    if split is None:
        return Content(x, y, peak, metadata)
    test = torch.from_numpy(held_out(len(y), y.numpy() if metadata else None) if rows.test is None
                            else rows.test)
    part = test == (split == "test")
    if not part.any():
        raise ValueError(f"{len(y)} rows are too few to leave one for the {split} split")
    return Content(x[part], y[part], peak, metadata)


class Stream:
    """Batches that an iterable gives, as they come.

    Args:
        source: an iterable of batches that can be gone through again and again, such as a torch DataLoader.
    """

    def __init__(self, source: Any):
        if not isinstance(source, Iterable):
            raise ValueError(f"expected an iterable of batches, got {type(source).__name__}")
        if isinstance(source, Iterator):
            raise ValueError(f"a {type(source).__name__} is used up after one pass: pass a list, a "
                             f"DataLoader, or an object with __iter__")
        self.source = source
        self.key = f"stream:{type(source).__name__}"

    def __iter__(self) -> Iterator[Any]:
        return (tuple(batch) if isinstance(batch, list) else batch for batch in self.source)

    def __len__(self) -> int:
        return len(cast(Sized, self.source))

    @property
    def metadata(self) -> Metadata:
        return {"source": type(self.source).__name__}


def batches_of(source: Any) -> Stream:
    """Your own batches, from any iterable.

    A resumed run sees the batches that an unbroken one sees where their order follows from the global random
    streams or from the generator of a DataLoader, and says so where it does not.

    Raises:
        ValueError: no iterable, or an iterator, which is used up after one pass.
    """
    return Stream(source)


def labels(y: Tensor, classes: list[str] | None) -> tuple[Tensor, list[str]]:
    """Labels as int64 with the names of the classes (numbers when None); ValueError names the first label out
    of range."""
    y = y.long()
    if y.ndim != 1:
        raise ValueError(f"expected labels (N,), got {tuple(y.shape)}")
    classes = classes or [str(k) for k in range(max(1, int(y.max()) + 1))]
    bad = ((y < 0) | (y >= len(classes))).nonzero()
    if len(bad):
        raise ValueError(f"label {int(y[bad[0]])} of row {int(bad[0])} is out of range: expected 0 to "
                         f"{len(classes) - 1}")
    return y, classes
