"""Attention that reads a sequence in pieces equals attention that reads it at once."""

import pytest
import torch

from deepcanon.layers.cache import empty_cache
from deepcanon.layers.dot_product_attention import SelfAttention


@pytest.mark.row("SEQ-39")
@pytest.mark.parametrize("pieces", [[9], [1] * 9, [4, 1, 1, 3], [1, 8]])
def test_pieces_equal_the_whole(pieces):
    torch.manual_seed(0)
    layer, x = SelfAttention(16, 4, causal=True), torch.randn(2, 9, 16)
    cache, outputs = layer.empty_cache(2, 12), []
    with torch.no_grad():
        for piece in x.split(pieces, 1):
            y, cache = layer.extend(piece, cache)
            outputs.append(y)
    assert cache.length == 9
    torch.testing.assert_close(torch.cat(outputs, 1), layer(x), atol=1e-6, rtol=1e-5)


def test_reading_gives_what_was_written_without_copies():
    cache = empty_cache(2, 3, 8, 4, like=torch.zeros(1, dtype=torch.float64))
    first, second = torch.randn(2, 2, 3, 5, 4).double(), torch.randn(2, 2, 3, 2, 4).double()
    cache = cache.append(first).append(second)
    keys, values = cache.read()
    torch.testing.assert_close(torch.stack([keys, values]), torch.cat([first, second], 3))
    assert keys.data_ptr() == cache.buffer.data_ptr()
    assert (cache.length, cache.capacity) == (7, 8)


def test_a_full_cache_says_so():
    cache = empty_cache(1, 1, 4, 2, like=torch.zeros(1)).append(torch.zeros(2, 1, 1, 3, 2))
    with pytest.raises(ValueError, match="holds 4 positions, 3 are taken: 2 more"):
        cache.append(torch.zeros(2, 1, 1, 2, 2))
