"""Recipes: plain functions whose typed keyword arguments are the only settings, which build objects and return `fit(...)`.

    @recipe(paper="Kingma & Welling 2014", systems=["GEN-18"],
            presets=[preset("digits", target={"elbo": at_least(-24.0)}), preset("mnist", latent=24)])
    def vae(data: Images = "digits", *, latent: int = 8, seed: int = 0) -> Run: ...

What a call means is decided by `deepcanon.grammar`; it is recorded in the run folder, and the random numbers follow its `seed`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from deepcanon.data.metadata import collected_sources
from deepcanon.engine.lock import Lock
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import current_options, options
from deepcanon.engine.seeds import seed_everything
from deepcanon.grammar import Form, Preset, Resolved, resolve


@dataclass
class Call:
    """A recipe at work; its second `fit` gets the folder stage2 inside the first one's, and so on."""

    resolved: Resolved
    stages: int = 0
    folder: Path | None = None
    started: bool = False                                              # from the weights of another run
    sources: list[Any] = field(default_factory=list)                   # the data that it has opened
    code: Any = None                                                   # the function of the recipe
    lock: Lock | None = None                                           # of its folder, until it has ended


_call: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call | None:
    """The recipe at work, if one is."""
    return _call.get()


def recipe(*, paper: str, systems: Sequence[str], presets: Sequence[Preset] = ()) -> Callable:
    """Make a function a recipe.

    Args:
        paper: of the method.
        systems: their ids in the catalogue.
        presets: settings and targets for known data sets.

    The function gets `.form`, and its call a further keyword, `budget`, which selects presets.
    """

    def decorate(function: Callable[..., Run]) -> Callable[..., Run]:
        signature = inspect.signature(function)
        form = form_of(function, presets)

        @functools.wraps(function)
        def call(*args: Any, budget: str = "", **kwargs: Any) -> Run:
            resolved = resolve(form, named(signature, args, kwargs), budget)
            seed_everything(resolved.arguments.get("seed", 0))
            at_work = Call(resolved, code=function)
            token = _call.set(at_work)
            try:
                with collected_sources(at_work.sources):
                    return name_classes(function(**resolved.arguments), at_work)
            finally:
                if at_work.lock is not None:
                    at_work.lock.release()
                _call.reset(token)

        call.form, call.systems, call.paper = form, tuple(systems), paper  # type: ignore[attr-defined]
        return call

    return decorate


def named(signature: inspect.Signature, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The given arguments by name; TypeError for too many positional ones, or two values for one argument."""
    places = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(args) > len(places):
        raise TypeError(f"expected {' and '.join(places) or 'nothing'} alone without a name, got {len(args)} such arguments: write name=value")
    given = dict(zip(places, args))
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"got two values for {min(twice)}")
    return given | kwargs


def name_classes(run: Run, call: Call) -> Run:
    """The names of the classes as an attribute of the method, whose outputs they name."""
    names = next((source.metadata["classes"] for source in call.sources if source.metadata.get("classes")), None)
    if names and not hasattr(run.method, "classes"):
        run.method.classes = list(names)  # type: ignore[assignment]
    return run


def form_of(function: Callable, presets: Sequence[Preset]) -> Form:
    """The form of a recipe, from its signature; TypeError for a preset that sets an unknown argument."""
    defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    hints = typing.get_type_hints(function)
    variants = {name: typing.get_args(hints[name]) for name in defaults if typing.get_origin(hints.get(name)) is Literal}
    for p in presets:
        if unknown := sorted(p.arguments.keys() - defaults.keys()):
            raise TypeError(f"{function.__name__}: the preset '{p.data}' sets {unknown}, which are no arguments")
    return Form(function.__name__, defaults, variants, tuple(presets))


def held_to(call: Call | None) -> dict[str, list]:
    """The target of the call as JSON; none when an option, a budget in minutes or other weights to start from, changes the run."""
    chosen = current_options()
    if call is None or chosen.minutes is not None or chosen.start_from is not None:
        return {}
    return {name: bound.as_json() for name, bound in call.resolved.target.items()}


@contextlib.contextmanager
def aside():
    """Inside the block a `fit` belongs to no recipe and has no folder: what a recipe trains for its own use, such as a judge of images."""
    token = _call.set(None)
    try:
        with torch.random.fork_rng(), options(folder=None, quiet=True, resume=False, build_only=False, minutes=None, start_from=None,
                                              track=(), alone=True):
            seed_everything(0)
            yield
    finally:
        _call.reset(token)
