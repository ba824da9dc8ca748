"""Claims about vision transformers: the order of patches, their number, and how far windows see."""

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, claim
from deepcanon.nets.swin import SwinBlock
from deepcanon.nets.vit import ViT


@claim("C-059", answer="yes")
def without_positions_patches_are_a_set() -> Finding:
    """A vision transformer without positional encoding cannot know the order of the patches.

    A random image of 16 patches and the same patches in a random order: how much the logits of an untrained
    transformer differ, with its positions and with none.
    """
    net = ViT(10, image_size=32, patch=8, embed_dim=32, num_layers=2, num_heads=4).double()
    x = torch.rand(4, 3, 32, 32, dtype=torch.float64)
    blocks = x.unflatten(3, (4, 8)).unflatten(2, (4, 8)).transpose(3, 4).flatten(2, 3)  # (B, C, 16, 8, 8)
    again = blocks[:, :, torch.randperm(16)].unflatten(2, (4, 4)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    measured = {"change_with_positions": (net(again) - net(x)).abs().max().item()}
    nn.init.zeros_(net.positions)
    measured["change_without"] = (net(again) - net(x)).abs().max().item()
    return Finding(measured, measured["change_without"] < 1e-10 < 1e-4 < measured["change_with_positions"])


@claim("C-060", answer="yes")
def half_the_patch_is_four_times_the_patches() -> Finding:
    """Halving the side of the patches quadruples the length of the sequence.

    Patches of a vision transformer at 224 pixels, of 16 and of 8 pixels a side.
    """
    with torch.device("meta"):
        measured = {
            f"patches_of_{p}": float(
                ViT(patch=p, num_layers=1).embed(torch.rand(1, 3, 224, 224)).shape[1] - 1
            )
            for p in (16, 8)
        }
    measured["ratio"] = measured["patches_of_8"] / measured["patches_of_16"]
    return Finding(measured, measured["ratio"] == 4)


@claim("C-061", answer="yes")
def shifted_windows_reach_the_whole_image() -> Finding:
    """Shifted windows let stacked local attention reach the whole image.

    16 x 16 places in windows of 4 x 4: the share of places on which the outcome at the middle one depends,
    by its gradient, after 1 to 4 blocks, every second of them shifted, and after 4 blocks without a shift.
    """

    def reached(shift: int, depth: int) -> float:
        blocks = [SwinBlock(8, 2, 4, shift * (i % 2), 16).double() for i in range(depth)]
        x = torch.randn(1, 16, 16, 8, dtype=torch.float64, requires_grad=True)
        y: Tensor = nn.Sequential(*blocks)(x)
        (gradient,) = torch.autograd.grad(y[0, 8, 8].square().sum(), x)
        return (gradient[0].abs().sum(-1) > 0).double().mean().item()

    measured = {f"reached_by_{depth}": reached(2, depth) for depth in (1, 2, 3, 4)}
    measured["reached_without_a_shift"] = reached(0, 4)
    return Finding(measured, measured["reached_by_4"] == 1 and measured["reached_without_a_shift"] == 1 / 16)
