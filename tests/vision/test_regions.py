"""Pooling of regions beside loops over cells, samples and places."""

import math

import pytest
import torch
import torch.nn.functional as F

from deepcanon.vision.regions import checked_regions, roi_align, roi_pool

MAPS = torch.Generator().manual_seed(1)


def setting(dtype=torch.float64):
    maps = torch.randn(2, 3, 9, 11, generator=MAPS, dtype=dtype)
    boxes = torch.tensor(
        [
            [3.0, 2.0, 60.0, 50.0],
            [-9.0, -7.0, 30.0, 20.0],
            [40.0, 40.0, 41.0, 43.0],
            [20.0, 8.0, 100.0, 90.0],
            [200.0, 200.0, 240.0, 240.0],
        ],
        dtype=dtype,
    )
    return maps, boxes, torch.tensor([0, 1, 1, 0, 1])


def bilinear(plane, y: float, x: float) -> torch.Tensor:
    """The value of (C, H, W) at a point; 0 is the centre of the first place."""
    height, width = plane.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return plane.new_zeros(len(plane))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    ly, lx = y - y0, x - x0
    return (
        (1 - ly) * (1 - lx) * plane[:, y0, x0]
        + (1 - ly) * lx * plane[:, y0, x1]
        + ly * (1 - lx) * plane[:, y1, x0]
        + ly * lx * plane[:, y1, x1]
    )


def align_by_loops(maps, boxes, images, size, scale, samples):
    out = maps.new_zeros(len(boxes), maps.shape[1], size, size)
    for r, (box, image) in enumerate(zip(boxes.tolist(), images.tolist())):
        x0, y0, x1, y1 = (v * scale - 0.5 for v in box)
        for i in range(size):
            for j in range(size):
                points = [
                    (
                        y0 + (y1 - y0) * (i + (a + 0.5) / samples) / size,
                        x0 + (x1 - x0) * (j + (b + 0.5) / samples) / size,
                    )
                    for a in range(samples)
                    for b in range(samples)
                ]
                out[r, :, i, j] = torch.stack([bilinear(maps[image], *p) for p in points]).mean(0)
    return out


@pytest.mark.row("VIS-23")
@pytest.mark.parametrize(("size", "samples"), [(1, 1), (2, 2), (3, 1), (4, 3)])
def test_align_is_the_mean_of_bilinear_samples(size, samples):
    maps, boxes, images = setting()
    ours = roi_align(maps, boxes, images, size, scale=1 / 8, samples=samples)
    torch.testing.assert_close(ours, align_by_loops(maps, boxes, images, size, 1 / 8, samples))
    assert ours[4].eq(0).all()  # of a region outside there is nothing


@pytest.mark.row("VIS-23")
def test_align_shifts_by_half_a_place():
    columns = torch.arange(6.0).expand(1, 1, 6, 6)
    assert roi_align(columns, torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.tensor([0]), 1).item() == 1.5
    assert roi_align(columns, torch.tensor([[0.0, 0.0, 6.0, 6.0]]), torch.tensor([0]), 6, samples=1)[
        0, 0, 0
    ].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.row("VIS-23")
def test_the_gradient_of_align_is_that_of_finite_differences():
    maps, boxes, images = setting()
    maps.requires_grad_()
    assert torch.autograd.gradcheck(lambda m: roi_align(m, boxes, images, 2, scale=1 / 8), (maps,))


@pytest.mark.row("VIS-23")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_align_and_pool_in_other_types_and_layouts(dtype):
    maps, boxes, images = setting(torch.float32)
    right = roi_align(maps, boxes, images, 3, scale=1 / 8)
    narrow = maps.to(dtype).to(memory_format=torch.channels_last)
    ours = roi_align(narrow, boxes, images, 3, scale=1 / 8)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.float(), right, atol=0.03, rtol=0.01)
    assert roi_pool(narrow, boxes, images, 3, scale=1 / 8).dtype == dtype
    assert (
        roi_align(maps, boxes[:0], images[:0], 3).shape
        == roi_pool(maps, boxes[:0], images[:0], 3).shape
        == (0, 3, 3, 3)
    )


def pool_by_loops(maps, boxes, images, size, scale):
    """Girshick's borders: cell i of a region of n places from floor(i n / P) to ceil((i + 1) n / P)."""
    out, (height, width) = maps.new_zeros(len(boxes), maps.shape[1], size, size), maps.shape[2:]
    for r, (box, image) in enumerate(zip(boxes.tolist(), images.tolist())):
        x0, y0, x1, y1 = (math.floor(v * scale + 0.5) for v in box)
        x0, x1, y0, y1 = max(x0, 0), min(x1, width - 1), max(y0, 0), min(y1, height - 1)
        for i in range(size):
            for j in range(size):
                top, bottom = y0 + i * (y1 - y0 + 1) // size, y0 - (-(i + 1) * (y1 - y0 + 1) // size)
                left, right = x0 + j * (x1 - x0 + 1) // size, x0 - (-(j + 1) * (x1 - x0 + 1) // size)
                out[r, :, i, j] = maps[image, :, top:bottom, left:right].amax((1, 2))
    return out


@pytest.mark.row("VIS-23")
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pooling_is_the_maximum_of_each_cell(size):
    maps, boxes, images = setting()
    torch.testing.assert_close(
        roi_pool(maps, boxes[:4], images[:4], size, scale=1 / 8),
        pool_by_loops(maps, boxes[:4], images[:4], size, 1 / 8),
    )


@pytest.mark.row("VIS-23")
def test_a_region_that_is_the_whole_map_gives_adaptive_max_pooling():
    maps, _, _ = setting()
    whole = torch.tensor([[0.0, 0.0, 10.0, 8.0]]).expand(2, 4)  # the first and the last place, both included
    torch.testing.assert_close(roi_pool(maps, whole, torch.tensor([0, 1]), 4), F.adaptive_max_pool2d(maps, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": torch.zeros(2, 3, 4)}, r"expected maps \(N, C, H, W\), got \(2, 3, 4\)"),
        ({"images": torch.zeros(2, dtype=torch.int64)}, "expected one image number a box"),
        ({"images": torch.tensor([5])}, r"expected image numbers in 0..1, got 5..5"),
        ({"images": torch.tensor([-1])}, r"expected image numbers in 0..1, got -1..-1"),
        ({"size": 0}, "expected size and scale above 0, got 0 and 1.0"),
        ({"scale": 0.0}, "expected size and scale above 0"),
        ({"boxes": torch.tensor([[0.0, 0.0, torch.nan, 1.0]])}, "expected finite boxes"),
    ],
)
def test_what_cannot_be_cut_out_is_refused(change, message):
    given = {
        "maps": torch.zeros(2, 3, 4, 4),
        "boxes": torch.tensor([[0.0, 0.0, 1.0, 1.0]]),
        "images": torch.tensor([0]),
        "size": 2,
        "scale": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        checked_regions(**given | change)
    if "samples" not in change:
        with pytest.raises(ValueError, match="expected one sample a cell or more, got 0"):
            roi_align(given["maps"], given["boxes"], given["images"], samples=0)
