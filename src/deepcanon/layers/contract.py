"""What every method asks of its callers, whatever it computes.

    constructor      a number annotated int is a whole number of 0 or more, one annotated float is finite;
                     a shape is a tuple of whole numbers above 0
    loss, metrics    a batch is a tuple of tensors with as many rows each, one or more; real numbers are finite
    verbs            tensors where the annotation says so, finite; counts are whole numbers of 0 or more

`checked` validates these before a method runs, and says of an operation of torch that fails in it what it was
given. What a method asks beside it, values in [0, 1] or labels of its classes, it checks itself: `layers.checks`.
Values are read on the processor alone, where that costs microseconds, and not while torch compiles or transforms a
function: elsewhere nan and inf show in the loss.
"""

import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple, get_args, get_origin

import torch
from jaxtyping import AbstractArray
from torch import Tensor

VERBS = ("predict", "probabilities", "encode", "decode", "reconstruct", "sample", "log_prob", "elbo", "bits_per_dim",
         "translate", "translate_back", "templates", "detect", "locate")
OF_THE_MACHINE = re.compile(r"alloc|out of memory|CUDA|cuDNN|CUBLAS|NCCL|[gG]loo|Connection")
OF_TYPES = re.compile(r"dtype|type|not implemented for")
FAILURES = (RuntimeError, IndexError, TypeError, AttributeError)


class Parameter(NamedTuple):
    """One parameter of a function, as its annotation has it."""

    name: str
    kind: str                                                                    # "int", "float", "shape", "tensor", "batch"
    optional: bool                                                               # also other types are allowed


def checked(cls: type | None = None, *, rows: bool = True) -> Any:
    """The class; its constructor, `loss`, `losses`, `metrics` and verbs validate what they are given.

    Args:
        rows: whether the entries of a batch must have as many rows each; False where the method itself checks
            their shapes and names them in its messages.

    They raise:
        TypeError: a number, a shape or a tensor of another type.
        ValueError: a number or a shape without meaning; a batch that is none, without rows, or with entries of
            different rows; nan or inf; an operation of torch that fails.
    """
    if cls is None:
        return functools.partial(checked, rows=rows)
    own: dict[str, Any] = dict(vars(cls))
    for name in own.keys() & {"__init__", "loss", "losses", "metrics", *VERBS}:
        if inspect.isfunction(own[name]):
            wrap = generator_checked if name == "losses" else function_checked
            setattr(cls, name, wrap(own[name], cls.__name__, name, rows))
    return cls


def function_checked(function: Callable, cls: str, verb: str, rows: bool) -> Callable:
    """The function, its arguments validated, its failures told."""
    asked = parameters(function, batch=verb in ("loss", "metrics"))
    call = cls if verb == "__init__" else f"{cls}.{verb}"

    @functools.wraps(function)
    def run(self, *positional, **options):
        validate(asked, call, positional, options, rows)
        if verb == "__init__" or torch.compiler.is_compiling():
            return function(self, *positional, **options)
        try:
            return function(self, *positional, **options)
        except FAILURES as error:
            if reason := cause(error, call, positional, options):
                raise ValueError(reason) from error
            raise

    return run


def generator_checked(function: Callable, cls: str, verb: str, rows: bool) -> Callable:
    """The generator, its batch validated, its failures told."""
    asked, call = parameters(function, batch=True), f"{cls}.{verb}"

    @functools.wraps(function)
    def run(self, *positional, **options):
        validate(asked, call, positional, options, rows)
        try:
            yield from function(self, *positional, **options)
        except FAILURES as error:
            if reason := cause(error, call, positional, options):
                raise ValueError(reason) from error
            raise

    return run


def parameters(function: Callable, *, batch: bool) -> list[Parameter]:
    """Those whose arguments are validated, beside `self`; the first is a batch or has the kind of its annotation."""
    asked = list(inspect.signature(function).parameters.values())[1:]
    found = [Parameter(p.name, *kind(p.annotation)) for p in asked]
    return [Parameter(found[0].name, "batch", False), *found[1:]] if batch else found


def kind(annotation: Any) -> tuple[str, bool]:
    """int, float, shape or tensor, "" for any other annotation, and whether other types are allowed."""
    union = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    named = [n for n in map(kind_of_one, union) if n]
    return ("float" if "float" in named else named[0] if named else ""), len(named) < len(union)


def kind_of_one(annotation: Any) -> str:
    """That of an annotation without alternatives."""
    if annotation in (int, float):
        return annotation.__name__
    if get_origin(annotation) is tuple and set(get_args(annotation)) <= {int, ...}:
        return "shape"
    return "tensor" if inspect.isclass(annotation) and issubclass(annotation, AbstractArray | Tensor) else ""


def validate(asked: Sequence[Parameter], call: str, positional: tuple, options: dict, rows: bool) -> None:
    """Raises TypeError or ValueError for the first argument that is not what its parameter asks for."""
    values = [*zip(asked, positional, strict=False), *((p, options[p.name]) for p in asked if p.name in options)]
    for (name, kind, optional), value in values:
        if kind == "batch":
            entries(value, call, rows)
        elif kind == "tensor":
            tensor(name, value, optional, call)
        elif kind == "shape":
            shape(name, value, optional, call)
        elif kind:
            number(name, value, kind, optional, call)


def number(name: str, value: Any, kind: str, optional: bool, call: str) -> None:
    """A whole number of 0 or more, or a finite one."""
    if isinstance(value, Tensor) or (optional and not isinstance(value, Real)):
        return
    if not isinstance(value, Integral if kind == "int" else Real):
        what = "a whole number" if kind == "int" else "a number"
        raise TypeError(f"{call}: expected {name} to be {what}, got {value!r}")
    if kind == "int" and not isinstance(value, bool) and value < 0:
        raise ValueError(f"{call}: expected {name} of 0 or more, got {value}")
    if kind == "float" and not math.isfinite(value):
        raise ValueError(f"{call}: expected a finite {name}, got {value}")


def shape(name: str, value: Any, optional: bool, call: str) -> None:
    """Whole numbers above 0."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        if not optional:
            raise TypeError(f"{call}: expected {name} to be a tuple of whole numbers, got {value!r}")
    elif not all(isinstance(n, Integral) and int(n) > 0 for n in value):
        raise ValueError(f"{call}: expected {name} to be whole numbers above 0, got {tuple(value)}")


def tensor(name: str, value: Any, optional: bool, call: str) -> None:
    """A tensor of real and finite numbers, or of whole ones."""
    if isinstance(value, Tensor):
        real(name, value, call)
    elif not optional or value is not None:
        raise TypeError(f"{call}: expected {name} to be a tensor, got {type(value).__name__}")


def entries(batch: Any, call: str, rows: bool) -> None:
    """A tuple of tensors, with as many rows each if asked; None may stand for labels that there are not."""
    if not isinstance(batch, Sequence) or isinstance(batch, str) or not batch:
        raise ValueError(f"{call}: expected a batch, a tuple of tensors (x, ...), got {named(batch)}")
    for i, entry in enumerate(batch):
        if not isinstance(entry, Tensor) and (entry is not None or i == 0):
            raise TypeError(f"{call}: expected a batch of tensors, got {type(entry).__name__} as entry {i}")
    found = {i: entry for i, entry in enumerate(batch) if entry is not None}
    lengths = {len(entry) if entry.ndim else None for entry in found.values()}
    if 0 in lengths or (rows and (None in lengths or len(lengths) > 1)):
        shapes = ", ".join(str(tuple(entry.shape)) for entry in found.values())
        raise ValueError(f"{call}: expected one example or more, as many in each entry of the batch, got shapes {shapes}")
    for i, entry in found.items():
        real(f"entry {i} of the batch", entry, call)


def real(name: str, x: Tensor, call: str) -> None:
    """No complex number, no nan, no infinity."""
    if x.is_complex():
        raise TypeError(f"{call}: expected real numbers, got {x.dtype} as {name}")
    if not x.is_floating_point() or not x.is_cpu:
        return
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    if not math.isfinite(x.detach().sum()) and not x.isfinite().all():           # a sum is one pass; it may overflow
        bad = int((~x.isfinite()).sum())
        raise ValueError(f"{call}: expected finite values, got {bad} of {x.numel()} that are nan or inf in {name}")


def cause(error: Exception, call: str, positional: tuple, options: dict) -> str:
    """What the call was given when an operation of torch failed, with torch's reason; "" where that is no fault of
    its input: errors of memory, of devices, of a backward pass, of other classes."""
    if isinstance(error, TypeError | AttributeError):
        return missing(error, call, positional)
    if type(error) not in (RuntimeError, IndexError, NotImplementedError) or of_a_backward_pass(error):
        return ""
    if OF_THE_MACHINE.search(str(error)):
        return ""
    values = (*positional, *options.values())
    given = [t for value in values for t in (value if isinstance(value, tuple | list) else [value])]
    tensors = [t for t in given if isinstance(t, Tensor)]
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    if tensors and not tensors[0].is_floating_point() and OF_TYPES.search(reason):
        return f"{call}: expected floating-point values, got {tensors[0].dtype}; divide 8-bit images by 255"
    return f"{call} fails on {', '.join(map(named, given)) or 'this call'}: {reason}"


def missing(error: Exception, call: str, positional: tuple) -> str:
    """Which entry of the batch is None, if that is what failed."""
    batch = positional[0] if positional and isinstance(positional[0], tuple | list) else ()
    absent = [i for i, entry in enumerate(batch) if entry is None]
    if "NoneType" not in str(error) or not absent:
        return ""
    return f"{call}: expected a tensor as entry {absent[0]} of the batch, got None"


def of_a_backward_pass(error: Exception) -> bool:
    """Whether torch.autograd was at work."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith("torch.autograd.graph"):
            return True
        trace = trace.tb_next
    return False


def named(value: Any) -> str:
    """Shape and type of a tensor, else what it is."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if value == ():
        return "nothing"
    return repr(value) if isinstance(value, int | float | str | None) else type(value).__name__
