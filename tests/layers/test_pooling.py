"""Pooling over sequences, images and volumes: torch's numbers, what is linear, and a head that space does
not matter to.
"""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from deepcanon.layers.pooling import average_pool, global_average_pool, max_pool

POOLS = {1: (F.max_pool1d, F.avg_pool1d), 2: (F.max_pool2d, F.avg_pool2d), 3: (F.max_pool3d, F.avg_pool3d)}


@pytest.mark.row("VIS-03")
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(2, None), (3, 2), (2, 3)])
def test_values_and_gradients_are_torchs(axes, kernel, stride):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(9, 8, 7)[:axes], requires_grad=True)
    for ours, theirs in zip((max_pool, average_pool), POOLS[axes], strict=True):
        mine, reference = ours(x, kernel, stride=stride), theirs(x, kernel, stride)
        torch.testing.assert_close(mine, reference)
        upstream = torch.randn_like(mine)
        torch.testing.assert_close(*(torch.autograd.grad(y, x, upstream)[0] for y in (mine, reference)))


@pytest.mark.row("VIS-03")
def test_the_worked_example():
    assert max_pool(torch.rand(1, 3, 10, 10), 2).shape == (1, 3, 5, 5)
    assert max_pool(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist() == [[[3.0, 2.0]]]
    assert average_pool(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist() == [[[2.0, 1.0]]]


@pytest.mark.row("VIS-03")
def test_the_average_is_linear_and_the_maximum_is_not():
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(average_pool(a + b, 2), average_pool(a, 2) + average_pool(b, 2))
    assert (max_pool(a + b, 2) - max_pool(a, 2) - max_pool(b, 2)).abs().max() > 0.1


@pytest.mark.row("VIS-05")
def test_the_mean_over_places_knows_no_order_and_no_size():
    x = torch.rand(2, 512, 8, 8)
    assert global_average_pool(torch.rand(1, 512, 64, 64)).shape == (1, 512)  # the worked example
    shuffled = x.flatten(2)[..., torch.randperm(64)].view_as(x)
    torch.testing.assert_close(global_average_pool(shuffled), global_average_pool(x))
    torch.testing.assert_close(global_average_pool(x), F.adaptive_avg_pool2d(x, 1).flatten(1))
    assert (
        global_average_pool(torch.rand(2, 5, 3, 4, 6)).shape
        == global_average_pool(torch.rand(2, 5, 7)).shape
        == (2, 5)
    )


def test_mistakes_are_one_line(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="a window of 3 does not fit into 2 places"):
        max_pool(torch.rand(1, 1, 2, 2), 3)
    with pytest.raises(ValueError, match="one axis of places or more"):
        average_pool(torch.rand(4, 4), 2)
