"""The divergence of a vector field, div f(x) = tr(df/dx) = sum_i df_i / dx_i: of a score in score matching, of a flow in a likelihood.

    exact         D backward passes, one for each i
    Hutchinson    v' (df/dx) v with E[v v'] = I,  v_i = +1 or -1:  one backward pass, right on average (Hutchinson 1990)

Both return f(x) too, so that one forward pass gives both. Where gradients are enabled the results can be differentiated in the parameters of f.
B batch, D shape of a point.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Field = Callable[[Tensor], Tensor]                                              # (B, *D) -> (B, *D)
Divergence = Callable[[Field, Tensor], tuple[Tensor, Tensor]]                   # f, x -> f(x) (B, *D) and div f(x) (B,)


def exact(f: Field, x: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor]:
    """f(x), and its divergence without error."""
    x, y, kept = answer(f, x)
    trace = y.new_zeros(len(y))
    for v in torch.eye(y[0].numel(), dtype=y.dtype, device=y.device).view(-1, *y.shape[1:]):
        (row,) = torch.autograd.grad(y, x, v.expand_as(y), retain_graph=True, create_graph=kept, materialize_grads=True)
        trace = trace + (row * v).flatten(1).sum(1)
    return (y, trace) if kept else (y.detach(), trace.detach())


def hutchinson(f: Field, x: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor]:
    """f(x), and its divergence in one random direction a point."""
    x, y, kept = answer(f, x)
    v = torch.randint_like(x, 2) * 2 - 1
    (row,) = torch.autograd.grad(y, x, v, create_graph=kept, materialize_grads=True)
    trace = (row * v).flatten(1).sum(1)
    return (y, trace) if kept else (y.detach(), trace.detach())


def answer(f: Field, x: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor, bool]:
    """x as a leaf, f there with its graph, and whether gradients were enabled."""
    kept = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return x, f(x), kept
