"""Filters as images, receptive fields by formula and by gradient, and the patches that excite a channel
most."""

import pytest
import torch
from torch import nn

from deepcanon.explain import (
    cut,
    filter_images,
    first_filters,
    gradient_support,
    image_grid,
    receptive_field,
    top_patches,
)
from deepcanon.explain.functional import activations
from deepcanon.explain.visible_regions import Axis, Field
from deepcanon.layers.norm import Standardize
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from tests.explain.nets import convolutional


@pytest.mark.row("EXP-01")
def test_filters_are_brought_to_the_unit_range_and_back():
    weight = 3 * torch.randn(6, 3, 5, 5)
    weight[4] = 0
    found = filter_images(weight)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert (found.images[4] == 0.5).all()
    assert (found.images[weight > 0] > 0.5).all()
    torch.testing.assert_close(found.weights(), weight)
    for i in (0, 1, 2, 3, 5):  # each by its own range
        assert max(found.images[i].max().item() - 0.5, 0.5 - found.images[i].min().item()) == pytest.approx(
            0.5, abs=1e-6
        )


@pytest.mark.row("EXP-01")
def test_a_grid_has_rows_columns_and_gaps():
    x = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 3, 4)
    grid = image_grid(x, columns=3, gap=2, value=9.0)
    assert grid.shape == (2, 2 * 3 + 3 * 2, 3 * 4 + 4 * 2)
    assert grid[0, 2::5, 2::6].tolist() == [[0, 1, 2], [3, 4, 9]]  # a corner of each
    assert (grid[:, :2] == 9).all()
    assert (grid[:, :, -2:] == 9).all()
    assert (grid[:, 5:7] == 9).all()
    assert (grid != 9).sum() == 5 * 2 * 3 * 4
    assert image_grid(x).shape == (2, 2 * 4 + 1, 3 * 5 + 1)  # about a square
    assert image_grid(x, gap=0).shape == (2, 6, 12)


@pytest.mark.row("EXP-01")
def test_edges_are_recovered_as_filters_of_edges():
    """Images are told apart by the direction of their stripes: a filter of the trained layer is a Gabor
    function."""
    torch.manual_seed(0)
    angle = torch.rand(600) * torch.pi
    y = (angle / (torch.pi / 4)).long().clamp(max=3)
    angle = (y + 0.5) * torch.pi / 4
    row, column = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    along = angle.cos().view(-1, 1, 1) * column + angle.sin().view(-1, 1, 1) * row
    x = (along * 1.2 + 6.3 * torch.rand(600, 1, 1)).sin()[:, None] + 0.3 * torch.randn(600, 1, 16, 16)
    net = nn.Sequential(nn.Conv2d(1, 8, 7), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2, weight_decay=1e-2)
    for _ in range(250):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    assert (net(x).argmax(1) == y).float().mean() > 0.97
    best = max(gabor_fit(w[0]) for w in first_filters(net))
    assert best > 0.9  # of the variance of the filter


def gabor_fit(weight: torch.Tensor) -> float:
    """The share of a filter's variance that the best Gabor function of the stripes' frequency explains."""
    u = torch.arange(7.0) - 3
    row, column = torch.meshgrid(u, u, indexing="ij")
    weight, found = (weight - weight.mean()).flatten(), 0.0
    for k in range(4):
        angle = torch.tensor((k + 0.5) * torch.pi / 4)
        along = angle.cos() * column + angle.sin() * row
        for spread in (2.0, 3.0, 5.0, 20.0):
            window = (-(row**2 + column**2) / (2 * spread**2)).exp()
            basis = torch.stack([window * (1.2 * along).sin(), window * (1.2 * along).cos()]).flatten(1)
            basis = basis - basis.mean(1, keepdim=True)
            rest = weight - torch.linalg.lstsq(basis.T, weight[:, None]).solution[:, 0] @ basis
            found = max(found, 1 - (rest.square().sum() / weight.square().sum()).item())
    return found


def test_filters_that_are_none_are_refused(annotations_unchecked):
    with pytest.raises(ValueError, match=r"expected filters \(O, C, k, l\), got \(3, 4\)"):
        filter_images(torch.rand(3, 4))
    with pytest.raises(ValueError, match="expected filters of finite weights"):
        filter_images(torch.full((1, 1, 2, 2), float("inf")))
    with pytest.raises(ValueError, match="Linear has no convolution"):
        first_filters(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"expected images \(n, C, H, W\), got \(0, 1, 2, 2\)"):
        image_grid(torch.rand(0, 1, 2, 2))
    for columns, gap in [(0, 1), (2, -1)]:
        with pytest.raises(ValueError, match="expected 1 column or more and a gap of 0 or more, got"):
            image_grid(torch.rand(2, 1, 2, 2), columns=columns, gap=gap)


class Branches(nn.Module):
    """A shortcut, a dilated branch, pooling and a border; all written with functions."""

    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=4, dilation=4)
        self.down, self.end = nn.Conv2d(8, 4, 4, stride=2, padding="valid"), nn.Identity()

    def forward(self, x):
        x = torch.cat([self.near(x), self.far(x) + x], 1)
        x = nn.functional.avg_pool2d(nn.functional.pad(x.sigmoid(), (2, 0, 1, 1)), 3, 1)
        return self.end(self.down(x)).mean((2, 3))


POSITIVE = [
    nn.Conv2d(1, 3, 5, 2, 1),
    nn.AvgPool2d(3, 2, 1),
    nn.Conv2d(3, 3, (3, 1), (1, 2), (0, 1)),
    nn.Conv2d(3, 2, 3, padding="same", dilation=2),
]


@pytest.mark.row("EXP-02")
@pytest.mark.parametrize(
    ("net", "layer", "size"),
    [
        (nn.Sequential(*POSITIVE), "3", (40, 44)),
        (nn.Sequential(*POSITIVE), "1", (17, 17)),
        (Branches(), "end", (24, 20)),
        (Branches(), "far", (24, 20)),
    ],
)
def test_the_field_by_formula_is_the_support_of_the_gradient(net, layer, size):
    net, x = net.double(), torch.rand(4, 1, *size, dtype=torch.float64)
    for p in net.parameters():
        p.data = p.data.abs() + 0.01  # nothing cancels
    field = receptive_field(net, layer, x)
    with torch.no_grad():
        height, width = activations(net, layer, x).shape[2:]
    whole = 0
    for row in {0, 1, height // 2, height - 1}:
        for column in {0, 1, width // 2, width - 1}:
            box, seen = field.box(row, column, size), gradient_support(net, layer, x, (0, row, column))
            assert (box[0] <= seen[0], box[1] <= seen[1], box[2] >= seen[2], box[3] >= seen[3]) == (True,) * 4
            if (box[2] - box[0], box[3] - box[1]) == (field.rows.size, field.columns.size):  # not cut
                assert box == seen
                whole += 1
    assert whole


@pytest.mark.row("EXP-02")
def test_the_field_of_nets_of_the_library_holds_the_support():
    net, x = resnet_cifar(8, 4, width=4, standardize=Standardize(0.5, 0.2)).eval(), torch.rand(64, 3, 32, 32)
    field = receptive_field(net, "stages.1", x)
    assert field == Field(
        Axis(-6, 13, 2), Axis(-6, 13, 2)
    )  # 3, 5, 7 of stride 1; then 2, 4 more of jump 1, 2
    boxes = [gradient_support(net, "stages.1", x, (k, 8, 8)) for k in range(8)]
    union = (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
    assert union == field.box(8, 8, (32, 32)) == (10, 10, 23, 23)
    assert receptive_field(LeNet(pool=nn.MaxPool2d), "maps", torch.rand(1, 1, 28, 28)) == Field(
        Axis(-2, 16, 4), Axis(-2, 16, 4)
    )


def test_behind_what_mixes_positions_a_unit_sees_everything():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(2))
    x = torch.rand(1, 1, 10, 12)
    assert receptive_field(net, "0", x).box(0, 0, (10, 12)) == (0, 0, 3, 3)
    for layer in ("1", "2", "3"):
        assert receptive_field(net, layer, x).box(0, 0, (10, 12)) == (0, 0, 10, 12)
    for mode in ("circular", "reflect", "replicate"):
        border = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode)
        assert receptive_field(nn.Sequential(border), "0", x) == Field(None, None)
    circular = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    assert gradient_support(nn.Sequential(circular), "0", x, (0, 0, 5)) == (
        0,
        4,
        10,
        7,
    )  # from row 9 to row 1


def test_what_only_takes_a_shape_or_a_type_sees_nothing():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.end = nn.Conv2d(1, 2, 3), nn.Identity()

        def forward(self, x):
            y = self.conv(x - torch.ones(1, 1, 1).to(x) + torch.zeros_like(x) + x.new_zeros(1))
            return self.end(y + torch.ones(1).expand_as(y))

    assert receptive_field(Shifted(), "end", torch.rand(1, 1, 6, 6)) == Field(Axis(0, 3, 1), Axis(0, 3, 1))


def test_branches_of_other_strides_see_everything():
    class Apart(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 2, 2), nn.Conv2d(1, 1, 1, 1)
            self.sum = nn.Identity()

        def forward(self, x):
            return self.sum(self.a(x) + self.b(x)[:, :, :3, :3])

    assert receptive_field(Apart(), "sum", torch.rand(1, 1, 6, 6)) == Field(None, None)


@pytest.mark.row("EXP-02")
@pytest.mark.parametrize("at_once", [3, 256])
def test_the_strongest_regions_equal_brute_force(at_once, monkeypatch):
    monkeypatch.setattr("deepcanon.explain.patches.AT_ONCE", at_once)
    net, x = convolutional(), torch.rand(20, 1, 12, 10)
    found = top_patches(net, "2", x, 5, k=4)
    with torch.no_grad():
        maps = net[:3](x)[:, 5]
    every = sorted(((maps[i].max().item(), i) for i in range(20)), reverse=True)[:4]
    assert found.values.tolist() == pytest.approx([value for value, _ in every])
    assert found.images.tolist() == [i for _, i in every]
    for (row, column), (value, i), box, patch in zip(
        found.positions.tolist(), every, found.boxes.tolist(), cut(x, found)
    ):
        assert maps[i, row, column].item() == pytest.approx(value)
        top, left, bottom, right = box
        assert [top, left, bottom, right] == [
            max(2 * row - 2, 0),
            max(2 * column - 2, 0),
            min(2 * row + 3, 12),
            min(2 * column + 3, 10),
        ]
        assert torch.equal(patch, x[i, :, top:bottom, left:right])
    assert top_patches(net, "2", x, 0, k=50).images.shape == (20,)


def test_a_region_with_the_filters_own_pattern_is_the_strongest():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False))
    net[0].weight.data = torch.tensor([[[[-1.0, 2.0, -1.0]] * 3]]).view(1, 1, 3, 3)
    x = torch.zeros(6, 1, 9, 9)
    x[4, 0, 3:6, 7] = 1.0
    found = top_patches(net, "0", x, 0, k=1)
    assert found.images.tolist() == [4]
    assert found.boxes.tolist() == [[3, 6, 6, 9]]
    assert found.values.tolist() == [6]


def test_channels_that_are_none_are_refused():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    for channel in (16, -1):
        with pytest.raises(ValueError, match=r"expected a channel in 0\.\.15, got"):
            top_patches(net, "2", x, channel)
    with pytest.raises(ValueError, match="expected 1 region or more, got 0"):
        top_patches(net, "2", x, 0, k=0)
    with pytest.raises(ValueError, match=r"expected a layer of maps \(B, C, h, w\), got \(2, 64\)"):
        top_patches(net, "5", x, 0)
    net.append(nn.Identity())
    net.forward = lambda x: net[0](x)
    with pytest.raises(ValueError, match="the Identity is not used when Sequential is applied"):
        receptive_field(net, "7", x)
