"""Training steps of nets for images, channels-last bfloat16 beside plain float32: images a second.

    python benchmarks/vision_nets.py [--rounds 4] [--steps 2] [--only resnet vit]

The contenders take turns of a few steps on the same batches, from the same weights: the loop one writes by hand, float32 and torch's
usual layout; ours, the engine's step in float32, log included; ours_fast, the same under bfloat16 autocast where the CPU computes in
bfloat16 (elsewhere the engine keeps float32). The losses of all steps are written beside the speeds.
"""

import argparse
import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from record import entries, entry, in_turns, rates, record, trains
from torch import Tensor, nn

from deepcanon.engine import SGD
from deepcanon.engine.loop import Trainer, native_bf16
from deepcanon.nets.densenet import densenet_cifar
from deepcanon.nets.resnet import resnet18, resnet_cifar, small_stem
from deepcanon.nets.swin import Swin
from deepcanon.nets.vgg import vgg_net
from deepcanon.nets.vit import ViT
from deepcanon.vision.classify import Classifier

LR, BATCH, TARGET = 0.02, 128, 2.0
NETS = {
    "ResNet-20": lambda: resnet_cifar(20),
    "ResNet-18": lambda: resnet18(10, stem=small_stem),
    "VGG-11": lambda: vgg_net(11, 10, image_size=32, hidden=(512,), norm=nn.BatchNorm2d, dropout=0.0),
    "DenseNet-22": lambda: densenet_cifar(22, 12),
    "ViT, 6 layers, 128 wide": lambda: ViT(10, image_size=32, patch=4, embed_dim=128, num_layers=6, num_heads=4),
    "Swin, 2 stages, 64 wide": lambda: Swin(10, image_size=32, patch=2, embed_dim=64, depths=(2, 2), num_heads=(2, 4), window=4),
}
Step = Callable[[Tensor, Tensor], Tensor]


def plain(net: nn.Module) -> Step:
    """The loop one writes by hand: NCHW weights, float32, torch's SGD as it comes."""
    net.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def ours(net: nn.Module, fast: bool) -> Step:
    """The engine's step, log included."""
    trainer = Trainer(Classifier(net), None, SGD(LR, momentum=0.9), bf16=fast and native_bf16(torch.device("cpu")))

    def step(x: Tensor, y: Tensor) -> Tensor:
        trainer.train_step((x, y))
        return trainer.log.pending["loss"][-1][1]

    return step


def contenders(net: nn.Module) -> dict[str, Step]:
    return {"plain PyTorch": plain(copy.deepcopy(net)), "ours": ours(copy.deepcopy(net), False), "ours_fast": ours(copy.deepcopy(net), True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    parser.add_argument("--only", nargs="*", default=[], help="nets whose name begins so, in either case")
    args = parser.parse_args()
    names = [n for n in NETS if not args.only or any(n.lower().startswith(word.lower()) for word in args.only)]
    found, losses = [], {}
    for name in names:
        torch.manual_seed(0)
        batches = [(torch.rand(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))) for _ in range((args.rounds + 1) * args.steps)]
        steps = contenders(NETS[name]())
        seen: dict[str, list[Tensor]] = {who: [] for who in steps}
        seconds = in_turns({who: trains(step, batches, args.steps, seen[who]) for who, step in steps.items()}, args.rounds)
        rate = rates(seconds, args.steps * BATCH)
        found += entries(rate, [(f"{name}, training, fp32", "ours", "plain PyTorch", None)])
        found.append(entry(f"{name}, training, fast", rate, "ours_fast", "plain PyTorch", TARGET))
        losses[name] = {who: [round(loss.item(), 4) for loss in values] for who, values in seen.items()}
    record("vision_nets", f"32x32 images, batch {BATCH}", "images/s", found, rounds=args.rounds, steps_a_turn=args.steps, losses=losses)


if __name__ == "__main__":
    main()
