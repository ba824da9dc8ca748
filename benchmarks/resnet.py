"""ResNet-18 (CIFAR form) training beside plain PyTorch and timm: images a second, 32x32, batch 128, SGD with momentum.

    python benchmarks/resnet.py [--rounds 4] [--steps 2]

The contenders take turns of a few steps on the same batches; all but timm start from the same weights, and the losses of all steps are written beside
the speeds. `ours_fast` is bfloat16 autocast, measured where the CPU computes in bfloat16: elsewhere the engine keeps float32, and so does this table.
timm is measured where it is installed.
"""

import argparse
import copy
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import SGD
from deepcanon.engine.loop import Trainer, native_bf16
from deepcanon.nets.resnet import resnet18, small_stem
from deepcanon.vision.classify import Classifier

LR, MOMENTUM, BATCH = 0.02, 0.9, 128
Step = Callable[[Tensor, Tensor], Tensor]


def plain(net: nn.Module) -> Step:
    """The loop one writes by hand: NCHW weights, float32, torch's SGD as it comes."""
    net.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def ours(net: nn.Module, bf16: bool = False) -> Step:
    """The engine's step, log included."""
    trainer = Trainer(Classifier(net), None, SGD(LR, momentum=MOMENTUM), bf16=bf16)

    def step(x: Tensor, y: Tensor) -> Tensor:
        trainer.train_step((x, y))
        return trainer.log.pending["loss"][-1][1]

    return step


def contenders() -> dict[str, Step]:
    net = resnet18(10, stem=small_stem)
    table = {"plain": plain(copy.deepcopy(net)), "ours": ours(copy.deepcopy(net))}
    if native_bf16(torch.device("cpu")):
        table["ours_fast"] = ours(copy.deepcopy(net), bf16=True)
    if importlib.util.find_spec("timm"):
        import timm

        peer = timm.create_model("resnet18", num_classes=10)
        peer.conv1, peer.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        table["timm"] = plain(peer)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    args = parser.parse_args()
    torch.manual_seed(0)
    data = images("digits", size=32, batch=BATCH)
    batches = [(x.expand(-1, 3, -1, -1).contiguous(), y) for x, y in map(data.at, range((args.rounds + 1) * args.steps))]
    steps = contenders()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(args.rounds + 1):                                          # turn 0 warms up and is not counted
        for name, step in steps.items():
            start = time.perf_counter()
            turn_losses = [step(*batch) for batch in batches[turn * args.steps : (turn + 1) * args.steps]]
            if turn:
                seconds[name].append(time.perf_counter() - start)
            losses[name] += [loss.item() for loss in turn_losses]
    rate = {name: round(args.steps * BATCH / statistics.median(times), 1) for name, times in seconds.items()}
    report = {
        "work": "ResNet-18 training, CIFAR form, batch 128, 32x32, SGD with momentum",
        "unit": "images/s, median of the turns",
        "rate": rate,
        "ratio_to_plain": {name: round(value / rate["plain"], 2) for name, value in rate.items()},
        "losses": {name: [round(loss, 4) for loss in values] for name, values in losses.items()},
        "rounds": args.rounds, "steps_a_turn": args.steps, "threads": torch.get_num_threads(),
        "native_bf16": native_bf16(torch.device("cpu")), "torch": torch.__version__, "machine": processor(),
    }  # fmt: skip
    print(json.dumps(report, indent=2))
    file = Path(__file__).parents[1] / "results" / "bench_resnet.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(report, indent=2) + "\n")


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
