"""PixelRNN: skewing, what the two recurrences see, and drawing with kept states against whole passes."""

import pytest
import torch
from torch import nn

from deepcanon.layers.causal import MaskedConv2d, mask_a
from deepcanon.nets.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM, cell, skew, unskew
from tests.autoregressive.sight import before, drawn, seen_from

BOTH = pytest.mark.parametrize("recurrence", [RowLSTM, DiagonalBiLSTM])


def net(recurrence, channels=1, **more) -> PixelRNN:
    return PixelRNN(channels, 3, recurrence, width=4, **more).double()


def near_sighted(recurrence, mask: torch.Tensor) -> PixelRNN:
    """Its first layer reads few pixels, so that the sight beyond them is the recurrence's."""
    made = PixelRNN(1, 3, recurrence, width=8, num_layers=1)
    made.first = MaskedConv2d(1, 8, mask)
    return made.double()


@pytest.mark.row("GEN-29")
def test_skewing_moves_each_row_and_is_undone_exactly():
    x = torch.rand(2, 3, 4, 5)
    skewed = skew(x)
    assert skewed.shape == (2, 3, 4, 8)
    for r in range(4):
        assert torch.equal(skewed[:, :, r, r : r + 5], x[:, :, r])
        assert not skewed[:, :, r, :r].any()
        assert not skewed[:, :, r, r + 5 :].any()
    assert torch.equal(unskew(skewed), x)


@pytest.mark.row("GEN-29")
def test_the_diagonal_bilstm_sees_all_pixels_before():
    assert torch.equal(seen_from(near_sighted(DiagonalBiLSTM, mask_a(3)), (1, 4, 6)), before(4, 6))


@pytest.mark.row("GEN-29")
def test_the_row_lstm_sees_a_triangle():
    """From row 4, column 3 of 5 x 9: each row up, one column more to the right; to the left one more, beside the two that an input reads."""
    left = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 0, 0]]).bool()
    seen = seen_from(near_sighted(RowLSTM, left), (1, 5, 9))[4 * 9 + 3].view(5, 9)
    sight = [seen[r].nonzero().flatten().tolist() for r in range(5)]
    assert [row[-1] for row in sight] == [6, 5, 4, 3, 2]
    assert sight[4] == [1, 2]
    assert sight[3] == [0, 1, 2, 3]


@pytest.mark.row("GEN-29")
@BOTH
def test_nothing_ahead_is_seen(recurrence):
    assert not (seen_from(net(recurrence, num_layers=2), (1, 4, 5), draws=1) & ~before(4, 5)).any()


@pytest.mark.row("GEN-29")
@BOTH
def test_kept_states_give_the_outputs_of_whole_passes(recurrence):
    model, x, y = net(recurrence, 2, condition=nn.Embedding(3, 4)), torch.rand(3, 2, 4, 5, dtype=torch.float64), torch.arange(3)
    with torch.no_grad():
        torch.testing.assert_close(drawn(model, x, y), model(x, y), atol=1e-12, rtol=0)


@pytest.mark.row("GEN-29")
def test_the_cell_is_torchs():
    theirs = nn.LSTMCell(3, 4).double()
    x, h, c = (torch.randn(2, n, dtype=torch.float64) for n in (3, 4, 4))
    gates = x @ theirs.weight_ih.T + theirs.bias_ih + h @ theirs.weight_hh.T + theirs.bias_hh
    i, f, g, o = gates.chunk(4, 1)
    for ours, expected in zip(cell(torch.cat([o, f, i, g], 1), c), theirs(x, (h, c))):
        torch.testing.assert_close(ours, expected)


def test_labels_are_needed_where_there_is_a_condition():
    with pytest.raises(ValueError, match="it needs the labels y"):
        net(RowLSTM, condition=nn.Embedding(3, 4))(torch.rand(1, 1, 4, 4).double())
