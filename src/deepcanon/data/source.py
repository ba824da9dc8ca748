"""What a recipe asks of its data: batches to train and test on, and what shapes a net.

    source = open_data(data, "images", "points", size=size)      # a known name, a path, or an object of the user's own
    source.shape, source.classes, source.mean, source.std, source.levels
    source.train(batch=64, seed=0), source.test()

All that a run needs of its data is looked at when it is opened: both splits and their first batch. What was found is recorded with the run, so that
a saved method is built again where the data are not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import sets
from .metadata import Metadata, next_record, note_source
from .toys import TOYS

_reading: ContextVar[dict[str, Any]] = ContextVar("reading", default={})  # noqa: B039 (never changed)
LONGEST_PATH = 1_000                                    # characters; more are a text, not the path of one
TESTED = {"boxes": 32, "masks": 16, "captions": 100}      # examples a test batch, where 1,000 are too many
SAMPLE = 20_000                                         # rows from which mean and deviation are taken
PLURAL = {"images": "images", "points": "points", "table": "a table", "text": "text", "arrays": "arrays", "boxes": "boxes",
          "masks": "images with masks", "captions": "images with captions", "env": "an environment"}
TEXT_FILES = {".txt", ".md", ".rst", ".tex", ".py", ".json", ".jsonl", ".html", ".xml", ".log", ".srt"}
TABLE_FILES = {".csv", ".tsv", ".parquet", ".xlsx", ".xls", ".feather"}
ARRAY_FILES = {".npy", ".npz"}


class Source:
    """Data of one kind. Its metadata are JSON: kind, name, and what the kind has of shape, classes, count, mean, std, levels.

    Args:
        data: a known name, a path or an object.
        kind: one of `PLURAL`.
        options: of the function that opens this kind, such as size.
        record: the metadata of an earlier run; without it the data are read.
    """

    def __init__(self, data: Any, kind: str, options: dict[str, Any], record: Metadata | None = None):
        self.data, self.kind, self.options = data, kind, {k: v for k, v in options.items() if v is not None}
        if record is not None and kind != "env" and isinstance(data, str) and data not in known_names(kind):
            self.data = Path(data)                          # it may be gone, and is no misspelt name
        self.name = data if isinstance(data, str) else str(data) if isinstance(data, Path) else f"<{type(data).__name__}>"
        self.record = record
        if record is None:
            self.look()
        note_source(self)

    def look(self) -> None:
        """Read what a run will need, so that a fault in the data is found before the first step."""
        self.metadata  # noqa: B018 (reads the training part)
        if self.kind not in ("env", "text"):
            self.test().at(0)
        elif self.kind == "text":
            self.test(context=1).ids  # noqa: B018

    def open(self, split: str | None, **how: Any) -> Any:
        """The batches of a split, None: of all there is; `how` are arguments of the function that opens this kind."""
        return opener(self.kind)(self.data, **({"split": split} if self.kind != "env" else {}), **self.options, **how)

    def train(self, **how: Any) -> Any:
        """Batches of the training part: batch=, seed=, augment=, shuffle= as the kind has them."""
        return self.open("train", **how)

    def test(self, **how: Any) -> Any:
        """Batches of the part that is not trained on, in order."""
        if self.kind == "text":
            return self.open("val", **how)
        return self.open("test", **{"batch": TESTED.get(self.kind, 1_000)} | how)

    @cached_property
    def metadata(self) -> Metadata:
        if self.record is not None:
            return self.record
        return {"kind": self.kind, "name": self.name} | DESCRIBE[self.kind](self)

    def __getattr__(self, name: str) -> Any:
        """The entries of the metadata: `source.levels`."""
        if name.startswith("_") or name in ("metadata", "record"):
            raise AttributeError(name)
        if name not in self.metadata:
            raise AttributeError(f"{PLURAL[self.kind]} have no {name!r}, only {', '.join(self.metadata)}")
        value = self.metadata[name]
        return tuple(value) if name == "shape" or name.endswith("_shape") else value

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 where there are none."""
        return len(self.metadata.get("classes", []))


@contextmanager
def reading(**options: Any) -> Iterator[None]:
    """Inside the block, these options of the functions that open data are in force: skip_unreadable=True, separator=";", encoding="latin-1"."""
    token = _reading.set(_reading.get() | options)
    try:
        yield
    finally:
        _reading.reset(token)


def current_reading() -> dict[str, Any]:
    """The options of reading in force; they are recorded with a run."""
    return dict(_reading.get())


def open_data(data: Any, *kinds: str, side: int | str = "auto", **options: Any) -> Source:
    """The data of a recipe.

    Args:
        data: a known name (`deepcanon data list`), a path, or an object.
        kinds: what the recipe takes, such as "images".
        side: the size of the user's own images where no size is given; known sets stay as they are.
        options: passed to the function that opens the kind; None stands for its default.

    Raises:
        ValueError: data of another kind, an option that this kind does not have, or data that cannot be read.
        FileNotFoundError: a path that does not exist.
    """
    record = next_record()
    kind = record["kind"] if record else kind_of(data, kinds)
    given = current_reading() | {name: value for name, value in options.items() if value is not None}
    check_options(data, kind, given)
    own = not (isinstance(data, str) and data in sets.SETS)
    if kind == "images" and "size" in options and own:
        given.setdefault("size", side)
    return Source(data, kind, given, record)


def check_options(data: Any, kind: str, given: dict[str, Any]) -> None:
    """Refuse an option that this kind of data does not have."""
    if strange := next((name for name in given if name not in OPTIONS[kind]), None):
        having = " or ".join(PLURAL[k] for k in PLURAL if strange in OPTIONS[k])
        raise ValueError(f"{called(data)} read as {PLURAL[kind]}, to which {strange}= does not apply; it is of {having}")


def kind_of(data: Any, kinds: tuple[str, ...]) -> str:
    """Which of the kinds that a recipe takes these data are; ValueError says what it takes when they are none."""
    found = known_kind(data) if isinstance(data, str) else ""
    if isinstance(data, str) and ("\n" in data or len(data) > LONGEST_PATH):
        raise ValueError(f"expected a name or a path, got a text of {len(data):,} characters"
                         + ("; pass it as a list, [text], or as io.StringIO(text)" if "text" in kinds else ""))
    if isinstance(data, str) and not found:
        if not is_path(data) and kinds != ("env",):
            known = [name for kind in kinds for name in known_names(kind)]
            raise ValueError(f"unknown data set '{data}'{sets.nearest(data, known)}; or give the path of your own data, such as './{data}'")
        found = kind_of_path(data, kinds)
    elif not isinstance(data, str):
        found = kind_of_path(str(data), kinds) if isinstance(data, Path) else kind_of_object(data, kinds)
    if found not in kinds:
        raise ValueError(f"{called(data)} read as {PLURAL.get(found, 'no data that is known here')}; "
                         f"this method takes {' or '.join(PLURAL[k] for k in kinds)}")
    return found


def called(data: Any) -> str:
    """The data as the subject of a message."""
    return f"'{data}' is" if isinstance(data, str | Path) else f"a {type(data).__name__} is"


def is_path(data: str) -> bool:
    """Whether a string means a file or folder: it looks like one, or there is one of that name."""
    return sets.is_path(data) or Path(data).exists()


def known_kind(name: str) -> str:
    """The kind of a known name, or nothing."""
    return "points" if name in TOYS else sets.SETS[name].kind if name in sets.SETS else ""


def known_names(kind: str) -> list[str]:
    """The known names of a kind."""
    return list(TOYS) if kind == "points" else sets.names(kind)


def kind_of_path(path: str, kinds: tuple[str, ...]) -> str:
    """The kind of a file or folder, by its ending where several are taken; the one kind that is taken otherwise."""
    if len(kinds) == 1:
        return kinds[0]
    suffixes = [s.lower() for s in Path(path).suffixes if s.lower() != ".gz"][-1:]
    for endings, likely in ((TABLE_FILES, ("table", "points", "images")), (ARRAY_FILES, ("arrays", "points", "table")), (TEXT_FILES, ("text",))):
        if suffixes and suffixes[0] in endings:
            return next((kind for kind in likely if kind in kinds), likely[0])
    return "images" if "images" in kinds else kinds[0]


def kind_of_object(data: Any, kinds: tuple[str, ...]) -> str:
    """The kind of an object, by what it can do; of arrays, by their number of axes."""
    if len(kinds) == 1:
        return kinds[0]
    if (names := column_names(data)) is not None:       # of numbers and words, or of pictures or their paths
        pictures = {"path", "file", "filename", "image"} & {name.lower() for name in names} or has_pictures(data)
        likely = ("images",) if pictures and "images" in kinds else ("table", "points")
        return next((kind for kind in likely if kind in kinds), likely[0])
    first = data[0] if isinstance(data, tuple | list) and len(data) else next(iter(data.values())) if isinstance(data, dict) and data else data
    first = first[0] if isinstance(first, tuple) else first
    axes = getattr(first, "ndim", None)
    if axes is not None:
        fitting = ("images",) if axes >= 3 else ("points", "table", "arrays")
        return next((kind for kind in fitting if kind in kinds), fitting[0])
    return "images" if "images" in kinds else kinds[0]


def column_names(data: Any) -> list[str] | None:
    """The names of the columns of a frame, a Hugging Face data set or a dict of columns; None for anything else."""
    names = getattr(data, "columns", getattr(data, "column_names", None))
    if isinstance(data, dict) and not data.keys() & {"train", "test", "val"}:
        names = list(data) if data and all(is_column(values) for values in data.values()) else None
    return None if names is None or isinstance(names, dict) else list(map(str, names))


def is_column(values: Any) -> bool:
    """Whether this is one number or word after the other."""
    if hasattr(values, "ndim"):
        return values.ndim == 1
    return isinstance(values, list | tuple) and all(v is None or isinstance(v, str | int | float) for v in values)


def has_pictures(data: Any) -> bool:
    """Whether a Hugging Face data set has a column of pictures."""
    return any(type(feature).__name__ == "Image" for feature in (getattr(data, "features", None) or {}).values())


# what each kind is opened by, and what is recorded of it


def opener(kind: str) -> Callable[..., Any]:
    """The function of `deepcanon.data` that opens a kind."""
    from deepcanon import data

    return getattr(data, kind)


OPTIONS = {"images": {"size", "fit", "channels", "skip_unreadable"}, "points": {"count"}, "text": {"encoding"}, "arrays": {"classes"}, "env": set(),
           "masks": {"size", "channels", "instances"}, "captions": {"size", "channels", "min_count"},
           "boxes": {"size", "fit", "channels", "skip_unreadable"},
           "table": {"target", "task", "separator", "decimal", "encoding", "missing", "types", "fill", "names"}}


def describe_batches(source: Source) -> Metadata:
    """Of images, points, tables and arrays: shape, classes, count, and mean and deviation of the training values."""
    train, test = source.train(shuffle=False, batch=TESTED.get(source.kind, 1_000)), source.test()
    x = values(train)
    levels = {"levels": train.metadata.get("levels", 256)} if source.kind == "images" else {}
    whole = {"mean": x.mean().item(), "std": max(x.std(correction=0).item(), 1e-6)} if source.kind != "table" else {}
    tested = {"test_count": test.count, "test_sha256": test.metadata["sha256"]}
    return dict(train.metadata) | {"classes": train.classes, "count": train.count} | tested | whole | levels


def values(train: Any) -> Tensor:
    """Up to `SAMPLE` rows of the training part, evenly spread, as the method will see them."""
    content = train.content
    rows = torch.arange(0, train.count, max(1, train.count // SAMPLE))
    x = content.x.index_select(0, rows[: SAMPLE if isinstance(content.x, Tensor) else 1_000])
    return x.float() if content.peak is None else x.float() / content.peak


def describe_boxed(source: Source) -> Metadata:
    """Of pictures with boxes: what there is of pictures; sides (roots of areas) of the small, middling and large boxes, and
    their ratios of height to width, by which anchors are shaped; the numbers of the classes in the user's files."""
    train = source.train(shuffle=False)
    y = train.content.y
    sides = (y[..., 2:4] - y[..., :2])[y[..., 4] >= 0][:SAMPLE]                        # (boxes, 2), width and height
    sizes, ratios = sides.prod(1).sqrt(), sides[:, 1] / sides[:, 0]
    shapes = {"box_sizes": (sizes, (1 / 24, 1 / 2, 23 / 24)), "box_ratios": (ratios, (1 / 6, 1 / 2, 5 / 6))}
    found = {name: [round(v.quantile(q).item(), 3) for q in parts] for name, (v, parts) in shapes.items()}
    return describe_batches(source) | found | {"category_ids": train.metadata["category_ids"]}


def describe_text(source: Source) -> Metadata:
    """Of text: vocabulary and length."""
    return dict(source.train(context=1).metadata)


def describe_env(source: Source) -> Metadata:
    """Of an environment: shapes, actions and bounds."""
    from .environments import env_metadata

    return env_metadata(source.train())


DESCRIBE: dict[str, Callable[[Source], Metadata]] = {
    "images": describe_batches, "points": describe_batches, "table": describe_batches, "arrays": describe_batches, "boxes": describe_boxed,
    "text": describe_text, "env": describe_env, "masks": describe_batches, "captions": describe_batches}
