"""The grammar of recipes: which values a call gets, and which target it is held to. It imports no torch, so that `deepcanon list` is quick.

    values  =  defaults of the signature  <-  presets that match data, variant and budget, in order  <-  what the caller gives

The data argument is called `data` (`env` for agents). Arguments annotated `Literal` are variants: they select presets. A budget is "" (two cores and
minutes) or a name such as "full" (a GPU and hours). A target belongs to a call that changes nothing but data, seed, variant and budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

FREE = {"data", "env", "seed"}                          # what a call may give, beside variants, and keep its target
SIZES = {"width", "units", "hidden", "latent", "kernels", "heads", "codes", "members", "chains", "num_envs"}     # of which 0 means nothing
LENGTHS = {"steps", "env_steps"}                        # of which 0 builds the method and trains nothing


@dataclass(frozen=True)
class Bound:
    """A target: at least or at most a value; `sign` is +1 or -1."""

    value: float
    sign: int

    def holds(self, measured: float | None) -> bool:
        """Whether a measured value meets the target; one that is missing does not."""
        return measured is not None and self.sign * (measured - self.value) >= 0

    def __str__(self) -> str:
        return f"{'>=' if self.sign > 0 else '<='} {self.value:g}"

    def as_json(self) -> list:
        return [">=" if self.sign > 0 else "<=", self.value]


def at_least(value: float) -> Bound:
    """The measured number must be `value` or more."""
    return Bound(value, +1)


def at_most(value: float) -> Bound:
    """The measured number must be `value` or less."""
    return Bound(value, -1)


def bounds(target: Mapping[str, Sequence]) -> dict[str, Bound]:
    """Targets as call.json keeps them, {"elbo": [">=", -99.0]}, as bounds."""
    return {name: Bound(value, +1 if sign == ">=" else -1) for name, (sign, value) in target.items()}


class Preset(NamedTuple):
    """Settings of a recipe for one data set, and what is to be reached with them."""

    data: str
    budget: str = ""
    target: dict[str, Bound] = {}                       # noqa: RUF012 (never changed)
    seconds: float | None = None
    published: dict[str, float] = {}                    # noqa: RUF012
    source: str = ""
    expect: str = ""
    arguments: dict[str, Any] = {}                      # noqa: RUF012


def preset(data: str, budget: str = "", /, *, target: dict[str, Bound] | None = None, seconds: float | None = None,
           published: dict[str, float] | None = None, source: str = "", expect: str = "", **arguments: Any) -> Preset:
    """Settings for a data set.

    Args:
        data: the known name that selects this preset.
        budget: "" always applies; another name only when it is asked for.
        target: name of a result -> bound, over the mean of the seeds.
        seconds: training time allowed on two CPU cores.
        published, source: numbers of the literature, and whose they are.
        expect: what is expected and why, where a method is known to fail.
        arguments: values in place of the signature's defaults; a variant's value selects the preset.
    """
    return Preset(data, budget, target or {}, seconds, published or {}, source, expect, arguments)


class Form(NamedTuple):
    """What the grammar must know of a recipe: its defaults, the choices of its variants, its presets."""

    name: str
    defaults: dict[str, Any]
    variants: dict[str, tuple]
    presets: tuple[Preset, ...]

    @property
    def data(self) -> str | None:
        """The name of the data argument; None for a recipe without one."""
        return next((name for name in ("data", "env") if name in self.defaults), None)

    @property
    def budgets(self) -> list[str]:
        return sorted({p.budget for p in self.presets})


@dataclass(frozen=True)
class Resolved:
    """One call: all of its arguments, its label such as "ring-hinge", and what it is held to (nothing if a setting was changed)."""

    recipe: str
    arguments: dict[str, Any]
    label: str
    given: dict[str, Any] = field(default_factory=dict)
    budget: str = ""
    target: dict[str, Bound] = field(default_factory=dict)
    seconds: float | None = None
    published: dict[str, float] = field(default_factory=dict)
    source: str = ""
    expect: str = ""

    @property
    def name(self) -> str:
        """recipe/label, the place of its record below results/."""
        return f"{self.recipe}/{self.label}"


def resolve(form: Form, given: Mapping[str, Any], budget: str = "") -> Resolved:
    """The call that `given` and `budget` mean.

    Raises:
        ValueError: an argument that the recipe lacks or of another type, a variant that is not one of its choices,
            a budget that no preset of these data has.
    """
    check(form, given, budget)
    given = {name: plain(form.defaults[name], value) for name, value in given.items()}
    asked = form.defaults | dict(given)
    data = described(asked[form.data]) if form.data else ""
    chosen = {name: asked[name] for name in form.variants}
    fits = [p for p in form.presets if form.data and same_data(p.data, asked[form.data]) and p.budget in ("", budget)
            and all(chosen[v] == p.arguments[v] for v in chosen if v in p.arguments)]
    if budget and not any(p.budget == budget for p in fits):
        has = sorted({p.data for p in form.presets if p.budget == budget})
        raise ValueError(f"{form.name} has no budget '{budget}' for {data}; it has one for {', '.join(has)}")
    preset_values = {k: v for p in fits for k, v in p.arguments.items()}
    arguments = form.defaults | preset_values | dict(given)
    kept = all(arguments[k] == (form.defaults | preset_values)[k] for k in given if k not in {*FREE, *form.variants})
    stated = [p for p in fits if p.budget == budget and (p.target or p.expect or p.seconds)]
    goal = max(stated, key=lambda p: sum(v in p.arguments for v in chosen), default=Preset("")) if kept else Preset("")
    parts = [data, *(str(v) for k, v in chosen.items() if v != form.defaults[k]), budget]
    return Resolved(form.name, arguments, "-".join(filter(None, parts)) or "run", dict(given), budget, goal.target, goal.seconds, goal.published,
                    goal.source, goal.expect)


def check(form: Form, given: Mapping[str, Any], budget: str) -> None:
    """Refuse what no call of this recipe can mean."""
    if unknown := sorted(given.keys() - form.defaults.keys()):
        raise ValueError(f"{form.name} has no argument '{unknown[0]}'; it takes {', '.join(form.defaults)}")
    for name, choices in form.variants.items():
        if name in given and given[name] not in choices:
            raise ValueError(f"{form.name}: expected {name} as one of {', '.join(map(str, choices))}, got {given[name]!r}")
    for name, value in given.items():
        if wanted := mistyped(form.defaults[name], value):
            raise ValueError(f"{form.name}: expected {name} as {wanted}, got {value!r}")
        if isinstance(value, Integral) and not -(2**63) <= value < 2**64:
            raise ValueError(f"{form.name}: expected {name} as a number of 64 bits, got {value}")
        least = int(name in SIZES)
        if name in (*SIZES, *LENGTHS) and isinstance(value, Integral) and value < least:
            raise ValueError(f"{form.name}: expected {name} of {least} or more, got {value}")
    if budget and budget not in form.budgets:
        has = ", ".join(filter(None, form.budgets))
        raise ValueError(f"{form.name} has no budget '{budget}'" + (f"; it has {has}" if has else ": it has one set of presets"))


def mistyped(default: Any, value: Any) -> str:
    """What an argument of this default is, where a value is something else; data, texts and None are anybody's."""
    truth = isinstance(value, bool)
    if isinstance(default, bool):
        return "" if truth else "True or False"
    if isinstance(default, int):
        return "" if isinstance(value, Integral) and not truth else "a whole number"
    if isinstance(default, float):
        return "" if isinstance(value, Real) and not truth else "a number"
    return ""


def plain(default: Any, value: Any) -> Any:
    """A number of another library, such as numpy.int64, as Python's own, which a record can hold."""
    return type(default)(value) if type(default) in (int, float) else value


def same_data(name: str, data: Any) -> bool:
    """Whether data are the known set of that name."""
    return isinstance(data, str) and data == name


def described(data: Any) -> str:
    """How data are called in a label: a name as it is, a path by its last part, an object by its type."""
    if isinstance(data, str | Path):
        text = str(data)
        return "".join(c if c.isalnum() or c in "._-" else "_" for c in (Path(text).name or "data" if "/" in text else text.strip("."))) or "data"
    return type(data).__name__.lower()
