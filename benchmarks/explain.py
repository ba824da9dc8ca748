"""Grad-CAM and integrated gradients beside captum: images a second.

    python benchmarks/explain.py [--rounds 7]

ResNet-20 on 32x32 images, in batches of 16 for Grad-CAM and of 4 with 32 steps for integrated gradients. The contenders
take turns; the largest difference of their attributions is written beside the speeds.
"""

import argparse

import captum.attr
import torch
from record import entries, in_turns, rates, record

from deepcanon.explain import grad_cam, integrated_gradients
from deepcanon.nets.resnet import resnet_cifar

STEPS = 32
TARGETS = [("Grad-CAM", "ours", "captum", 1.0), ("integrated gradients", "ours", "captum", 1.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.manual_seed(0)
    net, x = resnet_cifar(20).eval(), torch.rand(16, 3, 32, 32)
    y, peer = torch.arange(16) % 10, captum.attr.LayerGradCam(net, net.stages)
    path = captum.attr.IntegratedGradients(net)
    work = {
        "Grad-CAM": (
            16,
            lambda: grad_cam(net, "stages", x, y),
            lambda: peer.attribute(x, y, relu_attributions=True)[:, 0],
        ),
        "integrated gradients": (
            4,
            lambda: integrated_gradients(net, x[:4], y[:4], steps=STEPS),
            lambda: path.attribute(x[:4], target=y[:4], n_steps=STEPS),
        ),
    }
    found, details = [], {}
    for target in TARGETS:
        count, ours, theirs = work[target[0]]
        details[f"difference, {target[0]}"] = (ours() - theirs()).abs().max().item()
        found += entries(
            rates(in_turns({"ours": ours, "captum": theirs}, args.rounds, warm_up=2), count), [target]
        )
    record(
        "explain",
        "explaining ResNet-20, 32x32",
        "images/s",
        found,
        packages=("captum",),
        rounds=args.rounds,
        **details,
    )


if __name__ == "__main__":
    main()
