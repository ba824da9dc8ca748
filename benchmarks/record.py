"""What the benchmarks share: contenders in turns, and records results/benchmarks/<name>.json in one form.

    {"work", "unit", "entries": [{"what", "ours", "peer", "peer_rate", "ratio", "target"}, ...], "details": {...},
     "versions", "commit", "hardware", "native_bf16", "threads", "date"}

The ratio of an entry is ours / peer's and its target a lower bound. An entry of times has a "kind" and its target is an upper bound:
"seconds" has the same ratio, "overhead" has ours / peer's - 1, below 0 where ours takes less time.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from deepcanon.engine.checkpoint import read_json, write_json
from deepcanon.engine.loop import native_bf16
from deepcanon.engine.record import environment
from deepcanon.report import holds, mark, number

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"
HEAD = "| work | peer | ours | peer's | ratio | target |\n| --- | --- | --- | --- | --- | --- |"
Target = tuple[str, str, str, float | None]              # what, ours, peer, target


def in_turns(contenders: dict[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each turn, A B A B; the first `warm_up` turns of each are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-warm_up, rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def trains(step: Callable, batches: Sequence[tuple], steps: int, losses: list) -> Callable[[], None]:
    """A turn of `steps` training steps; the next turn goes on with the batches that follow. The losses are appended."""
    coming = itertools.cycle(batches)
    return lambda: losses.extend(step(*batch) for batch in itertools.islice(coming, steps))


def rates(seconds: dict[str, list[float]], amount: float) -> dict[str, float]:
    """`amount` of work a turn over the median seconds of the turns."""
    return {name: amount / statistics.median(times) for name, times in seconds.items()}


def entry(what: str, rate: dict[str, float], ours: str, peer: str, target: float | None = None, ratio: float | None = None, **kind: str) -> dict:
    """One line of a record, in short words; the ratio is that of the rates unless it was measured otherwise."""
    ratio = rate[ours] / rate[peer] if ratio is None else ratio
    rounded = {"ours": round(rate[ours], 2), "peer": peer, "peer_rate": round(rate[peer], 2), "ratio": round(ratio, 4)}
    return {"what": what, **rounded, "target": target, **kind}


def entries(rate: dict[str, float], targets: Sequence[Target]) -> list[dict]:
    """An entry for each target whose contenders were measured."""
    return [entry(what, rate, ours, peer, target) for what, ours, peer, target in targets if {ours, peer} <= rate.keys()]


def record(name: str, work: str, unit: str, entries: list[dict], packages: Sequence[str] = (), **details) -> None:
    """Write results/benchmarks/<name>.json and print its lines; `packages` are the peers whose versions are kept."""
    bf16 = native_bf16(torch.device("cpu"))
    if any("fast" in entry["what"] for entry in entries):
        details["fast"] = "bfloat16" if bf16 else "float32: the engine falls back to it where the processor does not compute in bfloat16"
    surroundings = environment()
    surroundings["versions"] |= {package: version(package) for package in packages}
    written = {"work": work, "unit": unit, "entries": entries, "details": details, **surroundings,
               "native_bf16": bf16, "threads": torch.get_num_threads(), "date": time.strftime("%Y-%m-%d")}
    write_json(RESULTS / f"{name}.json", written)
    print(HEAD, *rows(written), sep="\n")


def earlier(name: str) -> dict:
    """The record that was written before; one without entries when there is none."""
    file = RESULTS / f"{name}.json"
    return read_json(file) if file.exists() else {"entries": [], "details": {}}


def rows(record: dict) -> list[str]:
    """The record as rows of a Markdown table."""
    made = []
    for e in record["entries"]:
        kind, target, asked = e.get("kind", "speed"), e["target"], ""
        shown = "{:+.1%}" if kind == "overhead" else "{:.2f}"
        if target is not None:
            sign = ">=" if kind == "speed" else "<="
            asked = f"{sign} {shown.format(target).lstrip('+')} {mark(holds(e['ratio'], sign, target))}"
        ours = f"{number(e['ours'])} {'s' if kind == 'seconds' else record['unit']}"
        cells = (f"{record['work']}: {e['what']}", e["peer"], ours, number(e["peer_rate"]), shown.format(e["ratio"]), asked)
        made.append("| " + " | ".join(cells) + " |")
    return made
