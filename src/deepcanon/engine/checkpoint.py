"""Files of a run that outlive a crash: written to a temporary name, flushed, renamed; read only if every byte is the one written.

    state       "DEEPCANON" + sha256(payload) + payload,    payload = torch.save(tensors, numbers, strings, lists, dicts)
    weights     safetensors, with the sha256 of the tensors in the header

Nothing in either can run code: states are read with `weights_only=True`, after the checksum.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deepcanon.errors import is_out_of_memory

MAGIC = b"DEEPCANON"


def write_bytes(path: Path, data: bytes) -> None:
    """All of `data` under `path`, or the file that was there before."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, f"could not write {path} ({error.strerror}); what was saved before is untouched") from None


def leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left below a folder."""
    for file in folder.rglob(".*.part"):
        file.unlink(missing_ok=True)


def write_json(path: Path, value) -> None:
    """`value` as indented JSON."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path):
    """The value in a JSON file; a ValueError with its path if it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged: expected JSON, {error}") from None


def write_rows(path: Path, rows: list[dict[str, float]]) -> list[str]:
    """Rows as CSV, a column for every name that occurs in one; the columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
    return columns


def write_state(path: Path, state: dict) -> None:
    """A nested dict of tensors, numbers and strings."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    write_bytes(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def read_state(path: Path) -> dict:
    """What `write_state` wrote; a ValueError for anything else, before a byte of it is interpreted."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is not a state saved by deepcanon; it was not opened")
    digest, payload = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError(f"{path} is damaged: it was truncated or edited after it was saved")
    try:
        return torch.load(io.BytesIO(payload), weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} holds more than tensors and numbers and was not opened ({type(error).__name__})") from None


def write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """A state dict as safetensors; tensors that share memory are written out one by one."""
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_bytes(path, save(tensors, metadata={"format": "pt", "sha256": _digest(tensors)}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict written by `write_weights`, or any other safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            expected = (file.metadata() or {}).get("sha256")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: expected safetensors, {error}") from None
    if expected and _digest(tensors) != expected:
        raise ValueError(f"{path} is damaged: its tensors are not the ones that were saved")
    return tensors


@contextlib.contextmanager
def fitting(path: Path, method: torch.nn.Module) -> Iterator[None]:
    """Inside the block a state that was read from `path` is put to use; one of another version, size or
    method raises a ValueError that says what does not fit."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())
        if isinstance(error, KeyError | IndexError | TypeError | AttributeError):
            said = f"a part is missing or of another form ({said})"
        raise ValueError(f"{path} does not fit {type(method).__name__} as it is built now: {said}; it is of "
                         "another version, another method or other settings") from error


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Copy the weights of a file into `module`; a ValueError names what does not fit."""
    tensors, own = read_weights(path), module.state_dict()
    if tensors.keys() != own.keys():
        missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
        raise ValueError(f"{path} does not fit {type(module).__name__}: missing {missing[:3] or 'nothing'}, unknown {extra[:3] or 'nothing'}")
    for name, t in tensors.items():
        if t.shape != own[name].shape:
            raise ValueError(f"{path} does not fit {type(module).__name__}: {name} is {tuple(t.shape)}, expected {tuple(own[name].shape)}")
    module.load_state_dict(tensors)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name]
        digest.update(f"{name} {t.dtype} {tuple(t.shape)} ".encode() + t.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
