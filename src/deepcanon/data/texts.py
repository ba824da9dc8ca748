"""Text by characters: random windows to train on, consecutive windows to evaluate on.

    data = text("tinyshakespeare", context=64, batch=12)
    x, y = data.at(0)           # int64 (B, T) each; y is x one character later

The first nine tenths are for training, the rest for validation; the vocabulary is that of the whole text.
Several texts stand one after the other, a line end between two. B windows a batch, T characters a window.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .metadata import Metadata, recorded
from .order import mix
from .text_read import Content, Texts, numbered, open_texts


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
            raise ValueError(f"the character {error} is not in the vocabulary of {len(self.vocabulary)} "
                             f"characters") from None

    def decode(self, numbers: Sequence[int] | Tensor) -> str:
        return "".join(self.vocabulary[i] for i in torch.as_tensor(numbers).tolist())


class Text:
    """Windows of a text. Nothing is read before the first access.

    Args:
        source: the texts, as `open_texts` gives them.
        context: T.
        batch: windows a batch, over all ranks.
        split: `train`: windows at random places drawn from (seed, step); `val`: all windows, in order, the
            last batch may be short.
        seed: of the places.

    Attributes: `.tokenizer`, `.metadata` (JSON: vocabulary, count of characters in the split, sha256 of the
    text), `.count`.
    """

    def __init__(self, source: Texts, *, context: int, batch: int, split: str, seed: int):
        self.source, self.context, self.batch, self.split, self.seed = source, context, batch, split, seed
        self.key = f"text:{source.name}:{split}" + (f":{source.encoding}"
                                                    if source.encoding not in (None, "utf-8") else "")
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
            self._metadata = {"vocabulary": content.vocabulary, "count": len(self.ids),
                              "sha256": content.sha256, "notes": content.notes}
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
        return numbered(self.source)

    @property
    def ids(self) -> Tensor:
        """The characters of the split as numbers, on the device."""
        if self._ids is None:
            ids = self.content.ids
            border = int(0.9 * len(ids))
            if len(ids) - border <= self.context:
                raise ValueError(f"{self.source.name}: has {len(ids):,} characters, too few for a window of "
                                 f"{self.context} + 1 in its last tenth, "
                                 f"which is for validation; expected {needed(self.context):,} or more (or a "
                                 f"smaller context)")
            self._ids = (ids[:border] if self.split == "train" else ids[border:]).to(self.device)
        return self._ids

    def _with(self, **changes) -> "Text":
        other = copy.copy(self)
        other._generator = torch.Generator()
        vars(other).update(changes)
        return other


def needed(context: int) -> int:
    """The fewest characters whose last tenth has room for a window."""
    return next(count for count in range(10 * context, 10 * context + 20)
                if count - int(0.9 * count) > context)


def text(source: Any, *, context: int = 64, batch: int = 12, split: str = "train", seed: int = 0,
         encoding: str | None = None) -> Text:
    """A text in windows of `context` characters.

    Args:
        source: a known name (`deepcanon data list`); the path of a file (`.gz` too) or of a folder of texts;
            a list of paths; `io.StringIO`; a list or a column of strings; a frame or Hugging Face data set
            with a column of strings.
        context: characters a window.
        batch: windows a batch.
        split: `train`: windows at random places; `val`, or `test`, which is the same: the windows of the last
            tenth, in order.
        seed: of the places.
        encoding: of files; None: what a byte order mark says, else UTF-8.

    Raises:
        ValueError: an unknown name or encoding; when it is read, a byte that does not fit, a binary file, a
            text that is too short.
        FileNotFoundError: there is no such file.
    """
    if split not in ("train", "val", "test"):
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    if context < 1 or batch < 1:
        raise ValueError(f"context and batch must be at least 1, got {context} and {batch}")
    split = "train" if split == "train" else "val"
    return Text(open_texts(source, encoding), context=context, batch=batch, split=split, seed=seed)


def describe_text(source: Any, *, encoding: str | None = None) -> dict[str, Any]:
    """What `text` would read, as plain values: files, characters, vocabulary, what is left out."""
    texts = open_texts(source, encoding)
    content = numbered(texts)
    count = len(content.ids)
    return {"kind": "text", "source": texts.name, "texts": content.files, "characters": count,
            "train": int(0.9 * count),
            "val": count - int(0.9 * count), "vocabulary": content.vocabulary, "notes": content.notes,
            "sha256": content.sha256}
