"""Two SimCLR views of a batch of 32x32 pictures: whole batches here, beside kornia (whole batches) and lightly (Pillow, a picture at a time).

    pip install kornia lightly && python benchmarks/augmentation.py [--batch 128] [--rounds 15]

One law for all three: crop of 8 to 100 % of the area and aspect 3/4 to 4/3 resized to 32x32, flip 1/2, colour jitter 0.4, 0.4, 0.4, 0.1 with
probability 0.8, grey 0.2, Gaussian blur of sigma 0.1 to 2 with probability 1/2 (3 taps as in SimCLR, 10 % of the side; Pillow's has its own width).
Every picture draws its own parameters. From uint8 to float in [0, 1]; the contenders take turns, the median round counts.
"""

import argparse
from collections.abc import Callable

import torch
from record import entries, in_turns, rates, record
from torch import Tensor

from deepcanon.data.augment import blur, compose, flip, greyscale, jitter, resized_crop

BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.4, 0.1
TARGETS = [("augmentation", "ours", "lightly", 8.0), ("augmentation", "ours", "kornia", 1.8)]
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def ours() -> Callable[[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    augment = compose(resized_crop(32), flip(), jitter(BRIGHTNESS, CONTRAST, SATURATION, HUE, p=0.8), greyscale(0.2), blur(radius=1, p=0.5))

    def views(x: Tensor) -> Tensor:
        x = x.float().mul_(1 / 255)
        return augment(torch.cat([x, x]), generator)

    return views


def kornia() -> Callable[[Tensor], Tensor]:
    import kornia.augmentation as K

    augment = torch.nn.Sequential(
        K.RandomResizedCrop((32, 32), scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)), K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(BRIGHTNESS, CONTRAST, SATURATION, HUE, p=0.8), K.RandomGrayscale(p=0.2), K.RandomGaussianBlur((3, 3), (0.1, 2.0), p=0.5))

    def views(x: Tensor) -> Tensor:
        x = x.float().mul_(1 / 255)
        return augment(torch.cat([x, x]))

    return views


def lightly() -> Callable[[Tensor], Tensor]:
    without_compiled_operators()
    from lightly.transforms import SimCLRTransform
    from PIL import Image

    augment = SimCLRTransform(input_size=32, cj_bright=BRIGHTNESS, cj_contrast=CONTRAST, cj_sat=SATURATION, cj_hue=HUE, normalize=None)

    def views(x: Tensor) -> Tensor:
        pairs = [augment(Image.fromarray(picture)) for picture in x.permute(0, 2, 3, 1).numpy()]
        return torch.stack([view for views in zip(*pairs, strict=True) for view in views])

    return views


def without_compiled_operators() -> None:
    """Declare torchvision's compiled operators where they do not load: its Python transforms, all that is used here, then import."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.manual_seed(0)
    x = torch.randint(256, (args.batch, 3, 32, 32), dtype=torch.uint8)
    contenders = {"ours": ours(), "kornia": kornia(), "lightly": lightly()}
    for views in contenders.values():
        assert views(x).shape == (2 * args.batch, 3, 32, 32)
    seconds = in_turns({name: lambda views=views: views(x) for name, views in contenders.items()}, args.rounds)
    record("augmentation", f"two SimCLR views of {args.batch} pictures, 32x32", "pictures/s", entries(rates(seconds, args.batch), TARGETS),
           packages=("kornia", "lightly"), rounds=args.rounds)


if __name__ == "__main__":
    main()
