"""WaveNet: how far back it hears, and drawing with kept inputs against whole passes."""

import pytest
import torch
from torch import nn

from deepcanon.nets.wavenet import WaveNet
from tests.autoregressive.sight import drawn, seen_from


@pytest.mark.row("GEN-35")
@pytest.mark.parametrize(("dilations", "kernel"), [((1, 2, 4), 2), ((1, 3), 3), ((1,), 2), ((2, 1, 1), 2)])
def test_the_receptive_field_is_one_and_the_dilations_times_k_minus_one(dilations, kernel):
    net = WaveNet(1, 3, width=8, dilations=dilations, kernel=kernel, skip=16).double()
    T = 2 * net.receptive_field
    assert net.receptive_field == 1 + sum(dilations) * (kernel - 1)
    seen = seen_from(net, (1, T))
    back = torch.arange(T)[:, None] - torch.arange(T)
    assert not (seen & ((back < 1) | (back > net.receptive_field))).any()
    assert seen[T - 1, T - 1 - net.receptive_field]
    assert seen[T - 1, T - 2]


@pytest.mark.row("GEN-35")
@pytest.mark.parametrize("kernel", [2, 3])
def test_kept_inputs_give_the_outputs_of_whole_passes(kernel):
    net = WaveNet(2, 5, width=4, dilations=(1, 2, 4), kernel=kernel, skip=6, condition=nn.Embedding(3, 4)).double()
    x, y = torch.rand(3, 2, 25, dtype=torch.float64), torch.arange(3)
    with torch.no_grad():
        torch.testing.assert_close(drawn(net, x, y), net(x, y), atol=1e-12, rtol=0)


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(ValueError, match=r"expected sounds \(B, 1, T\), got \(2, 3, 8\)"):
        WaveNet(1, 3, width=4, dilations=(1,))(torch.rand(2, 3, 8))
