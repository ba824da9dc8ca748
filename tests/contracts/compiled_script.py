"""Compares methods compiled with themselves, one line each. Run in a process of its own, without the run-time checks
of annotations, which cannot be compiled.

A loss is compiled whole; of a method with several players, whose generator cannot be compiled, its nets are.
The backend aot_eager traces and differentiates as inductor does, and runs the result without compiling it.
"""

import copy
import sys
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from deepcanon.engine import players
from tests.contracts.presets import PRESETS

warnings.simplefilter("ignore")
torch._inductor.config.fallback_random = True                            # the random numbers of eager torch
UNUSED = nn.modules.module._forward_unimplemented


def nets(method: nn.Module) -> Iterator[nn.Module]:
    """The parts that can be called, from the outside in."""
    for part in method.children():
        if type(part).forward is UNUSED:
            yield from nets(part)
        else:
            yield part


def compiled(method: nn.Module, backend: str) -> nn.Module:
    """A copy of it, compiled."""
    method = copy.deepcopy(method)
    if hasattr(method, "loss"):
        method.loss = torch.compile(method.loss, backend=backend, dynamic=False)
    else:
        for net in nets(method):
            net.compile(backend=backend, dynamic=False)
    return method


def gradients(method: nn.Module, batch: tuple) -> dict[str, Tensor]:
    """The losses of one step and their gradients."""
    torch.manual_seed(0)
    found = {}
    for player, loss in players(method, batch):
        loss = loss["loss"] if isinstance(loss, dict) else loss
        method.zero_grad()
        loss.backward()
        found[f"loss {player}"] = loss.detach()
        found |= {f"{name} {player}": p.grad for name, p in method.named_parameters() if p.grad is not None}
    return found


def verdict(name: str, backend: str) -> str:
    """agrees, refuses (a second derivative, which torch's compiler has not), or what differs."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    method, batch = PRESETS[name].build(), PRESETS[name].batch()
    twin = compiled(method, backend)
    right = gradients(method, batch)
    try:
        ours = gradients(twin, batch)
    except RuntimeError as error:
        if "does not currently support double backward" in str(error):
            return "refuses"
        raise
    if ours.keys() != right.keys():
        return f"has other gradients: {sorted(ours.keys() ^ right.keys())}"
    off = [key for key, value in right.items() if (ours[key] - value).norm() > 1e-4 * value.norm() + 1e-6]
    return f"differs in {off}" if off else "agrees"


for argument in sys.argv[1:]:
    print(argument, verdict(*argument.split(":")), flush=True)
