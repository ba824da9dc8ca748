"""Checkpoints of sharded nets: every rank writes its own parts of the tensors, and no rank holds a whole one.

The files of the parts are those of `torch.distributed.checkpoint`.

    state/000000100.all       all but the tensors; in their place is where they stand
    state/000000100.parts/    the tensors, in files of each rank

They are read back under any division: into nets that are sharded otherwise, or not at all.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

TENSOR, FILES = "tensor at", "files of tensors"
METADATA = ("ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta", "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING")
ALLOWED = {
    ("collections", "OrderedDict"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    *(("torch.distributed.checkpoint.metadata", name) for name in METADATA),
}


class Metadatas(pickle.Unpickler):
    """Reads the index of a checkpoint, and refuses a file that names anything but these types."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED or (module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)):
            return super().find_class(module, name)
        raise ValueError(
            f"the index of a checkpoint names {module}.{name}, which is neither a size nor a type; "
            "it was not opened"
        )


class Reader(dcp.FileSystemReader):
    """Reads tensors and nothing that could run code."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        found = Metadatas(io.BytesIO((Path(self.path) / ".metadata").read_bytes())).load()
        if not all(isinstance(entry, TensorStorageMetadata) for entry in found.state_dict_metadata.values()):
            raise ValueError(f"{self.path} holds more than tensors and was not opened")
        return found


def write_parts(folder: Path, state: dict) -> dict:
    """Write the tensors of a nested state, each rank its own parts; all else, with their places."""
    tensors: dict[str, Tensor] = {}
    rest = places(state, (), tensors)
    dcp.save(tensors, checkpoint_id=folder)
    own = {file.name: digest(file) for file in folder.glob(f"__{dist.get_rank()}_*")}
    dist.all_gather_object(found := [own] * dist.get_world_size(), own)
    return rest | {FILES: {name: value for files in found for name, value in files.items()}}


def digest(file: Path) -> str:
    """sha256 of a file."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def places(value: Any, path: tuple, tensors: dict[str, Tensor]) -> Any:
    """The value with {TENSOR: path} for each tensor, which goes into `tensors`."""
    if isinstance(value, Tensor):
        tensors[key(path)] = value
        return {TENSOR: list(path)}
    if isinstance(value, dict):
        return {k: places(v, (*path, k), tensors) for k, v in value.items()}
    return (
        type(value)(places(v, (*path, i), tensors) for i, v in enumerate(value))
        if isinstance(value, list | tuple)
        else value
    )


def key(path) -> str:
    """A place as one string."""
    return "/".join(map(str, path))


def read_parts(folder: Path, rest: dict, trainer: Any = None) -> dict:
    """The state that `write_parts` wrote: divided as the trainer's nets are, or whole where there is none.

    Raises:
        ValueError: a file is missing or not the one that was written, or the index names more than tensors.
    """
    for name, written in rest.pop(FILES).items():
        if not (folder / name).exists() or digest(folder / name) != written:
            raise ValueError(
                f"{folder / name} is missing or damaged: removed, truncated or edited after it was saved"
            )
    reader = Reader(folder)
    sizes = {
        name: entry
        for name, entry in reader.read_metadata().state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    tensors: dict[str, Tensor] = {}

    def allocated(value: Any) -> Any:
        if isinstance(value, dict) and TENSOR in value:
            path = value[TENSOR]
            entry = sizes[key(path)]
            like = trainer.counterpart(path) if trainer is not None else None
            if like is None or like.shape != entry.size:
                like = torch.empty(entry.size, dtype=entry.properties.dtype)
            return tensors.setdefault(key(path), torch.empty_like(like))
        if isinstance(value, dict):
            return {k: allocated(v) for k, v in value.items()}
        return type(value)(map(allocated, value)) if isinstance(value, list | tuple) else value

    state = allocated(rest)
    dcp.load(tensors, storage_reader=reader, no_dist=True)  # each rank for itself: one may fail
    return state
