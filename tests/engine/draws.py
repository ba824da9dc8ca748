"""Random draws that are the same for every row, however many are drawn, and one order of everything: a batch and
its parts then see the same noise.
"""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

LIKE = {torch.randn_like: torch.randn, torch.rand_like: torch.rand}
FILLS = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.exponential_, torch.Tensor.bernoulli_)
RANDOM = {*LIKE, *FILLS, torch.randn, torch.rand, torch.randint, torch.randperm, F.dropout}


class EqualRows(TorchFunctionMode):
    """Every draw is of one row, from the same seed, repeated. Draws with a generator of their own are left alone."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function not in RANDOM or kwargs.get("generator") is not None:
            return function(*args, **kwargs)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return equal_rows(function, args, kwargs)


def equal_rows(function, args, kwargs) -> torch.Tensor:
    """The draw of one row, for every row."""
    if function in LIKE:
        return repeated(LIKE[function](args[0].shape[1:], dtype=args[0].dtype), args[0].shape)
    if function in FILLS:
        return args[0].copy_(repeated(function(torch.empty_like(args[0][:1]), *args[1:], **kwargs)[0], args[0].shape))
    if function is torch.randperm:
        return function(*args)
    if function is torch.randint:
        return repeated(torch.randint(args[0], args[1][1:]), args[1])
    if function is F.dropout:
        x, p = args[0], kwargs["p"]
        return x * repeated((torch.rand(x.shape[1:]) >= p).to(x.dtype) / (1 - p), x.shape) if kwargs["training"] else x
    shape = args[0] if isinstance(args[0], tuple) else args
    return repeated(function(shape[1:], **kwargs), shape)


def repeated(row: torch.Tensor, shape) -> torch.Tensor:
    """A row, as often as the shape says."""
    return row.expand(tuple(shape)).clone()
