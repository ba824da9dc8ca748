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
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepcanon.commands import reading_words, train_words
from deepcanon.data.source import current_reading
from deepcanon.engine.calls import Call, held_to
from deepcanon.engine.checkpoint import read_json
from deepcanon.engine.run_options import current_options
from deepcanon.grammar import Resolved

RECORD = {"recipe": str, "arguments": dict, "data": dict, "code": str}
FORMAT = 2                                             # of call.json; 1 was that of version 0.1, whose recipes had their data in their names


def describe(call: Call | None, method: nn.Module, data: Any, seed: int) -> dict:
    """call.json: all that is needed to do the run again, and to tell whether code or data have changed since."""
    resolved = call.resolved if call else None
    goal = {"target": held_to(call), "expect": resolved.expect, "seconds": resolved.seconds, "published": resolved.published,
            "source": resolved.source} if resolved else {}
    return {
        "format": FORMAT, "recipe": resolved.recipe if resolved else type(method).__name__,
        "label": resolved.name if resolved else type(method).__name__, "budget": resolved.budget if resolved else "",
        "arguments": {k: as_json(v) for k, v in resolved.arguments.items()} if resolved else {}, "seed": seed, **goal,
        "reading": current_reading(), "command": command(resolved) if resolved else "",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "method": type(method).__name__, "about": inspect.getdoc(sys.modules[type(method).__module__]) or "",
        "likelihood": getattr(method, "likelihood_is", None),
        "parameters": sum(p.numel() for p in method.parameters() if p.requires_grad),
        "data": {data.key: data.metadata} if hasattr(data, "metadata") else {},
        "sources": [source.metadata for source in call.sources] if call else [],
        "code": code_digest(method), **environment(),
    }


def command(resolved: Resolved) -> str:
    """The line that makes this call again; an object of the user's own stands as <its type>."""
    chosen = current_options()
    given = {name: as_json(value) for name, value in resolved.given.items()}
    how = {"minutes": chosen.minutes, "from": chosen.start_from}
    return shlex.join([*train_words(resolved.recipe, given, resolved.budget, **how), *reading_words(current_reading())])


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


def code_digest(method: nn.Module) -> str:
    """sha256 of the sources of the method and its nets, and of the engine."""
    modules = {type(m).__module__ for m in method.modules() if not type(m).__module__.startswith("torch.")} | {"deepcanon.engine.loop"}
    files = sorted(f for m in modules if (f := getattr(sys.modules[m], "__file__", None)))
    return hashlib.sha256(b"".join(Path(f).read_bytes() for f in files)).hexdigest()


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
    if not isinstance(call, dict) or not all(isinstance(call.get(name), kind) for name, kind in RECORD.items()):
        return False
    sources = call.get("sources", [])
    return isinstance(sources, list) and all(isinstance(about, dict) for about in (*call["data"].values(), *sources))


def check_same(before: dict, now: dict, path: Path, anyway: bool) -> None:
    """Refuse to resume with other code or other data, unless told to go on anyway."""
    if anyway:
        return
    if before["data"] != json.loads(json.dumps(now["data"])):
        raise ValueError(f"the data of {path} have changed since it was started; resume with --anyway to continue on the new ones")
    if before["code"] != now["code"]:
        raise ValueError(f"the code of {before['method']} has changed since {path} was started; resume with --anyway to continue with the new code")


def as_markdown(text: str) -> str:
    """Text that reads as it is in Markdown: no markup, no HTML, one line."""
    plain = re.sub(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)", lambda mark: html.escape(mark[0]), " ".join(str(text).split()))
    return re.sub(r"([\\`*\[\]|$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", plain)


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code in Markdown, as it stands."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def card(call: dict, result: dict) -> str:
    """The model card, in Markdown; what the run says of itself is escaped."""
    numbers = "\n".join(f"| {as_markdown(k)} | {v:.6g} |" for k, v in result["results"].items())
    data = "\n".join(f"- {as_markdown(key)}: " + as_markdown(", ".join(f"{k} {v}" for k, v in about.items() if k in ("count", "shape")))
                     for key, about in call["data"].items())
    return f"""# {as_markdown(call['method'])}: {as_markdown(call['recipe'])}

Trained with DeepCanon {call['versions']['deepcanon']} (torch {call['versions']['torch']}, commit {call['commit']}) on
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
