"""Optimizer factories: `Adam(lr=1e-3, schedule=cosine())` is a function of parameters, so that a recipe names one before they exist.

The optimizers are torch's own, in their fused form where there is one and the parameters allow it, but for Muon. Any other `torch.optim.Optimizer` is
named by `Factory(Class, lr, options={...})`.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import Parameter

from deepcanon.engine import muon
from deepcanon.engine.schedules import Schedule, constant


@dataclass(frozen=True)
class Factory:
    """parameters -> torch optimizer, with the schedule of its rate.

    `slower` gives parts of a method, by name, a part of the rate: {"net.stem": 0.1}. The longest name that fits counts.
    """

    build: Callable[..., torch.optim.Optimizer]
    lr: float
    schedule: Schedule = field(default_factory=constant)
    options: dict = field(default_factory=dict)
    decay_vectors: bool = True
    slower: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if not self.lr >= 0:
            raise ValueError(f"expected a learning rate of 0 or more, got {self.lr}")
        if wrong := next((name for name, part in self.slower.items() if not part >= 0), None):
            raise ValueError(f"expected a part of the rate of 0 or more for {wrong!r}, got {self.slower[wrong]}")

    def __call__(self, params: Iterable[Parameter], names: Mapping[int, str] | None = None) -> torch.optim.Optimizer:
        """The optimizer. `names` are those of the parameters by their id, which parts of the rate are given by."""
        params = list(params)
        spare_dynamo()
        has_fused = "fused" in inspect.signature(self.build).parameters
        fused = has_fused and all(p.is_floating_point() and not hasattr(p, "full_tensor") for p in params)
        groups = [{"params": params, "fused": fused}]
        if not self.decay_vectors:                                     # biases, gains and scalars are not decayed
            matrices, vectors = [p for p in params if p.ndim > 1], [p for p in params if p.ndim <= 1]
            groups = [{"params": matrices, "fused": fused}, {"params": vectors, "fused": fused, "weight_decay": 0.0}]
        if self.slower:
            groups = [part for group in groups for part in self.by_rate(group, names or {})]
            if unused := [n for n in self.slower if not any(within(name, n) for name in (names or {}).values())]:
                raise ValueError(f"no parameter is in {unused[0]!r}, whose part of the rate was given")
        return self.build([g for g in groups if g["params"]], lr=self.lr, **self.options)

    def by_rate(self, group: dict[str, Any], names: Mapping[int, str]) -> list[dict[str, Any]]:
        """A group of parameters as one for each rate.

        Raises:
            ValueError: a parameter whose name is not known.
        """
        parts: dict[float, list[Parameter]] = {}
        for p in group["params"]:
            if id(p) not in names:
                raise ValueError("rates by part need the names of the parameters, which `fit` knows")
            own = max((n for n in self.slower if within(names[id(p)], n)), key=len, default=None)
            parts.setdefault(1.0 if own is None else self.slower[own], []).append(p)
        return [group | {"params": params, "lr": part * self.lr} for part, params in parts.items()]


def within(parameter: str, part: str) -> bool:
    """Whether the parameter of that dotted name is in the part, or is it."""
    return f"{parameter}.".startswith(f"{part}.")


def described(optimizers: Any, total: int | None) -> dict[str, Any]:
    """Optimizers as JSON: what is built with which options, and the factor of its rate at five moments of the run."""
    if isinstance(optimizers, dict):
        return {player: described(factory, total) for player, factory in optimizers.items()}
    if not isinstance(optimizers, Factory):
        return {"build": getattr(optimizers, "__qualname__", type(optimizers).__qualname__)}
    moments = sorted({0, *(k * (total or 1_000) // 4 for k in range(1, 4)), max(0, (total or 1_000) - 1)})
    factors = [round(optimizers.schedule(t, total), 9) for t in moments] if total != 0 else []
    options = {name: value if isinstance(value, bool | int | float | str | None) else str(value) for name, value in optimizers.options.items()}
    slower = {"slower": dict(optimizers.slower)} if optimizers.slower else {}
    return {"build": optimizers.build.__qualname__, "lr": optimizers.lr, "schedule": factors,
            "decay_vectors": optimizers.decay_vectors, **options, **slower}


def builders(optimizers: Any) -> list[Any]:
    """What builds the optimizers, whose source code a run depends on."""
    factories = optimizers.values() if isinstance(optimizers, dict) else [optimizers]
    return [f.build if isinstance(f, Factory) else f for f in factories]


UNTRACED = tuple(getattr(torch.optim.Optimizer, name, None) for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"))


def spare_dynamo(spared: bool = True) -> None:
    """Let torch's optimizers work without importing torch._dynamo, a second or two of every process.

    They import it only to tell it not to trace four of their methods, for which these are marked as told; `spared=False`, before something is
    compiled, takes the marks back. Nothing happens where torch._dynamo is loaded already.
    """
    for method in UNTRACED:
        plain = getattr(method, "__wrapped__", None)
        if plain is None:
            continue
        if spared and "torch._dynamo" not in sys.modules:
            plain.__dynamo_disable = plain
        elif not spared and getattr(plain, "__dynamo_disable", None) is plain:
            del plain.__dynamo_disable


def update(optimizer: torch.optim.Optimizer) -> None:
    """One step of the optimizer; without hooks and outside the compiler, its plain function, which is the same arithmetic."""
    hooks = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    own = type(optimizer).__module__.startswith(("torch.optim.", "deepcanon."))
    if "torch._dynamo" in sys.modules or hooks or not own or optimizer.defaults.get("differentiable"):
        optimizer.step()
        return
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)


def Adam(lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, schedule: Schedule | None = None) -> Factory:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980)."""
    return Factory(torch.optim.Adam, lr, schedule or constant(), {"betas": betas, "eps": eps})


def AdamW(lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01,
          decay_vectors: bool = False, schedule: Schedule | None = None) -> Factory:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101), by default on matrices only."""
    return Factory(torch.optim.AdamW, lr, schedule or constant(), {"betas": betas, "eps": eps, "weight_decay": weight_decay}, decay_vectors)


def SGD(lr: float = 0.1, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0,
        decay_vectors: bool = True, schedule: Schedule | None = None) -> Factory:
    """Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013): the net then stands at the look-ahead point."""
    options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    return Factory(torch.optim.SGD, lr, schedule or constant(), options, decay_vectors)


def Adagrad(lr: float = 0.01, eps: float = 1e-10, schedule: Schedule | None = None) -> Factory:
    """AdaGrad (Duchi, Hazan & Singer 2011)."""
    return Factory(torch.optim.Adagrad, lr, schedule or constant(), {"eps": eps})


def RMSprop(lr: float = 0.01, decay: float = 0.99, eps: float = 1e-8, schedule: Schedule | None = None) -> Factory:
    """RMSProp (Tieleman & Hinton 2012); `decay` is the memory of the squared gradients."""
    return Factory(torch.optim.RMSprop, lr, schedule or constant(), {"alpha": decay, "eps": eps})


def Muon(lr: float = 5e-3, momentum: float = 0.95, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0,
         decay_vectors: bool = False, schedule: Schedule | None = None) -> Factory:
    """Orthogonal steps for matrices and kernels, Adam's for vectors (Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982)."""
    options = {"momentum": momentum, "betas": betas, "weight_decay": weight_decay}
    return Factory(muon.Muon, lr, schedule or constant(), options, decay_vectors)
