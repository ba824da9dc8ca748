"""A trained method as a file that opens without this library.

    torch     <run>/export/model.pt2       `torch.export.load("model.pt2").module()(x)`
    onnx      <run>/export/model.onnx      for onnxruntime and others
    folder    <run>/export/                model.pt2, example.pt, classes.json, of a table columns.json, and a README that says how to use them

What is exported is the verb by which the method is used: class probabilities or pictures from images (predict), pictures from latent numbers
(the generator of a GAN, the means of a VAE's decoder), the logits of the next token. The batch is of any size. Every file is read again
and must give the method's own outputs to 1e-5.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.engine.record import as_markdown, read_call
from deepcanon.runs import rebuild

KINDS = ("torch", "onnx", "folder")
TOLERANCE = 1e-5
COLUMNS = """`columns.json` names the columns of the input in their order: each is (value - mean) / std. `Sex=female` is 1 where the
column Sex says female, else 0; `Age is missing` is 1 where Age is, whose value is then its mean.
"""


class Exported(nn.Module):
    """One verb of a method as a module."""

    def __init__(self, method: nn.Module, verb: str):
        super().__init__()
        self.method, self.verb = method, verb

    def forward(self, x: Tensor) -> Tensor:
        answer = getattr(self.method, self.verb)(x)
        return answer.mean if self.verb == "decode" else answer


class Use(NamedTuple):
    """How a method is used: its verb, an example of the input, what the input and the output are."""

    verb: str
    example: Tensor
    takes: str
    gives: str


def use_of(method: Any, call: dict) -> Use:
    """The use of a method; ValueError when it has none that is one function of one tensor."""
    source = call["sources"][0] if call["sources"] else {}
    if callable(getattr(method, "predict", None)) and (source.get("kind") in ("images", "table") or hasattr(method, "logits")):
        shape = [len(source["columns"])] if source["kind"] == "table" and "shape" not in source else source["shape"]
        classes = source.get("classes", [])
        takes = f"float32 ({', '.join(['B', *map(str, shape)])})" + (", pixels in [0, 1]" if source["kind"] != "table" else ", standardised columns")
        return Use("predict", torch.rand(2, *shape), takes, f"probabilities of the classes {', '.join(classes)}" if classes else "predictions")
    if hasattr(method, "tokenizer") and hasattr(method, "net"):
        size = len(method.tokenizer.vocabulary)
        return Use("net", torch.randint(size, (2, 16)), "int64 (B, T), numbers of characters", f"logits (B, T, {size}) of the next character")
    if hasattr(method, "latent_dim"):
        for verb in ("decode", "generator"):
            if hasattr(method, verb):
                return Use(verb, torch.randn(2, method.latent_dim), f"float32 (B, {method.latent_dim}), standard normal numbers", "what it draws")
    raise ValueError(f"{type(method).__name__} cannot be exported: it has no predict(x), decode(z) or generator(z) of one tensor")


def export(folder: str | Path, to: str = "folder", out: str | Path | None = None, weights: str = "weights") -> Path:
    """Write the method of a run in a form that needs no deepcanon; the path written.

    Args:
        folder: the run folder.
        to: "torch", "onnx" or "folder".
        out: folder of the files; by default export/ in the run folder.
        weights: "weights" or "best".

    Raises:
        ValueError: a method without a use of one tensor, one that torch cannot export, or a file whose outputs are not the method's.
    """
    if to not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}, got '{to}'")
    call, method = read_call(Path(folder)), rebuild(folder, weights).method.cpu()
    use, target = use_of(method, call), Path(out or Path(folder) / "export")
    with evaluation_mode(method):
        module = Exported(method, use.verb).eval()
        expected = module(use.example)
        program = traced(module, use.example)
        target.mkdir(parents=True, exist_ok=True)
        if to == "onnx":
            return write_onnx(program, module, use, target / "model.onnx", call)
        path = write_torch(program, use, expected, target / "model.pt2")
    if to == "torch":
        return path
    torch.save({"x": use.example, "y": expected}, example := io.BytesIO())
    write_bytes(target / "example.pt", example.getvalue())
    write_bytes(target / "classes.json", json.dumps(classes_of(call), ensure_ascii=False).encode())
    if columns := columns_of(call):
        write_bytes(target / "columns.json", json.dumps(columns, ensure_ascii=False, indent=1).encode())
    write_bytes(target / "README.md", readme(call, use).encode())
    return target


def traced(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The computation as torch.export records it, for any number of examples."""
    dims = {"x": {0: torch.export.Dim("batch", min=1, max=65_536)}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, (example,), dynamic_shapes=dims)
    except Exception as error:
        raise ValueError(f"torch cannot export this {type(module.get_submodule('method')).__name__}: {str(error).splitlines()[0]}") from None


def write_torch(program: torch.export.ExportedProgram, use: Use, expected: Tensor, path: Path) -> Path:
    """model.pt2, read again and compared."""
    torch.export.save(program, file := io.BytesIO())
    write_bytes(path, file.getvalue())
    check(torch.export.load(path).module()(use.example), expected, path)
    return path


def write_onnx(program: torch.export.ExportedProgram, module: nn.Module, use: Use, path: Path, call: dict) -> Path:
    """model.onnx, read again by onnxruntime and compared, on another number of examples too."""
    import onnx
    import onnxruntime

    with warnings.catch_warnings(), quiet_logs():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(program, (use.example,), input_names=["x"], output_names=["y"], verbose=False)
    model = cast(torch.onnx.ONNXProgram, made).model_proto
    model.metadata_props.extend([onnx.StringStringEntryProto(key="classes", value=json.dumps(classes_of(call), ensure_ascii=False))])
    write_bytes(path, model.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for x in (use.example, use.example.repeat(3, *[1] * (use.example.ndim - 1))):
        with torch.no_grad():
            check(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), module(x), path)
    return path


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Inside the block, what the exporter logs of packages that it does not find is not printed."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def check(found: Tensor, expected: Tensor, path: Path) -> None:
    """The file must give the method's own outputs."""
    error = (found - expected).abs().max().item() / max(1.0, expected.abs().max().item())
    if not error <= TOLERANCE:
        path.unlink()
        raise ValueError(f"{path} gave outputs that differ from the method's by {error:.2g}, more than {TOLERANCE:g}; it was removed")


def classes_of(call: dict) -> list[str]:
    """The names of the classes; none where there are none."""
    return next((s["classes"] for s in call["sources"] if s.get("classes")), [])


def columns_of(call: dict) -> list[dict[str, Any]]:
    """Of a table, what each column of the input is and the numbers that it was standardised with; else nothing."""
    source = call["sources"][0] if call["sources"] else {}
    if source.get("kind") != "table":
        return []
    rows = zip(source["columns"], source["mean"], source["std"], strict=True)
    return [{"column": name, "mean": mean, "std": std} for name, mean, std in rows]


def readme(call: dict, use: Use) -> str:
    """What lies in the folder, a line each."""
    table = COLUMNS if columns_of(call) else ""
    title = f"{as_markdown(call['method'])} ({as_markdown(call['label'])})"
    return f"""# {title}, made by deepcanon {call['versions']['deepcanon']}; it needs PyTorch alone
Input: {as_markdown(use.takes)}. Output: {as_markdown(use.gives)}.
`model = torch.export.load("model.pt2").module()`
`y = model(x)`
`example.pt` holds an input x and its output y: `e = torch.load("example.pt"); torch.testing.assert_close(model(e["x"]), e["y"])`
`classes.json` names the columns of the output, where it has classes.
{table}"""
