"""What becomes of wrong and of unusual calls: random ones of every preset, counted by outcome.

    python -m tests.contracts.inputs --calls 1000 --seed 0 [--show torch]

A call is a constructor with a wrong number, shape or net, or `loss`, `metrics` or a verb on altered tensors. It runs
without the tests' checks of annotations, which users do not have. The outcomes:

    right      accepted with a right result, or a result that is not finite nowhere
    silent     accepted with a wrong result: nan, inf, a broadcast, labels without a class, other numbers
    ours       refused by a ValueError or TypeError of one line that deepcanon raises
    torch      refused in another way
    barred     refused although the call is in order: non-contiguous tensors
"""

import argparse
import copy
import json
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deepcanon.engine import players
from tests.contracts.presets import PRESETS

OUTCOMES = ("right", "silent", "ours", "torch", "barred")
READS_NO_DATA = {"distillation"}  # but draws of its student
ANY_LABEL = {"gpt", "instances"}  # -100 is a token or pixel that does not count
WORST = (float("nan"), float("inf"), float("-inf"))
# What else a net may answer: features of any shape, scores of patches, another number of classes or actions.
FREE = {
    "vq_prior net",
    "vq_vae encoder",
    "vq_vae_averaged encoder",
    "autoencoder encoder",
    "byol encoder",
    "sparse_autoencoder encoder",
    "byol projector",
    "shared_trunk trunk",
    "cyclegan judge_there",
    "cyclegan judge_back",
    "pix2pix discriminator",
    "score_function_vae encoder",
    "progressive_gan discriminator",
    "yolo net",
    "fast_rcnn backbone",
    "faster_rcnn backbone",
    "captions encoder",
    "captions_attention encoder",
    "captions_hard encoder",
}
CLASSES_FREE = {
    "lenet net",
    "resnet net",
    "snapshots net",
    "mc_dropout net",
    "maml net",
    "dqn q",
    "ppo policy",
    "semi_supervised_gan classifier",
    "gpt net",
    "alexnet net",
    "convnet net",
    "densenet net",
    "vit net",
    "swin net",
    "fine-tuned net",
    "unet_masks net",
    "segnet net",
    "fcn net",
}
MEMBERS = {"ensemble members", "sac critic"}  # whose rows are no examples
UNUSED = nn.modules.module._forward_unimplemented


class Call(NamedTuple):
    """One call: what it is, how to make it, and whether it must be refused ("no"), taken ("yes") or either ("any")."""

    preset: str
    verb: str
    kind: str
    make: Callable[[], Any]
    expected: str
    right: Callable[[], Any] | None = None  # the same call in order, for its result


class Altered(nn.Module):
    """A net whose output has another shape; else it has what the net has."""

    def __init__(self, net: nn.Module, alter: Callable[[Tensor], Tensor]):
        super().__init__()
        self.net, self.alter = net, alter

    def forward(self, *inputs, **options):
        return self.alter(self.net(*inputs, **options))

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("net"), name)

    def __getitem__(self, rows: slice):
        return self.net[rows]


def on_real(alter: Callable[[Tensor], Tensor]) -> Callable:
    """Alters tensors of real numbers only."""
    return lambda x, _: alter(x) if x.is_floating_point() else None


def on_labels(alter: Callable[[Tensor], Tensor]) -> Callable:
    """Alters labels only: whole numbers."""
    return lambda x, _: None if x.is_floating_point() else alter(x)


def placed(x: Tensor, value: float, at: int) -> Tensor:
    """A copy with this value in one place."""
    x = x.clone()
    x.view(-1)[at % x.numel()] = value
    return x


def strided(x: Tensor) -> Tensor:
    """The same values, not contiguous."""
    return torch.stack([x, x], -1)[..., 0]


ALTERATIONS: dict[str, tuple[str, Callable[[Tensor, random.Random], Tensor | None]]] = {
    "nan or inf": (
        "no",
        lambda x, r: placed(x, r.choice(WORST), r.randrange(x.numel())) if x.is_floating_point() else None,
    ),
    "whole numbers": ("any", on_real(lambda x: (4 * x).long())),
    "uint8": ("any", on_real(lambda x: (255 * x.clamp(0, 1)).to(torch.uint8))),
    "float64": ("any", on_real(Tensor.double)),
    "bfloat16": ("any", on_real(Tensor.bfloat16)),
    "half": ("any", on_real(Tensor.half)),
    "complex": ("no", on_real(lambda x: x.to(torch.complex64))),
    "no row": ("no", lambda x, _: x[:0]),
    "one row": ("no", lambda x, _: x[:1] if len(x) > 1 else None),
    "a row less": ("no", lambda x, _: x[:-1] if len(x) > 1 else None),
    "not contiguous": ("yes", lambda x, _: strided(x)),
    "wider": ("any", lambda x, _: torch.cat([x, x[..., :1]], -1) if x.ndim > 1 else None),
    "narrower": ("any", lambda x, _: x[..., :-1] if x.ndim > 1 else None),
    "another channel": ("any", lambda x, _: torch.cat([x, x[:, :1]], 1) if x.ndim > 2 else None),
    "flat": ("any", lambda x, _: x.flatten()),
    "an axis more": ("any", lambda x, _: x[..., None]),
    "out of range": ("any", on_real(lambda x: 5 * x - 2)),
    "labels above": ("no", on_labels(lambda y: placed(y, 10_000, 0))),
    "labels below": ("no", on_labels(lambda y: placed(y, -5, 0))),
    "label -100": ("no", on_labels(lambda y: placed(y, -100, 0))),
    "labels as floats": ("any", on_labels(Tensor.float)),
    "labels as a column": ("no", on_labels(lambda y: y[:, None])),
    "a list": ("any", lambda x, _: x.tolist()),
    "an array": ("any", lambda x, _: x.numpy()),
    "None": ("no", lambda x, _: None if x is None else "none"),
}
OUTPUTS = {
    "wider": lambda y: torch.cat([y, y[..., :1]], -1),
    "narrower": lambda y: y[..., :-1],
    "an axis more": lambda y: y[..., None],
    "one row": lambda y: y[:1],
    "a row less": lambda y: y[:-1],
}
NUMBERS = (-1, 0, 2.5, float("nan"), float("inf"), -0.5, "3", None)
COUNTS = (-1, 2.5, "3", float("nan"), None)


def built(name: str, change: Callable[[str, Any], Any] | None = None) -> nn.Module:
    """A preset's method, from the same seed; `change` gets each argument of its constructor and its name."""
    torch.manual_seed(0)
    if change is None:
        return PRESETS[name].build()
    positional, options = ARGUMENTS[name]
    torch.manual_seed(0)
    return CLASSES[name](
        *(change(str(i), a) for i, a in enumerate(positional)),
        **{k: change(k, v) for k, v in options.items()},
    )


def recorded(name: str) -> tuple[type, tuple, dict]:
    """The class of a preset's method and what its constructor is given."""
    method = built(name)
    cls, calls = type(method), []
    init = cls.__init__

    def record(self, *positional, **options):
        calls.append((self, positional, options))
        init(self, *positional, **options)

    cls.__init__ = record
    try:
        method = built(name)
    finally:
        cls.__init__ = init
    return cls, *next((p, o) for m, p, o in calls if m is method)


def step(method: nn.Module, batch) -> list[Tensor]:
    """The losses of one step, without any update."""
    torch.manual_seed(1)
    return [
        x
        for _, loss in players(method, batch)
        for x in ([loss["loss"]] if isinstance(loss, dict) else [loss])
    ]


def measured(method: nn.Module, batch) -> list[Tensor]:
    """Its metrics."""
    torch.manual_seed(1)
    with torch.no_grad():
        return list(method.eval().metrics(batch).values())


def asked(method: nn.Module, verb: str, arguments: tuple) -> list[Tensor]:
    """What a verb gives."""
    torch.manual_seed(1)
    return [getattr(method.eval(), verb)(*arguments)]


def read(name: str) -> int:
    """How many entries of its batch a method reads."""
    batch = BATCHES[name]
    for count in range(1, len(batch)):
        try:
            step(built(name), batch[:count])
            return count
        except Exception:
            continue
    return len(batch)


def draw_tensors(name: str, verb: str, things: tuple, make: Callable, r: random.Random) -> Call | None:
    """A call with one of the tensors altered."""
    places = [i for i, t in enumerate(things) if isinstance(t, Tensor)]
    if not places:
        return None
    i, kind = r.choice(places), r.choice(list(ALTERATIONS))
    expected, alter = ALTERATIONS[kind]
    bad = alter(things[i], r)
    if bad is None or (kind == "label -100" and name in ANY_LABEL):
        return None
    if kind in ("one row", "a row less") and len(places) == 1:
        expected = "any"  # fewer examples are no fault
    if kind == "None":
        bad = None
    if name in READS_NO_DATA:
        expected = "any"
    if verb not in ("loss", "metrics") and kind in ("no row", "one row", "a row less"):
        expected = "any"  # other examples, in a net's own count
    whole = kind in ("whole numbers", "uint8", "labels as floats")
    same = things[i] if kind == "not contiguous" else bad.to(things[i].dtype) if whole else None
    right = None if same is None else lambda: make((*things[:i], same, *things[i + 1 :]))
    return Call(name, verb, kind, lambda: make((*things[:i], bad, *things[i + 1 :])), expected, right)


def draw_batch(name: str, r: random.Random) -> Call | None:
    """A call of `loss` or `metrics`."""
    verb = r.choice(("loss", "loss", "metrics"))
    run = step if verb == "loss" else measured
    if verb == "metrics" and not hasattr(CLASSES[name], "metrics"):
        return None
    batch = BATCHES[name][: READS[name]]
    if r.random() < 0.1:
        wrong = {"a tensor": batch[0], "nothing": (), "None": None, "a dict": {"x": batch[0]}}
        if len(batch) > 1:
            wrong["an entry less"] = batch[:-1]
        kind = r.choice(list(wrong))
        return Call(
            name,
            verb,
            kind,
            lambda: run(built(name), wrong[kind]),
            "no" if name not in READS_NO_DATA else "any",
        )
    return draw_tensors(name, verb, batch, lambda things: run(built(name), things), r)


def draw_verb(name: str, r: random.Random) -> Call | None:
    """A call of a verb."""
    verbs = PRESETS[name].verbs or {}
    if not verbs:
        return None
    verb = r.choice(list(verbs))
    arguments = verbs[verb]
    if isinstance(arguments[0], int) and (len(arguments) == 1 or r.random() < 0.5):
        n = r.choice(COUNTS)
        return Call(name, verb, f"n = {n!r}", lambda: asked(built(name), verb, (n, *arguments[1:])), "no")
    return draw_tensors(name, verb, arguments, lambda things: asked(built(name), verb, things), r)


def draw_constructor(name: str, r: random.Random) -> Call | None:
    """A constructor with one wrong argument, and a loss and the verbs of what it builds."""
    positional, options = ARGUMENTS[name]
    arguments = {str(i): a for i, a in enumerate(positional)} | options
    key = r.choice(list(arguments))
    value, expected = arguments[key], "any"
    if isinstance(value, nn.Module):
        if type(value).forward is UNUSED or not answers_with_a_tensor(name, key):
            return None
        kind, new = r.choice(list(OUTPUTS.items()))
        bad, net = Altered(value, new), f"{name} {names(name).get(key, key)}"
        if net in MEMBERS:
            return None
        free = net in (CLASSES_FREE if kind in ("wider", "narrower") else ()) or (
            net in FREE and kind not in ("one row", "a row less")
        )
        kind, expected = f"output: {kind}", "any" if free else "no"
    elif isinstance(value, bool) or callable(value) or value is None:
        return None
    elif isinstance(value, int | float):
        bad = r.choice(NUMBERS)
        kind = repr(bad)
        expected = (
            "no" if isinstance(bad, str) or bad != bad or (isinstance(value, int) and bad == 2.5) else "any"
        )
    elif isinstance(value, tuple) and value and all(isinstance(n, int) for n in value):
        bad = r.choice(
            [(*value, 1), value[:-1], (value[0] + 1, *value[1:]), tuple(-n for n in value), "12", 7]
        )
        kind = f"shape {bad!r}"
    else:
        return None

    def make() -> list[Tensor]:
        method = built(name, lambda k, v: copy.deepcopy(bad) if k == key else copy.deepcopy(v))
        found = step(method, BATCHES[name])
        for verb, arguments in (PRESETS[name].verbs or {}).items():
            found += asked(method, verb, arguments)
        return found

    return Call(name, "constructor", f"{names(name).get(key, key)}: {kind}", make, expected)


def answers_with_a_tensor(name: str, key: str) -> bool:
    """Whether a loss calls this argument of the constructor, a module, and it gives one tensor."""
    seen = []

    def watched(k: str, value: Any) -> Any:
        value = copy.deepcopy(value)
        if k == key:
            value.register_forward_hook(lambda *answer: seen.append(answer[-1]))
        return value

    step(built(name, watched), BATCHES[name])
    return bool(seen) and all(isinstance(answer, Tensor) for answer in seen)


def names(name: str) -> dict[str, str]:
    """Place of a positional argument of a constructor -> its name."""
    code = getattr(CLASSES[name].__init__, "__wrapped__", CLASSES[name].__init__).__code__
    return {str(i): n for i, n in enumerate(code.co_varnames[1 : code.co_argcount])}


def from_deepcanon(error: BaseException) -> bool:
    """Whether the innermost frame is one of the library's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("deepcanon.")


def plain(result: Any) -> list[Tensor]:
    """The tensors of a result that hold real numbers."""
    return [t for t in result if isinstance(t, Tensor)]


def outcome(call: Call) -> tuple[str, str]:
    """One of `OUTCOMES`, and the error's words."""
    try:
        found = plain(call.make())
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        if call.expected == "yes":
            return "barred", words
        ours = isinstance(error, ValueError | TypeError) and from_deepcanon(error)
        ours = ours and "\n" not in str(error) and "to unpack" not in str(error)
        return ("ours" if ours else "torch"), words
    if call.expected == "no" or not all(t.isfinite().all() for t in found):
        return "silent", ""
    if call.right is not None:
        right = plain(call.right())
        if not all(
            a.shape == b.shape and torch.allclose(a, b, atol=1e-5) for a, b in zip(found, right, strict=True)
        ):
            return "silent", "other numbers"
    return "right", ""


def calls(count: int, seed: int) -> Iterator[Call]:
    """Random calls, the same from the same seed."""
    r, made = random.Random(seed), 0
    while made < count:
        name = r.choice(list(PRESETS))
        call = r.choice((draw_batch, draw_batch, draw_verb, draw_constructor))(name, r)
        if call is not None:
            made += 1
            yield call


warnings.simplefilter("ignore")
torch.set_num_threads(1)
CLASSES, ARGUMENTS, BATCHES = {}, {}, {}
for _name in PRESETS:
    _class, _positional, _options = recorded(_name)
    CLASSES[_name], ARGUMENTS[_name], BATCHES[_name] = _class, (_positional, _options), PRESETS[_name].batch()
READS = {name: read(name) for name in PRESETS}


def main() -> None:
    """Prints the counts as one line of JSON; with --show the calls of an outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", choices=OUTCOMES)
    asked_for = parser.parse_args()
    counts = Counter(dict.fromkeys(OUTCOMES, 0))
    for call in calls(asked_for.calls, asked_for.seed):
        found, words = outcome(call)
        counts[found] += 1
        if found == asked_for.show:
            print(f"{call.preset}.{call.verb}, {call.kind}: {words[:160]!r}", flush=True)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
