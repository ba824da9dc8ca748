"""The UNet: the function of diffusers' UNet2DModel at the same weights, the parameter count of the paper, and its contract."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DModel

from deepcanon.nets.unet import Block, GroupNorm, TimeFeatures, UNet


def test_paper_size():
    """35.7 million parameters for CIFAR-10 (Ho et al. 2020, section 4)."""
    with torch.device("meta"):
        net = UNet(3, (128, 256, 256, 256), blocks=2, attention=(1,))
    assert sum(p.numel() for p in net.parameters()) == 35_746_307


def test_equals_diffusers():
    torch.manual_seed(0)
    down, up = ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    theirs = UNet2DModel(in_channels=3, out_channels=3, layers_per_block=2, block_out_channels=(32, 64, 64), norm_num_groups=16,
                         attention_head_dim=32, down_block_types=down, up_block_types=up)
    ours = UNet(3, (32, 64, 64), blocks=2, attention=(1,), head_dim=32, groups=16)
    copy_weights(theirs, ours)
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 700])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t), theirs(x, t).sample, atol=2e-5, rtol=1e-4)


def copy_weights(theirs: UNet2DModel, ours: UNet):
    """Both nets list their parts in the order of the data; q, k and v are one layer here and three there."""
    with torch.no_grad():
        for mine, block in zip(blocks_of(ours), blocks_of_diffusers(theirs), strict=True):
            for here, there in zip(mine, block, strict=True):
                for p, q in zip(here.parameters(), zip(*(list(layer.parameters()) for layer in there)), strict=True):
                    p.copy_(torch.cat(q))


def blocks_of(net: UNet):
    """The parametrised layers of each part."""
    yield [net.time[1], net.time[3]]
    yield [net.stem]
    for part in (*net.down, *net.middle, *net.up):
        if isinstance(part, torch.nn.Conv2d):
            yield [part]
        elif isinstance(part, torch.nn.Sequential):
            yield [part[1]]
        else:
            attention = [] if isinstance(part.attend, torch.nn.Identity) else [part.attend.norm, part.attend.qkv, part.attend.out]
            yield [part.enter[0], part.enter[1], part.time, part.leave[0], part.leave[2], part.skip, *attention]
    yield [net.head[0], net.head[1]]


def blocks_of_diffusers(net: UNet2DModel):
    """The same parts; each layer as a list of the layers that are joined here."""
    def resnet(r, a=None):
        attention = [] if a is None else [[a.group_norm], [a.to_q, a.to_k, a.to_v], [a.to_out[0]]]
        skip = r.conv_shortcut or torch.nn.Identity()
        return [[r.norm1], [r.conv1], [r.time_emb_proj], [r.norm2], [r.conv2], [skip], *attention]

    yield [[net.time_embedding.linear_1], [net.time_embedding.linear_2]]
    yield [[net.conv_in]]
    for stage, resize in [(s, "downsamplers") for s in net.down_blocks] + [(net.mid_block, "")] + [(s, "upsamplers") for s in net.up_blocks]:
        if stage is net.mid_block:
            yield resnet(stage.resnets[0], stage.attentions[0])
            yield resnet(stage.resnets[1])
            continue
        attentions = getattr(stage, "attentions", [None] * len(stage.resnets))
        for r, a in zip(stage.resnets, attentions):
            yield resnet(r, a)
        if getattr(stage, resize):
            yield [[getattr(stage, resize)[0].conv]]
    yield [[net.conv_norm_out], [net.conv_out]]


@pytest.mark.parametrize(("channels", "side", "options"), [
    (1, 28, {"widths": (8, 16), "patch": 2}),
    (1, 8, {"widths": (8, 16, 24)}),
    (3, 32, {"widths": (8,), "patch": 4, "attention": (0,)}),
    (2, 12, {"widths": (8, 8), "blocks": 1, "head_dim": 4, "attention": (0, 1), "dropout": 0.1}),
])
def test_answers_have_the_shape_of_the_image(channels, side, options):
    x = torch.randn(2, channels, side, side)
    assert UNet(channels, **options, groups=4)(x, torch.tensor([1, 9])).shape == x.shape


def test_every_weight_gets_a_gradient():
    net = UNet(1, (8, 16), blocks=1, attention=(0, 1), groups=4)
    (net(torch.randn(2, 1, 8, 8), torch.tensor([1, 9])) - 1).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_memory_layout_of_the_input_does_not_matter():
    net, x, t = UNet(3, (8, 16), blocks=1, groups=4), torch.randn(2, 3, 8, 8), torch.tensor([1, 9])
    torch.testing.assert_close(net(x.contiguous(memory_format=torch.channels_last), t), net(x, t))


def loud(net: UNet) -> UNet:
    """The net away from its faint start, so that every part counts."""
    for layer in (net.head[-1], *(part.leave[-1] for part in net.modules() if isinstance(part, Block))):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return net


def test_norms_stay_in_float32_under_autocast_and_answers_stay_near():
    torch.manual_seed(0)
    net, x, t = loud(UNet(3, (16, 32), blocks=1, attention=(1,), groups=4)), torch.rand(2, 3, 16, 16), torch.tensor([1, 900])
    h = 3 + torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        low = net(x, t)
        torch.testing.assert_close(GroupNorm(16, 4)(h.bfloat16()), F.group_norm(h.bfloat16().float(), 4).bfloat16(), atol=0, rtol=0)
    truth = net(x, t)
    assert (low.float() - truth).norm() < 0.03 * truth.norm()


def test_in_double_precision_it_is_the_same_function():
    torch.manual_seed(0)
    net, x, t = loud(UNet(1, (8, 16), blocks=1, groups=4)), torch.rand(2, 1, 8, 8), torch.tensor([1, 9])
    truth = net(x, t)
    torch.testing.assert_close(net.double()(x.double(), t), truth.double(), atol=1e-5, rtol=1e-5)


def test_time_features_turn_at_known_speeds():
    features = TimeFeatures(8)(torch.tensor([0, 3]))
    speed = torch.tensor([1.0, 0.1, 0.01, 0.001])
    torch.testing.assert_close(features, torch.stack([torch.tensor([1.0] * 4 + [0.0] * 4), torch.cat([(3 * speed).cos(), (3 * speed).sin()])]))


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match=r"sides divisible by 4, got \(1, 3, 6, 8\)"):
        UNet(3, (8, 8, 8), groups=4)(torch.randn(1, 3, 6, 8), torch.tensor([1]))
