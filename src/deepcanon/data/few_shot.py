"""Few-shot tasks: N classes, K labelled examples of each to learn from, and others of the same classes to be asked about.

    tasks = episodes("omniglot", ways=5, shots=1, queries=5, tasks=16)
    support_x, support_y, query_x, query_y = tasks.at(0)        # (T, N K, C, H, W), (T, N K), (T, N Q, C, H, W), (T, N Q)

Batch `step` is a function of (seed, step); in every task the classes are numbered anew, 0 to N - 1 (Vinyals et al. 2016, arXiv 1606.04080).
The classes of the test split are not those of the train split. T tasks a batch, N ways, K shots, Q queries a class, C channels, H x W pixels.
"""

import copy
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import folder, sets
from .batches import Augment, Batches, Content
from .image_content import Options, packed, planned, tell
from .image_index import unsplit
from .metadata import Metadata
from .order import mix
from .pictures import images


class Tasks(NamedTuple):
    """A batch of tasks: what is learnt from, and what is asked about."""

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor


def episodes(source: str | Batches, *, ways: int = 5, shots: int = 1, queries: int = 5, tasks: int = 16, split: str = "train", seed: int = 0,
             count: int = 600, size: int | None = None, rotations: bool = False, augment: Augment | None = None,
             per_class: Augment | None = None) -> "Episodes":
    """N-way K-shot tasks from Omniglot (its test alphabets unseen), another named set of images, a folder of your own, or data with labels.

    Args:
        source: `omniglot`; a set such as `digits`, whose last half of the classes is the test split; a folder with a subfolder a class, or with
            `train` and `test` above the classes (else one class in five is test); or `arrays(x, y)`, all of whose classes are used.
        ways, shots, queries: classes a task, labelled examples of each, examples of each that are asked about.
        tasks: a batch.
        count: tasks in one pass over the data, such as an evaluation.
        size: of the pictures; Omniglot's are brought to 28 x 28 when None.
        rotations: a class turned by 90, 180 or 270 degrees is another class (Santoro et al. 2016, arXiv 1605.06065).
        augment: (x, generator) -> x on all examples of a batch of tasks; see `deepcanon.data.augment`.
        per_class: the same, on the classes of a batch of tasks, whose examples it sees as channels (T N, (K + Q) C, H, W): one draw a class, so that
            a class mirrored or bent is another class (Ni et al. 2021, arXiv 2010.07092).

    Raises:
        ValueError: fewer classes than ways, a class with fewer examples than shots and queries, an unknown name.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got '{split}'")
    for name, value in {"ways": ways, "shots": shots, "queries": queries, "tasks": tasks, "count": count}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    data = source if isinstance(source, Batches) else few_shot_images(source, split, size)
    return Episodes(data, ways=ways, shots=shots, queries=queries, tasks=tasks, seed=seed, count=count, rotations=rotations,
                    augment=augment, per_class=per_class)


class Episodes:
    """Tasks drawn from data with labels: see `episodes`, which makes them. `.metadata`, `.shape` and `.classes` are those of the data."""

    def __init__(self, data: Batches, *, ways: int, shots: int, queries: int, tasks: int, seed: int, count: int, rotations: bool,
                 augment: Augment | None = None, per_class: Augment | None = None):
        self.data, self.key = data, data.key
        self.ways, self.shots, self.queries, self.tasks = ways, shots, queries, tasks
        self.seed, self.count, self.turns = seed, count, 4 if rotations else 1
        self.augment, self.per_class, self.rank, self.world = augment, per_class, 0, 1
        self._examples: tuple[Tensor, Tensor] | None = None

    def at(self, step: int) -> Tasks:
        """Batch number `step`: the same one whenever it is asked for."""
        rows, turns = self.draw(step)
        mine = slice(self.rank, None, self.world)
        read = mine if self.augment is self.per_class is None else slice(None)   # drawn for the joined batch, whatever the number of ranks
        x, turns = self.pictures(rows[read]), turns[read]                        # (T, N, K + Q, C, H, W), (T, N)
        for turn in range(1, self.turns):
            x[turns == turn] = x[turns == turn].rot90(turn, (-2, -1))
        generator = torch.Generator(x.device).manual_seed(mix(self.seed, ~step))
        if self.per_class is not None:
            x = self.per_class(x.flatten(0, 1).flatten(1, 2), generator).view_as(x)
        if self.augment is not None:
            x = self.augment(x.flatten(0, 2), generator).unflatten(0, x.shape[:3])
        x = x if read == mine else x[mine]
        y = torch.arange(self.ways, device=x.device).view(1, -1, 1).expand(x.shape[:3])
        parts = [self.shots, self.queries]
        (support_x, query_x), (support_y, query_y) = x.split(parts, 2), y.split(parts, 2)
        return Tasks(*(t.flatten(1, 2) for t in (support_x, support_y, query_x, query_y)))

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Row numbers (T, N, K + Q) and quarter turns (T, N) of the joined batch."""
        table, sizes = self.examples
        generator = torch.Generator().manual_seed(mix(self.seed, step))
        kinds = torch.rand(self.tasks, len(sizes) * self.turns, generator=generator).argsort(1)[:, : self.ways]
        classes, turns = kinds // self.turns, kinds % self.turns                 # (T, N)
        lots = torch.rand(*classes.shape, table.shape[1], generator=generator)
        lots[torch.arange(table.shape[1]) >= sizes[classes, None]] = 2.0         # places of the table that hold no example come last
        drawn = lots.argsort(2)[:, :, : self.shots + self.queries]
        return table[classes].gather(2, drawn), turns

    def pictures(self, rows: Tensor) -> Tensor:
        """The examples of these rows as float32, (*rows.shape, C, H, W)."""
        content = self.data.content
        x = content.x.index_select(0, rows.flatten().to(self.data.device)).unflatten(0, rows.shape)
        return x if content.peak is None else x.float().mul_(1 / content.peak)

    @property
    def examples(self) -> tuple[Tensor, Tensor]:
        """The rows of each class, padded with zeros to (classes, M), and how many there are, (classes,)."""
        if self._examples is None:
            y = self.data.content.y.cpu()
            self.check(y)
            sizes = y.bincount()
            table = torch.zeros(len(sizes), int(sizes.max()), dtype=torch.int64)
            order = y.argsort(stable=True)
            table[torch.arange(table.shape[1]) < sizes[:, None]] = order
            self._examples = table, sizes
        return self._examples

    def check(self, y: Tensor) -> None:
        """Refuse data without classes, too few classes, a class with too few examples, and rotations of images that are not square."""
        needed, shape = self.shots + self.queries, self.data.shape
        if y.is_floating_point() or y.ndim != 1:
            raise ValueError(f"few-shot tasks need one class an example, got values {tuple(y.shape)}")
        sizes = y.bincount(minlength=len(self.data.classes))
        if len(sizes) * self.turns < self.ways:
            raise ValueError(f"a task of {self.ways} ways needs as many classes, the data has {len(sizes) * self.turns}")
        few = (sizes < needed).nonzero().flatten().tolist()
        if few:
            raise ValueError(f"class '{self.data.classes[few[0]]}' has {int(sizes[few[0]])} examples, fewer than the {needed} of a task: "
                             f"{self.shots} shots and {self.queries} queries ({len(few)} such classes)")
        if self.turns > 1 and (len(shape) != 3 or shape[1] != shape[2]):
            raise ValueError(f"rotations need square images, got {shape}")

    def __len__(self) -> int:
        return math.ceil(self.count / self.tasks)

    def __iter__(self) -> Iterator[Tasks]:
        """One pass: batches 0 to len - 1."""
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "Episodes":
        """The same tasks on another device."""
        return self._with(data=self.data.to(device))

    def shard(self, rank: int, world: int) -> "Episodes":
        """The tasks rank, rank + world, ... of every batch."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        return self._with(rank=rank, world=world)

    @property
    def metadata(self) -> Metadata:
        return self.data.metadata

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def classes(self) -> list[str]:
        return self.data.classes

    def _with(self, **changes) -> "Episodes":
        other = copy.copy(self)
        vars(other).update(changes)
        return other


def few_shot_images(source: str, split: str, size: int | None) -> Batches:
    """The images of the classes of one split."""
    if sets.is_path(source):
        key, load = f"classes:{source}:{split}", partial(classes_of_folder, Path(source), split, size)
    elif source == "omniglot":
        return images(source, split=split, size=size or 28)
    else:
        sets.lookup(source, "images")
        key, load = f"classes:{source}:{split}", partial(half_of_classes, source, split, size)
    return Batches(key + (f":{size}" if size else ""), load, batch=1, shuffle=False, seed=0, augment=None)


def half_of_classes(name: str, split: str, size: int | None) -> Content:
    """All images of a named set, of both its splits, whose class is in the first half (train) or the last half of the classes."""
    parts = [images(name, split=part, size=size).content for part in ("train", "test")]
    names = parts[0].metadata["classes"]
    border = (len(names) + 1) // 2
    x, y = torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])
    rows, first = (y < border, 0) if split == "train" else (y >= border, border)
    return Content(x[rows], y[rows] - first, parts[0].peak, {"classes": names[:border] if split == "train" else names[border:]})


def classes_of_folder(root: Path, split: str, size: int | None) -> Content:
    """The pictures of your own classes: those of the split's folder; without such folders, of one class in five for the test split."""
    options = Options(size or "auto")
    index = unsplit(root)
    index, survey, plan = planned(index, options)
    tell(index, survey, plan, options)
    if index.splits is None:
        held = folder.held_out(index.classes, [0] * len(index.classes))
        index.splits = ["test" if held[label] else "train" for label in index.labels]
    rows = [row for row, part in enumerate(index.splits) if part == split]
    if not rows:
        raise ValueError(f"{root}: no class falls into the {split} split; make folders train and test with a subfolder for each class")
    content = packed(index, survey, plan, rows, options)
    there, y = content.y.unique(return_inverse=True)
    return content._replace(y=y, metadata=content.metadata | {"classes": [index.classes[k] for k in there.tolist()]})


class Sinusoids:
    """Regression tasks y = A sin(x - phi) with A ~ U[amplitude], phi ~ U[0, phase], x ~ U[-5, 5] (Finn et al. 2017): x and y are (T, K, 1).

    Args:
        shots, queries: points to learn from and points that are asked about.
        tasks: T, a batch.
        amplitude: lowest and highest A.
        phase: highest phi; the paper's is pi.
        count: tasks in one pass.
        seed: of the draws.
    """

    def __init__(self, *, shots: int = 10, queries: int = 10, tasks: int = 25, amplitude: tuple[float, float] = (0.1, 5.0), phase: float = math.pi,
                 count: int = 600, seed: int = 0):
        if min(shots, queries, tasks, count) < 1:
            raise ValueError(f"shots, queries, tasks and count must be at least 1, got {shots}, {queries}, {tasks}, {count}")
        self.shots, self.queries, self.tasks, self.amplitude, self.phase = shots, queries, tasks, amplitude, phase
        self.count, self.seed, self.rank, self.world = count, seed, 0, 1
        self.key, self.metadata = "sinusoids", {"shape": [1], "amplitude": list(amplitude), "phase": phase}

    def at(self, step: int) -> Tasks:
        """Batch number `step`: the same one whenever it is asked for."""
        generator = torch.Generator().manual_seed(mix(self.seed, step))
        low, high = self.amplitude
        a, phi = torch.rand(2, self.tasks, 1, 1, generator=generator)
        x = 10 * torch.rand(self.tasks, self.shots + self.queries, 1, generator=generator) - 5
        y = (low + (high - low) * a) * torch.sin(x - self.phase * phi)
        (support_x, query_x), (support_y, query_y) = (t[self.rank :: self.world].split([self.shots, self.queries], 1) for t in (x, y))
        return Tasks(support_x, support_y, query_x, query_y)

    def __len__(self) -> int:
        return math.ceil(self.count / self.tasks)

    def __iter__(self) -> Iterator[Tasks]:
        """One pass: batches 0 to len - 1."""
        return map(self.at, range(len(self)))

    def shard(self, rank: int, world: int) -> "Sinusoids":
        """The tasks rank, rank + world, ... of every batch."""
        other = copy.copy(self)
        other.rank, other.world = rank, world
        return other
