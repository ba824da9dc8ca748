"""U-Net, SegNet and FCN: shapes, channels, what each keeps of fine structures, and their parameters."""

import copy
from functools import partial
from itertools import pairwise

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.engine import Adam, fit, options
from deepcanon.metrics.segmentation import class_iou, pixel_confusion
from deepcanon.nets.fcn import FCN
from deepcanon.nets.segmentation_unet import SegmentationUNet
from deepcanon.nets.segnet import SegNet
from deepcanon.vision.semantic import Segmenter

WIDTHS = (4, 6, 8)
NETS = {
    "unet": lambda **how: SegmentationUNet(3, 2, widths=WIDTHS, **how),
    "bottleneck": lambda **how: SegmentationUNet(3, 2, widths=WIDTHS, skips=False, **how),
    "segnet": lambda **how: SegNet(3, 2, widths=WIDTHS, depths=(1, 2, 2), **how),
    "fcn": lambda **how: FCN(3, 2, widths=WIDTHS, depths=(1, 2, 2), **how),
    "fcn32": lambda **how: FCN(3, 2, widths=WIDTHS, depths=(1, 2, 2), skips=0, **how),
}


@pytest.mark.row("VIS-29", "VIS-30", "VIS-25")
@pytest.mark.parametrize("name", NETS)
def test_sides_stay_where_they_can_be_halved(name, monkeypatch):
    net = NETS[name]()
    assert net.stride == {"unet": 4, "bottleneck": 4}.get(name, 8)
    for sides in ((8, 8), (16, 24), (40, 8)):
        assert net(torch.rand(2, 2, *sides)).shape == (2, 3, *sides)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for shape in ((2, 2, 8, net.stride + 1), (2, 2, net.stride + 2, 8), (2, 3, 8, 8), (2, 8, 8)):
        with pytest.raises(ValueError, match=rf"expected images \(B, 2, H, W\) with sides divisible by {net.stride}"):
            net(torch.rand(shape))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_and_what_comes_first(name, dtype):
    net, x = NETS[name](standardize=nn.Softshrink(0.25)).eval(), torch.rand(2, 2, 16, 8)
    right = NETS[name]().eval()
    right.load_state_dict(net.state_dict())
    right = right(F.softshrink(x, 0.25))
    assert torch.equal(net(x), right)
    ours = copy.deepcopy(net).to(dtype)(x.to(dtype))
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.float(), right, atol=0.1 * float(right.detach().abs().max()), rtol=0)


@pytest.mark.row("VIS-30")
def test_the_decoder_reads_its_own_and_the_encoders_channels():
    net = SegmentationUNet(3, widths=(4, 6, 10))
    assert [level[0][0].in_channels for level in net.up] == [4 + 4, 6 + 6]
    assert [tuple(up.weight.shape[:2]) for up in net.enlarge] == [(6, 4), (10, 6)]
    seen = {}
    for i, level in enumerate(net.up):
        level[0].register_forward_pre_hook(lambda _, inputs, i=i: seen.update({i: inputs[0]}))
    for i, skip in enumerate(net.skip):
        skip.register_forward_hook(lambda _, __, out, i=i: seen.update({f"skip {i}": out}))
    net(torch.rand(1, 3, 16, 16))
    for i, (width, side) in enumerate([(4, 16), (6, 8)]):
        assert seen[i].shape == (1, 2 * width, side, side)
        assert torch.equal(seen[i][:, width:], seen[f"skip {i}"])                    # same level, same resolution
    assert [level[0][0].in_channels for level in SegmentationUNet(3, widths=(4, 6), skips=False).up] == [4]


@pytest.mark.row("VIS-30")
def test_parameters_of_the_papers_widths():
    """By hand: 3x3 convolutions, two numbers a channel of normalisation, 2x2 transposed convolutions, a 1x1 head."""
    widths = (64, 128, 256, 512, 1024)
    pairs = list(zip((3, *widths[:-1]), widths))
    down = sum(9 * c * w + 9 * w * w + 4 * w for c, w in pairs)
    up = sum(4 * b * w + w + 9 * 2 * w * w + 9 * w * w + 4 * w for w, b in pairwise(widths))
    net = SegmentationUNet(2, widths=widths)
    assert sum(p.numel() for p in net.parameters()) == down + up + 64 * 2 + 2 == 31_037_698


@pytest.mark.row("VIS-29")
def test_the_encoder_is_that_of_vgg_16_and_the_decoder_its_mirror():
    net = SegNet(12)
    channels = [[(c[0].in_channels, c[0].out_channels) for c in level if isinstance(c, nn.Sequential)] for level in net.down]
    assert channels == [[(3, 64), (64, 64)], [(64, 128), (128, 128)], [(128, 256), (256, 256), (256, 256)],
                        [(256, 512), (512, 512), (512, 512)], [(512, 512)] * 3]
    mirrored = [[(c[0].in_channels, c[0].out_channels) for c in level if isinstance(c, nn.Sequential)] for level in net.up]
    assert mirrored == [[(64, 64), (64, 64)], [(128, 128), (128, 64)], [(256, 256), (256, 256), (256, 128)],
                        [(512, 512), (512, 512), (512, 256)], [(512, 512)] * 3]


@pytest.mark.row("VIS-29", "VIS-28")
def test_the_decoder_writes_where_the_maxima_were():
    net, seen = SegNet(2, 1, widths=(3,), depths=(1,)), {}
    net.down[0].register_forward_hook(lambda _, __, out: seen.update(encoded=out))
    net.up[0].register_forward_pre_hook(lambda _, inputs: seen.update(unpooled=inputs[0]))
    net(torch.rand(2, 1, 8, 8))
    assert torch.equal(F.max_pool2d(seen["unpooled"], 2), F.max_pool2d(seen["encoded"], 2))
    kept = seen["unpooled"] != 0
    assert torch.equal(seen["unpooled"][kept], seen["encoded"][kept])


@pytest.mark.row("VIS-25")
def test_fcn_adds_enlarged_scores_of_three_resolutions():
    """With all levels' scores constant, each pixel has their sum: bilinear enlargement keeps constants inside."""
    net = FCN(2, widths=(3, 3, 3, 3, 3), depths=(1,) * 5).eval()
    with torch.no_grad():
        for score, value in zip(net.score, (1.0, 10.0, 100.0)):
            score.weight.zero_()
            score.bias.copy_(torch.tensor([value, -value]))
    out = net(torch.rand(1, 3, 192, 192))
    assert len(net.score) == 3
    torch.testing.assert_close(out[0, :, 64:-64, 64:-64], torch.tensor([111.0, -111.0]).view(2, 1, 1).expand(2, 64, 64))


def test_forms_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected as many depths as widths, got 1 and 2"):
        SegNet(2, widths=(4, 4), depths=(1,))
    for how in ({"depths": (1, 1, 1)}, {"skips": 2}, {"skips": -1}):
        with pytest.raises(ValueError, match="expected as many depths as widths and fewer skips"):
            FCN(2, **({"widths": (4, 4), "depths": (1, 1)} | how))


class Lines:
    """Images of 32 x 32 in grey with three lines of one pixel, under noise, and which pixels these are."""

    def __init__(self, seed: int = 0, count: int = 256, side: int = 32):
        generator = torch.Generator().manual_seed(seed)
        angle, place = torch.rand(2, count, 3, 1, 1, generator=generator)
        at = torch.arange(side) - (side - 1) / 2
        distance = at[:, None] * (torch.pi * angle).sin() + at * (torch.pi * angle).cos() - 0.8 * side * (place - 0.5)
        self.y = (distance.abs() < 0.5).any(1).long()
        self.x = 0.4 + 0.1 * torch.randn(count, 1, side, side, generator=generator) + 0.3 * self.y[:, None]

    def at(self, step: int):
        rows = torch.arange(16 * step, 16 * step + 16) % len(self.y)
        return self.x[rows], self.y[rows]


def line_iou(method) -> float:
    """IoU of the lines in images that were not trained on."""
    held_out = Lines(seed=1, count=64)
    return float(class_iou(pixel_confusion(method.predict(held_out.x).argmax(1), held_out.y, 2))[1])


@pytest.fixture(scope="module")
def trained():
    """Nets of one width, trained alike for a moment: name -> method."""
    nets, widths = {}, (8, 16, 16)
    for name, net in {"unet": SegmentationUNet, "bottleneck": partial(SegmentationUNet, skips=False),
                      "segnet": partial(SegNet, depths=(2, 2, 2))}.items():
        torch.manual_seed(0)
        nets[name] = Segmenter(net(2, 1, widths=widths))
        with options(quiet=True):
            fit(nets[name], Lines(), Adam(1e-2), steps=100)
    return nets


@pytest.mark.row("VIS-29", "VIS-30")
def test_skips_keep_thin_lines_and_a_bottleneck_loses_them(trained):
    iou = {name: line_iou(method) for name, method in trained.items()}
    assert iou["unet"] > 0.8
    assert iou["bottleneck"] < iou["unet"] - 0.4
    assert iou["bottleneck"] < iou["segnet"] < iou["unet"] - 0.1                     # places help, and less than values


@pytest.mark.row("VIS-30")
def test_without_its_skips_a_trained_unet_finds_no_line(trained):
    hooks = [skip.register_forward_hook(lambda _, __, out: torch.zeros_like(out)) for skip in trained["unet"].net.skip]
    without = line_iou(trained["unet"])
    for hook in hooks:
        hook.remove()
    assert without < 0.1
    assert line_iou(trained["unet"]) > 0.8
