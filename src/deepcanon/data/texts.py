"""Text by characters: random windows to train on, consecutive windows to evaluate on.

    data = text("tinyshakespeare", context=64, batch=12)
    x, y = data.at(0)           # int64 (B, T) each; y is x one character later

The first nine tenths are for training, the rest for validation; the vocabulary is that of the whole text. B windows a batch, T characters a window.
"""

import copy
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import download, sets
from .metadata import Metadata, recorded
from .order import mix


class Characters:
    """Text to numbers and back, a number a character.

    Args:
        vocabulary: the characters, sorted; a character's number is its place.
    """

    def __init__(self, vocabulary: Sequence[str]):
        self.vocabulary = list(vocabulary)
        self.numbers = {character: i for i, character in enumerate(self.vocabulary)}

    def encode(self, string: str) -> list[int]:
        try:
            return [self.numbers[character] for character in string]
        except KeyError as error:
            raise ValueError(f"the character {error} is not in the vocabulary of {len(self.vocabulary)} characters") from None

    def decode(self, numbers: Sequence[int] | Tensor) -> str:
        return "".join(self.vocabulary[i] for i in torch.as_tensor(numbers).tolist())


class Content(NamedTuple):
    """A text as numbers, uint8 or int32, with its vocabulary."""

    ids: Tensor                 # (characters,)
    vocabulary: list[str]
    sha256: str


class Text:
    """Windows of a text. Nothing is read before the first access.

    Args:
        source: a known name or the path of a file.
        context: T.
        batch: windows a batch, over all ranks.
        split: `train`: windows at random places drawn from (seed, step); `val`: all windows, in order, the last batch may be short.
        seed: of the places.

    Attributes: `.tokenizer`, `.metadata` (JSON: vocabulary, count of characters in the split, sha256 of the text), `.count`.
    """

    def __init__(self, source: str, *, context: int, batch: int, split: str, seed: int):
        self.source, self.context, self.batch, self.split, self.seed = source, context, batch, split, seed
        self.key = f"text:{source}:{split}"
        self.device, self.rank, self.world = torch.device("cpu"), 0, 1
        self._metadata = recorded(self.key)
        self._ids: Tensor | None = None
        self._generator = torch.Generator()

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: the same one whenever it is asked for."""
        starts = self.starts(step)[self.rank :: self.world].to(self.device)
        windows = self.ids.unfold(0, self.context + 1, 1).index_select(0, starts).long()      # (B, T + 1)
        return windows[:, :-1], windows[:, 1:]

    def starts(self, step: int) -> Tensor:
        """Where the windows of a batch begin, over all ranks."""
        if self.split == "train":
            self._generator.manual_seed(mix(self.seed, step))
            return torch.randint(self.count - self.context, (self.batch,), generator=self._generator)
        first = step % len(self) * self.batch
        return torch.arange(first, min(first + self.batch, self.windows)) * self.context

    def __len__(self) -> int:
        """Batches in one pass; in training, enough to read as many characters as there are."""
        return max(1, self.windows // self.batch) if self.split == "train" else -(-self.windows // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "Text":
        """The same data on another device."""
        return self._with(device=torch.device(device), _ids=None)

    def shard(self, rank: int, world: int) -> "Text":
        """The windows rank, rank + world, ... of every batch."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        return self._with(rank=rank, world=world)

    @property
    def tokenizer(self) -> Characters:
        return Characters(self.metadata["vocabulary"])

    @property
    def metadata(self) -> Metadata:
        if self._metadata is None:
            content = self.content
            self._metadata = {"vocabulary": content.vocabulary, "count": len(self.ids), "sha256": content.sha256}
        return self._metadata

    @property
    def count(self) -> int:
        return self.metadata["count"]

    @property
    def windows(self) -> int:
        """Windows side by side in the split."""
        return (self.count - 1) // self.context

    @property
    def content(self) -> Content:
        path = Path(self.source)
        version = path.stat().st_mtime_ns if sets.is_path(self.source) and path.is_file() else os.environ.get("DEEPCANON_DATA")
        return numbered(self.source, version)

    @property
    def ids(self) -> Tensor:
        """The characters of the split as numbers, on the device."""
        if self._ids is None:
            ids = self.content.ids
            border = int(0.9 * len(ids))
            part = ids[:border] if self.split == "train" else ids[border:]
            if len(part) <= self.context:
                raise ValueError(f"{self.source}: its {self.split} part has {len(part)} characters, too few for one window of {self.context} + 1")
            self._ids = part.to(self.device)
        return self._ids

    def _with(self, **changes) -> "Text":
        other = copy.copy(self)
        other._generator = torch.Generator()
        vars(other).update(changes)
        return other


def text(source: str, *, context: int = 64, batch: int = 12, split: str = "train", seed: int = 0) -> Text:
    """A named text (`deepcanon data list`) or a UTF-8 file, in windows of `context` characters."""
    if split not in ("train", "val"):
        raise ValueError(f"split must be 'train' or 'val', got '{split}'")
    if context < 1 or batch < 1:
        raise ValueError(f"context and batch must be at least 1, got {context} and {batch}")
    if not sets.is_path(source):
        sets.lookup(source, "text")
    return Text(source, context=context, batch=batch, split=split, seed=seed)


@lru_cache(maxsize=4)
def numbered(source: str, version: str | int | None) -> Content:
    """A text and its vocabulary; one copy in memory, however many ask (`version`: when a file was written, where a named text was read from)."""
    raw = download.unpacked(Path(source)) if sets.is_path(source) else named(source)
    try:
        string = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: expected UTF-8 text, found the byte 0x{raw[error.start]:02x} at position {error.start:,}") from None
    points = torch.frombuffer(bytearray(string.encode("utf-32-le")), dtype=torch.int32) if string else torch.empty(0, dtype=torch.int32)
    vocabulary, ids = points.unique(return_inverse=True)
    return Content(ids.to(torch.uint8 if len(vocabulary) <= 256 else torch.int32), [chr(p) for p in vocabulary.tolist()],
                   hashlib.sha256(raw).hexdigest())


def named(name: str) -> bytes:
    """The bytes of a named text."""
    if name == "pydoc":
        from pydoc_data.topics import topics

        return "\n\n".join(topics[topic] for topic in sorted(topics)).encode()
    (file,) = sets.SETS[name].files
    return download.read(file)
