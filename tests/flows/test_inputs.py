"""What flows are given."""

import pytest
import torch

from deepcanon.flows.actnorm import ActNorm


def test_one_value_a_channel_sets_no_scales():
    layer = ActNorm(3)
    with pytest.raises(ValueError, match=r"expected two values a channel or more, got \(1, 3\)"):
        layer(torch.randn(1, 3))
    assert layer(torch.randn(1, 3, 2, 2))[0].isfinite().all()
