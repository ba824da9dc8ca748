"""Image Transformer: who may look at whom, and drawing with kept keys and values against whole passes."""

import itertools

import pytest
import torch
from torch import nn

from deepcanon.nets.image_transformer import ImageTransformer, all_before, local_1d, local_2d, strided
from tests.autoregressive.sight import before, drawn, seen_from

SIZE = (4, 6)


def net(mask, channels=1, **more) -> ImageTransformer:
    return ImageTransformer(channels, 3, mask, size=SIZE, embed_dim=8, num_heads=2, **{"num_layers": 2} | more).double()


def by_hand(allowed) -> torch.Tensor:
    """The mask of a predicate of (row, column) of the query and of the key, that keeps the order."""
    pixels = list(itertools.product(*map(range, SIZE)))
    return torch.tensor([[i >= j and allowed(p, q) for j, q in enumerate(pixels)] for i, p in enumerate(pixels)])


@pytest.mark.row("GEN-31")
@pytest.mark.parametrize(("block", "memory"), [(5, 3), (6, 6), (1, 2), (7, 0)])
def test_local_1d_is_a_block_of_the_raster_and_what_comes_before_it(block, memory):
    def place(p):
        return p[0] * SIZE[1] + p[1]

    assert torch.equal(local_1d(SIZE, block, memory), by_hand(lambda p, q: place(q) >= place(p) // block * block - memory))


@pytest.mark.row("GEN-31")
@pytest.mark.parametrize(("block", "memory"), [((2, 3), (1, 1)), ((1, 2), (2, 0)), ((2, 4), (0, 2))])
def test_local_2d_is_a_block_of_the_image_and_what_is_around_it(block, memory):
    def allowed(p, q):
        top, left = (p[k] // block[k] * block[k] for k in range(2))
        return top - memory[0] <= q[0] < top + block[0] and left - memory[1] <= q[1] < left + block[1] + memory[1]

    assert torch.equal(local_2d(SIZE, block, memory), by_hand(allowed))


@pytest.mark.row("GEN-31")
def test_strided_is_the_last_ones_and_every_so_many():
    def back(p, q):
        return (p[0] - q[0]) * SIZE[1] + p[1] - q[1]

    assert torch.equal(strided(SIZE, 4), by_hand(lambda p, q: back(p, q) < 4 or back(p, q) % 4 == 0))


@pytest.mark.row("GEN-31")
def test_a_window_of_all_pixels_is_full_causal_attention():
    assert torch.equal(local_1d(SIZE, 24, 0), all_before(SIZE))
    assert torch.equal(local_1d(SIZE, 5, 24), all_before(SIZE))
    assert torch.equal(local_2d(SIZE, SIZE, (0, 0)), all_before(SIZE))
    assert torch.equal(strided(SIZE, 24), all_before(SIZE))


@pytest.mark.row("GEN-31")
def test_a_layer_sees_through_the_mask_the_pixels_one_before():
    """Place i, which predicts pixel i, reads place j, where pixel j - 1 is written."""
    for mask in (all_before(SIZE), local_1d(SIZE, 4, 2), local_2d(SIZE, (2, 2), (1, 1))):
        expected = torch.zeros(24, 24, dtype=torch.bool)
        expected[:, :-1] = mask[:, 1:]
        assert torch.equal(seen_from(net(mask, num_layers=1), (1, *SIZE)), expected)
    assert torch.equal(seen_from(net(all_before(SIZE)), (1, *SIZE)), before(*SIZE))


@pytest.mark.row("GEN-31")
@pytest.mark.parametrize("mask", [all_before(SIZE), local_1d(SIZE, 5, 3), local_2d(SIZE, (2, 3), (1, 1)), strided(SIZE, 4)])
def test_kept_keys_and_values_give_the_outputs_of_whole_passes(mask):
    model, x, y = net(mask, 2, condition=nn.Embedding(3, 8)), torch.rand(3, 2, *SIZE, dtype=torch.float64), torch.arange(3)
    with torch.no_grad():
        torch.testing.assert_close(drawn(model, x, y), model(x, y), atol=1e-12, rtol=0)


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(ValueError, match="the mask breaks causality: place 3 looks at place 4, which comes after it"):
        net(all_before(SIZE) | (torch.arange(24)[:, None] + 1 == torch.arange(24)) & (torch.arange(24) == 4))
    with pytest.raises(ValueError, match="leaves a place without itself"):
        net(all_before(SIZE).tril(-1))
    with pytest.raises(ValueError, match=r"expected a mask \(24, 24\) for 4 x 6 pixels, got \(9, 9\)"):
        net(all_before((3, 3)))
    with pytest.raises(ValueError, match=r"expected images \(B, 1, 4, 6\), got \(2, 1, 6, 4\)"):
        net(all_before(SIZE))(torch.rand(2, 1, 6, 4).double())
    with pytest.raises(ValueError, match="draws images of 4 x 6 pixels, not 6 x 4"):
        next(net(all_before(SIZE)).decode(1, (6, 4)))
