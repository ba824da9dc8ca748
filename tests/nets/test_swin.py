"""Swin: windows and shifts that undo each other, what is masked, how far a place sees, cost, parameters."""

import jaxtyping
import pytest
import torch
from torch import nn

from deepcanon.nets.swin import (
    PatchMerging,
    Swin,
    SwinBlock,
    WindowAttention,
    from_windows,
    into_windows,
    relative_offsets,
    shift_mask,
    shifted,
)


@pytest.mark.row("VIS-32")
def test_the_published_size():
    with torch.device("meta"):
        net = Swin()
        assert sum(p.numel() for p in net.parameters()) == 28_288_354
        seen = []
        for stage in net.stages:
            stage.register_forward_hook(lambda _, x, y: seen.append(tuple(y.shape[1:])))
        assert net(torch.rand(1, 3, 224, 224)).shape == (1, 1000)
    assert seen == [(56, 56, 96), (28, 28, 192), (14, 14, 384), (7, 7, 768)]
    shifts = [[block.shift for block in stage if isinstance(block, SwinBlock)] for stage in net.stages]
    assert shifts == [[0, 3], [0, 3], [0, 3, 0, 3, 0, 3], [0, 0]]  # one window is left at the end


@pytest.mark.row("VIS-32")
def test_shift_and_reverse_and_windows_and_back_are_the_identity():
    x = torch.randn(2, 8, 12, 3)
    assert torch.equal(shifted(shifted(x, 2), -2), x)
    assert torch.equal(shifted(x, 1)[:, 0, 0], x[:, 1, 1])
    assert torch.equal(from_windows(into_windows(x, 4), (8, 12)), x)
    windows = into_windows(x, 4)
    assert windows.shape == (2, 6, 16, 3)
    assert torch.equal(
        windows[:, 4].view(2, 4, 4, 3), x[:, 4:, 4:8]
    )  # row by row: the second of the second row


@pytest.mark.row("VIS-32")
def test_masked_pairs_of_shifted_windows_have_weight_0():
    torch.manual_seed(0)
    attention, mask = WindowAttention(8, 2, 4), shift_mask((8, 8), 4, 2)
    weights, values = attention.weights(torch.randn(3, 4, 16, 8), mask)
    assert weights.shape == (3, 4, 2, 16, 16)
    assert values.shape == (3, 4, 2, 16, 4)
    assert (weights[:, :, :][~mask[None, :, None].expand_as(weights)] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 2, 16))
    assert mask.float().mean((1, 2)).tolist() == [
        1.0,
        0.5,
        0.5,
        0.25,
    ]  # whole, two halves twice, four quarters


@pytest.mark.row("VIS-32")
def test_the_mask_leaves_pairs_that_were_neighbours_before_the_shift():
    rows = torch.arange(8.0)[:, None].expand(8, 8)
    places = torch.stack([rows, rows.T], -1)[None]  # (1, 8, 8, 2): where each place is
    moved = into_windows(shifted(places, 1), 4)[0]  # (4, 16, 2)
    apart = (moved[:, :, None] - moved[:, None]).abs().amax(-1)
    assert torch.equal(shift_mask((8, 8), 4, 1), apart < 4)


@pytest.mark.row("VIS-32")
def test_what_the_offset_of_two_places_adds_is_looked_up():
    offsets = relative_offsets(3)
    assert (offsets.min(), offsets.max(), len(offsets.unique())) == (0, 24, 25)
    assert (offsets.diagonal() == 12).all()  # of a place to itself: the middle of the table
    assert offsets[0, 1] == 12 - 1  # one to the right
    assert offsets[0, 3] == 12 - 5  # one below
    torch.manual_seed(0)
    attention, x = WindowAttention(4, 1, 3), torch.zeros(1, 1, 9, 4)
    nn.init.zeros_(attention.qkv.bias)
    with torch.no_grad():
        attention.bias.zero_()[11] = 50.0  # look at the right-hand neighbour
    weights = attention.weights(x)[0][0, 0, 0]
    assert weights[0, 1] > 0.99
    assert weights[2].max() < 0.2  # at the right border there is none


def reach(blocks: nn.Module, place: tuple[int, int], side: int = 12) -> torch.Tensor:
    """Which places of a map the outcome at one depends on."""
    x = torch.randn(1, side, side, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(blocks(x)[0, *place].square().sum(), x)
    return gradient[0].abs().sum(-1) > 0


@pytest.mark.row("VIS-32")
def test_a_shifted_block_looks_across_the_border_of_windows():
    torch.manual_seed(0)
    plain, moved = SwinBlock(8, 2, 4, 0, 16), SwinBlock(8, 2, 4, 2, 16)
    assert reach(plain, (5, 6)).nonzero().aminmax(dim=0).min.tolist() == [4, 4]
    assert reach(plain, (5, 6)).sum() == reach(nn.Sequential(plain, plain), (5, 6)).sum() == 16
    both = reach(nn.Sequential(plain, moved), (5, 6))
    assert both.sum() > 16
    assert both[:4].any()
    assert both[:, 8:].any()
    corner = reach(moved, (0, 0))
    assert corner.sum() == 4  # around the border nobody looks
    assert corner[:2, :2].all()


@pytest.mark.row("VIS-32")
def test_a_block_is_attention_in_windows_and_then_the_mlp():
    torch.manual_seed(0)
    block, x = SwinBlock(8, 2, 4, 2, 16), torch.randn(2, 8, 8, 8)
    mask = shift_mask((8, 8), 4, 2)
    y = block.attention(into_windows(block.norm1(x).roll((-2, -2), (1, 2)), 4), mask)
    h = x + from_windows(y, (8, 8)).roll((2, 2), (1, 2))
    torch.testing.assert_close(block(x), h + block.mlp(block.norm2(h)))


@pytest.mark.row("VIS-32")
def test_the_cost_is_linear_in_the_number_of_windows():
    from torch.utils.flop_counter import FlopCounterMode

    block, cost = SwinBlock(8, 2, 4, 2, 16), []
    for side in (8, 16, 32):
        with FlopCounterMode(display=False) as counter:
            block(torch.rand(1, side, side, 8))
        cost.append(counter.get_total_flops())
    assert cost[1] == 4 * cost[0]
    assert cost[2] == 16 * cost[0]


@pytest.mark.row("VIS-32")
def test_merging_lays_four_neighbours_side_by_side():
    merge, x = PatchMerging(3), torch.randn(2, 4, 6, 3)
    assert merge(x).shape == (2, 2, 3, 6)
    four = torch.cat([x[:, 2, 4], x[:, 3, 4], x[:, 2, 5], x[:, 3, 5]], -1)  # down the columns first
    torch.testing.assert_close(merge(x)[:, 1, 2], merge.reduce(merge.norm(four)))
    assert merge(x[:, :3, :5]).shape == (2, 2, 3, 6)  # odd sides are padded


def test_sides_that_windows_do_not_fill_are_padded_and_cut_off():
    block = SwinBlock(8, 2, 4, 2, 16)
    assert block(torch.rand(2, 7, 9, 8)).shape == (2, 7, 9, 8)
    net = Swin(
        3,
        image_size=20,
        patch=2,
        embed_dim=8,
        depths=(2, 2),
        num_heads=(2, 4),
        window=4,
        mlp_ratio=2.0,
        bias=False,
    )
    assert net(torch.rand(2, 3, 20, 20)).shape == (2, 3)
    assert net.features(torch.rand(2, 3, 20, 20)).shape == (2, 16)
    assert net.stages[0][0].mlp[0].out_features == 16
    assert net.stages[0][0].attention.qkv.bias is None


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    with pytest.raises(ValueError, match="side is a multiple of the patch, got 30 and 4"):
        Swin(image_size=30)
    with pytest.raises(ValueError, match="embed_dim 8 cannot be split into 3 heads"):
        WindowAttention(8, 3, 4)
    with pytest.raises(ValueError, match="windows of 4 x 4 do not fill a map of 6 x 8 places"):
        into_windows(torch.rand(1, 6, 8, 2), 4)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 16, 16\), got \(1, 3, 8, 8\)"):
        Swin(3, image_size=16, embed_dim=8, depths=(1,), num_heads=(2,))(torch.rand(1, 3, 8, 8))
