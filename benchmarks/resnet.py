"""ResNet-18 (CIFAR form) training beside plain PyTorch and timm: images a second, 32x32, batch 128, SGD with momentum.

    python benchmarks/resnet.py [--rounds 4] [--steps 2]

The contenders take turns of a few steps on the same batches; all but timm start from the same weights, and the losses of all steps are written beside
the speeds. `ours_fast` is bfloat16 autocast where the CPU computes in bfloat16: elsewhere the engine keeps float32, and so does `ours_fast`.
timm is measured where it is installed.
"""

import argparse
import copy
import importlib.util
from collections.abc import Callable

import torch
import torch.nn.functional as F
from record import entries, in_turns, rates, record, trains
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import SGD
from deepcanon.engine.loop import Trainer, native_bf16
from deepcanon.nets.resnet import resnet18, small_stem
from deepcanon.vision.classify import Classifier

LR, MOMENTUM, BATCH = 0.02, 0.9, 128
TARGETS = [
    ("training, fp32", "ours", "plain PyTorch", 1.2), ("training, fast", "ours_fast", "plain PyTorch", 2.3), ("training, fp32", "ours", "timm", None),
]
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


def ours(net: nn.Module, fast: bool = False) -> Step:
    """The engine's step, log included."""
    trainer = Trainer(Classifier(net), None, SGD(LR, momentum=MOMENTUM), bf16=fast and native_bf16(torch.device("cpu")))

    def step(x: Tensor, y: Tensor) -> Tensor:
        trainer.train_step((x, y))
        return trainer.log.pending["loss"][-1][1]

    return step


def contenders() -> dict[str, Step]:
    net = resnet18(10, stem=small_stem)
    table = {"plain PyTorch": plain(copy.deepcopy(net)), "ours": ours(copy.deepcopy(net)), "ours_fast": ours(copy.deepcopy(net), fast=True)}
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
    losses: dict[str, list[Tensor]] = {name: [] for name in steps}
    seconds = in_turns({name: trains(step, batches, args.steps, losses[name]) for name, step in steps.items()}, args.rounds)
    record("resnet", f"ResNet-18, CIFAR form, batch {BATCH}", "images/s", entries(rates(seconds, args.steps * BATCH), TARGETS),
           packages=("timm",) if "timm" in steps else (), rounds=args.rounds, steps_a_turn=args.steps,
           losses={name: [round(loss.item(), 4) for loss in values] for name, values in losses.items()})


if __name__ == "__main__":
    main()
