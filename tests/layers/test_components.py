"""Connected parts of masks, against scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from deepcanon.layers.components import connected_components, dilated


@pytest.mark.row("VIS-26")
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.62, 0.9])
def test_equal_to_scipy(diagonal, share):
    masks = torch.rand(5, 33, 41) < share
    ours = connected_components(masks, diagonal=diagonal)
    for one, mask in zip(ours, masks):
        expected, _ = ndimage.label(mask.numpy(), np.ones((3, 3)) if diagonal else None)
        np.testing.assert_array_equal(one.numpy(), expected)


@pytest.mark.row("VIS-26")
def test_a_snake_is_one_part():
    mask = torch.zeros(31, 31, dtype=torch.bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True                                            # boustrophedon
    assert connected_components(mask, diagonal=False).unique().tolist() == [0, 1]
    assert connected_components(mask).shape == (31, 31)


def test_empty_full_and_batches_of_several_axes():
    assert not connected_components(torch.zeros(2, 4, 4, dtype=torch.bool)).any()
    assert (connected_components(torch.ones(2, 3, 4, 4, dtype=torch.bool)) == 1).all()


def test_dilation_is_of_one_pixel():
    x = torch.zeros(1, 5, 5, dtype=torch.long)
    x[0, 2, 2] = 7
    assert (dilated(x) == 7).sum() == 9
    assert (dilated(x, diagonal=False) == 7).nonzero()[:, 1:].tolist() == [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]


def test_what_is_no_mask_is_refused():
    with pytest.raises(Exception, match=r"expected masks \(\.\.\., H, W\) of truths|Type-check error"):
        connected_components(torch.zeros(3, 3))
