"""The record of a run: the call, the data, and the surroundings in which it was made."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import html
import inspect
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcanon.commands import reading_words, train_words
from deepcanon.data.env_sources import named_object
from deepcanon.data.source import current_reading, opener
from deepcanon.engine.calls import Call, held_to
from deepcanon.engine.checkpoint import read_json
from deepcanon.engine.passes import digest
from deepcanon.engine.run_options import current_options
from deepcanon.engine.source_code import digests
from deepcanon.grammar import Resolved

FORMAT = 2                                             # of call.json; 1 was that of version 0.1, whose recipes had their data in their names


def describe(call: Call | None, method: nn.Module, data: Any, seed: int, settings: dict[str, Any] | None = None, code: Sequence[Any] = ()) -> dict:
    """call.json: all that is needed to do the run again, and to tell whether settings, code or data have changed since.

    Args:
        settings: of `fit`, by which the weights would be others.
        code: what the run is made of; the sources of it and of all it leads to are recorded by their digests.
    """
    resolved, chosen = call.resolved if call else None, current_options()
    goal = {"target": held_to(call), "expect": resolved.expect, "seconds": resolved.seconds, "published": resolved.published,
            "source": resolved.source} if resolved else {}
    return {
        "format": FORMAT, "recipe": resolved.recipe if resolved else type(method).__name__,
        "label": resolved.name if resolved else type(method).__name__, "budget": resolved.budget if resolved else "",
        "arguments": {k: as_json(v) for k, v in resolved.arguments.items()} if resolved else {}, "seed": seed, **goal,
        "settings": settings or {}, "reading": current_reading(),
        "options": {"minutes": chosen.minutes, "start_from": as_json(chosen.start_from), "track": list(chosen.track)},
        "command": command(resolved) if resolved else "",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "method": type(method).__name__, "about": inspect.getdoc(sys.modules[type(method).__module__]) or "",
        "likelihood": getattr(method, "likelihood_is", None),
        "parameters": sum(p.numel() for p in method.parameters() if p.requires_grad),
        "data": about_data(data),
        "sources": [source.metadata for source in call.sources] if call else [],
        **environment(), "code": digests([*code, *method.modules(), data, *(code_of(call) if call else [])]),
    }


def command(resolved: Resolved) -> str:
    """The line that makes this call again; an object of the user's own stands as <its type>."""
    chosen = current_options()
    given = {name: as_json(value) for name, value in resolved.given.items()}
    how = {"minutes": chosen.minutes, "from": chosen.start_from}
    words = train_words(resolved.recipe, given, resolved.budget, **how)
    return shlex.join([*words, *reading_words(current_reading())])


def as_json(value: Any) -> Any:
    """An argument as call.json keeps it; an object of the user's own as <its type>."""
    if isinstance(value, bool | int | float | str | None):
        return value
    return str(value) if isinstance(value, Path) else f"<{type(value).__module__}.{type(value).__qualname__}>"


def environment() -> dict:
    """Versions, commit and hardware of this process."""
    from deepcanon import __version__

    chip = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name()
    return {
        "versions": {"deepcanon": __version__, "torch": torch.__version__, "python": platform.python_version()}, "commit": commit(),
        "hardware": f"{chip}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
                    f"{torch.get_num_threads()} threads",
    }


def cpu_name() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from, with a + if it was changed since; None outside a checkout."""
    def git(*words: str) -> str:
        call = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(call, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no", "--", "src") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def code_of(call: Call) -> list[Any]:
    """The function of a recipe, what opens its data, and the environments that it was given."""
    given = [source.data for source in call.sources if source.kind == "env"]
    environments = [named_object(env) if isinstance(env, str) and ":" in env else env for env in given]
    return [call.code, *(opener(source.kind) for source in call.sources), *environments]


def about_data(data: Any) -> dict[str, Any]:
    """The metadata of data that have them; of a list of batches, how many there are and the digest of the first and the last."""
    if hasattr(data, "metadata"):
        return {data.key: data.metadata}
    if not isinstance(data, list | tuple) or not data:
        return {}
    return {f"<{type(data).__name__}>": {"count": len(data), "sha256": digest([data[0], data[-1]])}}


def read_call(path: Path) -> dict:
    """call.json of a run folder; a ValueError if the folder is not one."""
    if not Path(path).is_dir():
        raise ValueError(f"there is no run folder {path}")
    if not (Path(path) / "call.json").exists():
        raise ValueError(f"{path} is not a run folder: it has no call.json")
    call = read_json(Path(path) / "call.json")
    if not is_record(call):
        raise ValueError(f"{Path(path) / 'call.json'} is not the record of a run")
    if call.get("format", 1) < FORMAT:
        made = call.get("versions", {}).get("deepcanon", "0.1.0")
        raise ValueError(f"{path} was made by deepcanon {made}, whose recipe '{call['recipe']}' this version does not have; "
                         "open it with that version")
    return {"sources": []} | call


def is_record(call: Any) -> bool:
    """Whether a value read from call.json has the parts that a record has."""
    if not isinstance(call, dict) or not {"recipe", "arguments", "data", "code"} <= call.keys():
        return False
    data, sources = call["data"], call.get("sources", [])
    if not (isinstance(call["recipe"], str) and isinstance(data, dict) and isinstance(sources, list)):
        return False
    return all(isinstance(part, dict) for part in (call["arguments"], *data.values(), *sources))


BOUND = ("recipe", "method", "budget", "seed", "settings", "arguments", "reading", "data", "sources", "code")
LONG = 80                                              # characters of a value that is kept as it is; of a longer one its digest


def bound(call: dict) -> dict[str, str]:
    """What a checkpoint is bound to: every entry of the call by which the weights would be others, in short."""
    entries: dict[str, str] = {}
    for name in BOUND:
        entries |= flattened(name, json.loads(json.dumps(call.get(name))), deep=name not in ("data", "sources"))
    return entries


def flattened(name: str, value: Any, deep: bool = True) -> dict[str, str]:
    """The entries of a nested dict under names with points."""
    if not (deep and isinstance(value, dict) and value):
        return {name: short(value)}
    return {k: v for key, part in value.items() for k, v in flattened(f"{name}.{key}", part).items()}


def short(value: Any) -> str:
    """A value as JSON; a long one by its digest."""
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= LONG else hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not as it was, each in a phrase: settings first, then data, then code."""
    if not before:
        return ["it was made by an earlier version, which did not record its call"]
    changed = sorted((k for k in before.keys() | now.keys() if before.get(k) != now.get(k)), key=lambda k: [BOUND.index(k.partition(".")[0]), k])
    code = [k.partition(".")[2] for k in changed if k.startswith("code.")]
    data = [k for k in changed if k in ("data", "sources")]
    others = [f"{k.partition('.')[2] or k} was {before.get(k, 'not set')} and is {now.get(k, 'not set')}" for k in changed
              if not k.startswith("code.") and k not in data]
    files = ", ".join(code[:3]) + (f" and {len(code) - 3} more" if len(code) > 3 else "")
    return [*others, *(["the data have changed"] if data else []), *([f"the code of {files} has changed"] if code else [])]


def check_same(before: dict, now: dict, path: Path, anyway: bool) -> None:
    """Refuse to resume with other settings, data or code, unless told to go on anyway; say so where torch is of another version."""
    if differ := differences(bound(before), bound(now)):
        told = f"{path} cannot be continued to the same bits: since it was started, {'; '.join(differ)}"
        if not anyway:
            raise ValueError(f"{told}; resume with --anyway to go on as it is now")
        print(told, file=sys.stderr)
    torch_before, torch_now = (call.get("versions", {}).get("torch") for call in (before, now))
    if torch_before != torch_now:
        print(f"{path} was started with torch {torch_before}, this is {torch_now}: its numbers may differ in the last digits", file=sys.stderr)


def as_markdown(text: str) -> str:
    """Text that reads as it is in Markdown: no markup, no HTML, one line."""
    line = " ".join(str(text).split())
    plain = re.sub(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)", lambda mark: html.escape(mark[0]), line)
    return re.sub(r"([\\`*\[\]|$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", plain)


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code in Markdown, as it stands."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def card(call: dict, result: dict) -> str:
    """The model card, in Markdown; what the run says of itself is escaped."""
    versions = call["versions"]
    numbers = "\n".join(f"| {as_markdown(k)} | {v:.6g} |" for k, v in result["results"].items())
    shown = {key: ", ".join(f"{k} {v}" for k, v in about.items() if k in ("count", "shape"))
             for key, about in call["data"].items()}
    data = "\n".join(f"- {as_markdown(key)}: {as_markdown(words)}" for key, words in shown.items())
    return f"""# {as_markdown(call['method'])}: {as_markdown(call['recipe'])}

Trained with DeepCanon {versions['deepcanon']} (torch {versions['torch']}, commit {call['commit']}) on
{as_markdown(call['hardware'])}:

{fenced(call['command'], 'sh') if call['command'] else '(fit, called from Python)'}

| result | value |
| --- | --- |
{numbers}

{result['steps']} steps in {result['seconds']:.1f} s. Data:

{data or '- (made during the run)'}

Use it again:

```python
import deepcanon

method = deepcanon.load("PATH/TO/THIS/FOLDER")
```
"""
