"""Pooling that remembers its places, and un-pooling."""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from deepcanon.layers.max_unpool import pool_with_places, unpool


@pytest.mark.row("VIS-28")
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_parity_with_torch(size, dtype):
    x = torch.randn(2, 3, 6 * size, 4 * size).to(dtype)
    values, where = pool_with_places(x, size)
    torch.testing.assert_close(values, x.unfold(2, size, size).unfold(3, size, size).amax((-1, -2)))
    assert torch.equal(x.flatten(2).gather(2, where.flatten(2)).view_as(values), values)
    theirs = F.max_unpool2d(values, where, size)
    assert torch.equal(unpool(values, where, (6 * size, 4 * size)), theirs)


@pytest.mark.row("VIS-28")
def test_pooling_what_was_unpooled_gives_it_back():
    x = torch.rand(2, 3, 8, 6)
    pooled = pool_with_places(x)
    assert torch.equal(pool_with_places(unpool(*pooled, (8, 6))).values, pooled.values)
    assert (unpool(*pooled, (8, 6)) != 0).sum() == pooled.values.numel()             # zeros elsewhere
    assert unpool(*pooled, (8, 6)).dtype == x.dtype


@pytest.mark.row("VIS-28")
def test_gradients_go_to_the_places_of_the_maxima():
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    values, where = pool_with_places(x)
    unpool(values, where, (4, 4)).sum().backward()
    expected = torch.zeros(16).scatter(0, where.flatten(), 1.0).view(1, 1, 4, 4)
    assert torch.equal(x.grad, expected)


def test_places_may_be_of_larger_maps_than_the_windows_fill():
    values, where = torch.tensor([[[[2.0]]]]), torch.tensor([[[[14]]]])
    assert unpool(values, where, (3, 5)).flatten().tolist() == [0.0] * 14 + [2.0]
    assert unpool(values[:0], where[:0], (3, 5)).shape == (0, 1, 3, 5)


@pytest.mark.parametrize(("place", "shape"), [(15, (3, 5)), (-1, (3, 5))])
def test_places_outside_are_refused(place, shape):
    with pytest.raises(ValueError, match=r"expected places in 0\.\.14, for maps of 3 x 5"):
        unpool(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), place), shape)


def test_other_shapes_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"expected a place for each value, \(1, 1, 2, 2\), got \(1, 1, 1, 2\)"):
        unpool(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 2, dtype=torch.long), (4, 4))
    for shape in ((1, 1, 5, 4), (1, 1, 4, 5)):
        with pytest.raises(ValueError, match=r"expected maps \(B, C, H, W\) with sides divisible by 2"):
            pool_with_places(torch.zeros(shape))
    with pytest.raises(ValueError, match="divisible by 0"):
        pool_with_places(torch.zeros(1, 1, 4, 4), 0)
