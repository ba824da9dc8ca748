"""From an index of pictures to tensors: headers are looked at, size and channels decided, pictures decoded.

Up to a gigabyte is decoded once and kept; more is decoded by a few threads when a batch asks for it, the next
batch while this one is used.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import folder, image_objects
from .batches import Content
from .image_decode import Look, decoded, looked_at
from .image_index import Index, split_index, unsplit
from .image_notices import collected, say, some
from .notices import counted

IN_MEMORY = 2**30  # bytes
LARGEST = 64  # pixels a side that `size="auto"` keeps
SIZE = 32  # that it resizes to otherwise
LOOKED_AT = 10_000  # headers; of more pictures as many are looked at, evenly spaced
THREADS = 4
DECODED_TO_LIST = 2_000  # pictures: up to as many, all that cannot be decoded are listed at once
MOST_NAMED = 10  # unreadable files in one message
FITS = {"crop": "the middle square of each", "pad": "each with black borders", "stretch": "each stretched"}


class Options(NamedTuple):
    """How pictures are brought to one form: see `images`."""

    size: int | str | None = "auto"
    fit: str = "crop"
    channels: int | None = None
    skip_unreadable: bool = False


class Survey(NamedTuple):
    """What the headers say, by row, and the rows that cannot be read."""

    looks: dict[int, Look]
    bad: dict[int, str]
    whole: bool  # every picture was looked at


class Plan(NamedTuple):
    """What every picture is brought to."""

    size: int | None  # None: as it is
    fit: str
    channels: int
    shape: tuple[int, int, int]
    must_be_grey: bool  # decided by a sample of the pictures


def content(source: Any, split: str | None, options: Options) -> Content:
    """The pictures of a split (None: all, in order), with their classes.

    Opening a split looks at all that a run will need: every header, both splits, the first picture for
    testing.

    Raises:
        ValueError: pictures that cannot be read (named), a source or an option that cannot be meant.
        FileNotFoundError: the source or a split is not there.
    """
    index = unsplit(source, predict=split is None)
    if index.stamp is None:
        return built(index, split, options)
    content, lines = kept(Stamped(index), split, options, IN_MEMORY)
    for line in lines:
        say(line)
    return content


class Stamped:
    """An index that equals another of the same pictures, unchanged since."""

    def __init__(self, index: Index):
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamped) and self.index.stamp == other.index.stamp

    def __hash__(self) -> int:
        return hash(self.index.stamp)


@lru_cache(maxsize=4)
def kept(stamped: Stamped, split: str | None, options: Options, in_memory: int) -> tuple[Content, list[str]]:
    """One copy in memory, with what was said of it: a run asks for each split more than once."""
    with collected(also_said=True) as lines:
        return built(stamped.index, split, options), lines


def built(index: Index, split: str | None, options: Options) -> Content:
    """The pictures of a split of an index."""
    index, survey, plan = prepared(index, split, options)
    splits = index.splits or [None] * len(index.rows)
    rows = [row for row, part in enumerate(splits) if row not in survey.bad and split in (None, part)]
    if split == "train":
        check_test(index, survey, plan, options)
    return packed(index, survey, plan, rows, options, with_paths=split is None)


def prepared(index: Index, split: str | None, options: Options) -> tuple[Index, Survey, Plan]:
    """The index, split; what its headers say; what every picture will be brought to."""
    index, survey, plan = planned(index, options)
    if split is not None:
        split_index(index, split)
    tell(index, survey, plan, options)
    return index, survey, plan


def planned(index: Index, options: Options) -> tuple[Index, Survey, Plan]:
    """An index without what may be left out, its headers, and what every picture will be brought to."""
    survey = surveyed(index)
    if options.skip_unreadable:
        index, survey = readable(index, survey)
    if (survey.bad or index.bad) and (len(index.rows) > DECODED_TO_LIST or not survey.looks):
        raise ValueError(cannot_read(index, survey.bad))
    return index, survey, decided(index, survey, options)


def packed(
    index: Index, survey: Survey, plan: Plan, rows: list[int], options: Options, with_paths: bool = False
) -> Content:
    """The pictures of some rows as they will be kept."""
    x, bad = gathered(index, rows, plan)
    if bad or survey.bad or index.bad:
        if not options.skip_unreadable:
            raise ValueError(cannot_read(index, survey.bad | bad))
        places = [place for place, row in enumerate(rows) if row not in bad]
        if not places:
            raise ValueError(cannot_read(index, bad))
        say(
            f"{index.name}: left out, as they cannot be read: "
            f"{listed({index.names[row]: why for row, why in bad.items()})}"
        )
        rows, x = [rows[place] for place in places], x[places]
    if isinstance(x, Tensor):
        tell_dark(index, survey, rows, x)
    metadata = {"classes": index.classes, "levels": 256, **digest(index, rows, x)}
    if with_paths:
        metadata["paths"] = [index.names[row] for row in rows]
    return Content(x, torch.tensor([index.labels[row] for row in rows]), 255, metadata)


def surveyed(index: Index) -> Survey:
    """The headers of all pictures, or of a sample of very many."""
    count = len(index.rows)
    if isinstance(index.rows, image_objects.ArrayRows):
        height, width, channels = index.rows.array.shape[1:]
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        look = Look((width, height), mode, bits=8, grey=channels == 1, alpha=channels == 4)
        return Survey(dict.fromkeys(range(count), look), {}, True)
    chosen = range(count) if count <= LOOKED_AT else np.linspace(0, count - 1, LOOKED_AT).astype(int).tolist()
    looks, bad = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of very many pixels, which are refused, and of odd tags
        for row in chosen:
            try:
                looks[row] = looked_at(index.rows[row])
            except ValueError as error:
                bad[row] = str(error)
    return Survey(looks, bad, count <= LOOKED_AT)


def readable(index: Index, survey: Survey) -> tuple[Index, Survey]:
    """Without the pictures that cannot be read, which are counted and said."""
    bad = index.bad | {index.names[row]: why for row, why in survey.bad.items()}
    if not bad:
        return index, survey
    kept = [row for row in range(len(index.rows)) if row not in survey.bad]
    if not kept:
        raise ValueError(cannot_read(index, survey.bad))
    say(f"{index.name}: left out, as they cannot be read: {listed(bad)}")
    place = {row: number for number, row in enumerate(kept)}
    looks = {place[row]: look for row, look in survey.looks.items()}
    return index.only(kept), Survey(looks, {}, survey.whole)


def cannot_read(index: Index, bad: dict[int, str]) -> str:
    """That pictures cannot be read, with their names and the reasons."""
    every = index.bad | {index.names[row]: why for row, why in bad.items()}
    return (
        f"{index.name}: cannot be read: {listed(every)}; mend or remove them, or leave them out with "
        f"skip_unreadable=True"
    )


def listed(bad: dict[str, str]) -> str:
    """How many pictures, the first of them, and what is wrong with each."""
    more = len(bad) - MOST_NAMED
    named = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:MOST_NAMED])
    return f"{counted(len(bad), 'image')} ({named}" + (f"; and {more:,} more)" if more > 0 else ")")


def decided(index: Index, survey: Survey, options: Options) -> Plan:
    """The size and the channels of every picture.

    Raises:
        ValueError: pictures of several sizes, and no size to bring them to.
    """
    looks = survey.looks
    sizes = {look.size: row for row, look in reversed(looks.items())}
    small = len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST
    size = options.size if not isinstance(options.size, str) else None if small else SIZE
    if size is None and len(sizes) > 1:
        (one, row), (other, second) = sorted(sizes.items(), key=lambda item: item[1])[:2]
        raise ValueError(
            f"{index.name}: {index.names[second]} is {other[0]} x {other[1]} pixels but "
            f"{index.names[row]} is {one[0]} x {one[1]}; "
            "pass size= to bring all to one size"
        )
    channels = options.channels or (1 if all(look.grey for look in looks.values()) else 3)
    width, height = (size, size) if size else next(iter(sizes))
    guessed = channels == 1 and options.channels is None and not survey.whole
    return Plan(size, options.fit, channels, shape=(channels, height, width), must_be_grey=guessed)


def tell(index: Index, survey: Survey, plan: Plan, options: Options) -> None:
    """Say what is done to the pictures and what is left out."""
    looks, name = list(survey.looks.values()), index.name
    sizes = Counter(look.size for look in looks)
    if options.size == "auto" and plan.size:
        of = f"of {len(sizes):,} sizes" if len(sizes) > 1 else "of {} x {} pixels".format(*next(iter(sizes)))
        say(
            f"{name}: {counted(len(index.rows), 'image')} {of}, {FITS[plan.fit]} resized to {plan.size} x "
            f"{plan.size} (size=, fit=)"
        )
    if options.channels is None and plan.channels == 1:
        say(f"{name}: every picture is grey: 1 channel (channels=)")
    if options.channels is not None:
        what, ours = ("grey picture", "colour") if plan.channels == 3 else ("colour picture", "grey")
        other = [index.names[row] for row, look in survey.looks.items() if look.grey == (plan.channels == 3)]
        if other:
            say(f"{name}: {counted(len(other), what)}, read as {ours}: {some(other)}")
    if not survey.whole:
        say(f"{name}: {len(looks):,} of {len(index.rows):,} pictures were looked at to decide this")
    if index.others:
        say(
            f"{name}: {counted(len(index.others), 'file')} "
            f"{'is not an image' if len(index.others) == 1 else 'are not images'}: {some(index.others)}"
        )
    if index.left_out:
        say(
            f"{name}: {counted(len(index.left_out), 'picture')} in no split, left out: {some(index.left_out)}"
        )
    changes = {
        "with transparency: laid on white": sum(look.alpha for look in looks),
        "with several frames: the first is taken": sum(look.frames > 1 for look in looks),
        "of more than 8 bits: kept in 256 levels": sum(look.bits > 8 for look in looks),
        "with a damaged colour profile: its colours are taken as sRGB": sum(
            look.profile == "damaged" for look in looks
        ),
    }
    for line, number in changes.items():
        if number:
            say(f"{name}: {counted(number, 'picture')} {line}")
    for note in index.notes:
        say(f"{name}: {note}")


def tell_dark(index: Index, survey: Survey, rows: Sequence[int], x: Tensor) -> None:
    """Say that pictures of 16 bits seem to hold 12 or fewer."""
    deep = [place for place, row in enumerate(rows) if row in survey.looks and survey.looks[row].bits == 16]
    if deep and x[deep].max() < 2**12 >> 8:
        say(
            f"{index.name}: {counted(len(deep), 'picture')} of 16 bits, none with a value above 4095: "
            "read by the full range of 16 bits, they are dark"
        )


def check_test(index: Index, survey: Survey, plan: Plan, options: Options) -> None:
    """Decode the first picture for testing, so that what is wrong with it is known before a run."""
    for row, split in enumerate(index.splits or []):
        if split != "test" or row in survey.bad:
            continue
        try:
            picture(index, plan, row)
            return
        except ValueError as error:
            if not options.skip_unreadable:
                raise ValueError(cannot_read(index, survey.bad | {row: str(error)})) from None
    raise ValueError(f"{index.name}: no picture of the test split can be read")


def picture(index: Index, plan: Plan, row: int) -> Tensor:
    """One picture, uint8 (C, H, W); ValueError with the reason if it is unreadable or of another shape."""
    x = decoded(index.rows[row], plan.size, plan.fit, plan.channels, plan.must_be_grey)
    if x.shape != plan.shape:
        raise ValueError(
            f"{x.shape[2]} x {x.shape[1]} pixels, the others are {plan.shape[2]} x {plan.shape[1]}; pass "
            f"size= to bring all to one size"
        )
    return x


def gathered(index: Index, rows: list[int], plan: Plan) -> tuple[Any, dict[int, str]]:
    """The pictures of some rows as a tensor, or `Lazy` if they are many; and why some cannot be read."""
    if len(rows) * int(np.prod(plan.shape)) > IN_MEMORY:
        return Lazy(index, rows, plan), {}
    array = index.rows.array if isinstance(index.rows, image_objects.ArrayRows) else None
    if array is not None and plan.size is None and array.shape[3] == plan.channels:
        return torch.from_numpy(array[rows]).permute(0, 3, 1, 2).contiguous(), {}
    x, bad = torch.empty((len(rows), *plan.shape), dtype=torch.uint8), {}

    def fill(place: int) -> None:
        try:
            x[place] = picture(index, plan, rows[place])
        except ValueError as error:
            bad[rows[place]] = str(error)

    with ThreadPoolExecutor(THREADS if index.parallel else 1) as pool:
        list(pool.map(fill, range(len(rows))))
    return x, bad


def digest(index: Index, rows: Sequence[int], x: Any) -> dict[str, str]:
    """The sum of the names and sizes of files; else of the labels and some pictures, if they are many.

    That of a tensor is taken by the batches.
    """
    if index.bytes:
        names, sizes = [index.names[row] for row in rows], [index.bytes[row] for row in rows]
        return {"sha256": folder.listing(names, sizes)}
    if isinstance(x, Tensor):
        return {}
    sample = x.index_select(0, torch.linspace(0, len(rows) - 1, 64).long())
    labels = repr([index.labels[row] for row in rows]).encode()
    return {"sha256": hashlib.sha256(bytes(sample.numpy().data) + labels).hexdigest()}


class Lazy:
    """Pictures decoded when they are asked for, that answer like a uint8 tensor (N, C, H, W).

    Args:
        index: of all pictures.
        rows: those of this split.
        plan: what they are brought to.
    """

    def __init__(self, index: Index, rows: list[int], plan: Plan):
        self.index, self.rows, self.plan = index, rows, plan
        self.shape = (len(rows), *plan.shape)
        self.pool = ThreadPoolExecutor(THREADS if index.parallel else 1)
        self.coming: dict[tuple[int, ...], list[Future[Tensor]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        wanted = tuple(rows.tolist())
        futures = self.coming.pop(wanted, None) or self.start(wanted)
        return torch.stack([future.result() for future in futures]).to(rows.device)

    def prepare(self, rows: Tensor) -> None:
        """Begin to decode rows that will be asked for next, in place of others that were prepared before."""
        wanted = tuple(rows.tolist())
        self.coming = {wanted: self.start(wanted)}

    def start(self, wanted: tuple[int, ...]) -> list["Future[Tensor]"]:
        return [self.pool.submit(self.picture, row) for row in wanted]

    def picture(self, row: int) -> Tensor:
        try:
            return picture(self.index, self.plan, self.rows[row])
        except ValueError as error:
            raise ValueError(
                f"{self.index.name}: {self.index.names[self.rows[row]]} cannot be read: {error}"
            ) from None

    def to(self, device: torch.device) -> "Lazy":
        """Itself: pictures are decoded on the CPU and moved a batch at a time."""
        return self
