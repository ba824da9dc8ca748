"""What layers are given: other channels, other types."""

import pytest
import torch

from deepcanon.layers import norm


@pytest.mark.parametrize("layer", [norm.BatchNorm(6), norm.LayerNorm(6), norm.GroupNorm(1, 6), norm.Standardize([0.5] * 6)])
def test_other_channels_are_refused_and_not_broadcast(layer):
    x = torch.randn(4, 1, 6, 1) if not isinstance(layer, norm.LayerNorm) else torch.randn(4, 1)
    with pytest.raises(ValueError, match="expected 6 channels along axis 1, got shape"):
        layer(x)


def test_float64_keeps_its_digits_or_is_refused():
    x = 1e6 + 1e-3 * torch.randn(50, 2, dtype=torch.float64)
    y = norm.standardize([(x,)])(x)
    assert y.mean(0).abs().max() < 1e-5
    assert norm.standardize([(torch.rand(9, 2),)]).mean.dtype == torch.float32
    assert norm.standardize([(torch.rand(9, 2),)])(torch.rand(9, 2)).dtype == torch.float32
    with pytest.raises(ValueError, match=r"as the running averages are, got torch.float64"):
        norm.BatchNorm(2)(x)
    assert norm.BatchNorm(2).double()(x).dtype == torch.float64
