"""Fine-tuning (Yosinski et al. 2014, arXiv 1411.1792): which parts of a net learn, and how fast.

    all     every part at the rate r
    last    the last stage and what follows it
    head    the head alone: the rest as fixed features, normalised by the statistics that they came with
    0.7     every part, the k-th from the head at the rate r 0.7^k (Howard & Ruder 2018, arXiv 1801.06146)

    net = from_huggingface("./resnet-18").net
    fit(Classifier(net, frozen=frozen_parts(net, "head")), images("./photos"), Adam(1e-3), epochs=5)
"""

from typing import Any

from torch import nn

STAGES = ("stages", "blocks", "maps")  # what nets call the parts between stem and head


def frozen_parts(net: nn.Module, tune: str) -> list[str]:
    """Names of the parts that do not learn; see `Classifier`.

    Raises:
        ValueError: a `tune` that is none.
    """
    if tune not in ("all", "last", "head") and as_factor(tune) is None:
        raise ValueError(f"expected tune as all, last, head or a factor such as 0.7, got {tune!r}")
    *before, last, behind = parts(net)
    if tune == "head":
        return [name for group in (*before, last, behind) for name in group if name != "head"]
    return [name for group in before for name in group] if tune == "last" else []


def rates_by_part(net: nn.Module, tune: str) -> dict[str, float]:
    """The part of the rate of each part, by name, where `tune` is a factor; else nothing."""
    factor = as_factor(tune)
    if factor is None:
        return {}
    return {name: factor**k for k, group in enumerate(reversed(parts(net))) for name in group}


def as_factor(tune: str) -> float | None:
    """A number in (0, 1); None for what is none."""
    try:
        return value if 0 < (value := float(tune)) < 1 else None
    except ValueError:
        return None


def parts(net: nn.Module) -> list[list[str]]:
    """Names of parameters and submodules with parameters from input to output: before the stages, each
    stage, behind them.
    """
    own: Any = [name for name, _ in net.named_parameters(recurse=False)]
    groups, behind = [own], []
    for name, child in net.named_children():
        if name in STAGES:
            groups += [
                [f"{name}.{i}"]
                for i, stage in child.named_children()
                if any(True for _ in stage.parameters())
            ]
        elif any(True for _ in child.parameters()):
            (behind if len(groups) > 1 else groups[0]).append(name)
    return [*groups, behind]
