"""Transposed convolution: the adjoint, stamp by stamp, its size, its averaging form, and bilinear interpolation."""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from deepcanon.layers.transposed_conv import TransposedConv2d, bilinear_upsampling

FORMS = [(2, 2, 0), (3, 1, 1), (3, 2, 1), (4, 2, 1), (5, 3, 2), (1, 1, 0), (2, 3, 0)]


def stamped(y, weight, stride, padding):
    """Every input writes its weighted kernel into a larger map, whose border is then cut off; and how often each was written."""
    (B, _, H, W), (_, D, k, _) = y.shape, weight.shape
    out = torch.zeros(B, D, (H - 1) * stride + k, (W - 1) * stride + k, dtype=y.dtype)
    times = torch.zeros(out.shape[2:], dtype=y.dtype)
    for i in range(H):
        for j in range(W):
            rows, columns = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            out[:, :, rows, columns] += torch.einsum("bc,cdkl->bdkl", y[:, :, i, j], weight)
            times[rows, columns] += 1
    keep = [slice(padding, side - padding) for side in out.shape[2:]]
    return out[:, :, keep[0], keep[1]], times[keep[0], keep[1]]


@pytest.mark.row("VIS-27")
@pytest.mark.parametrize(("kernel", "stride", "padding"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_adjoint_of_convolution(kernel, stride, padding, dtype):
    layer = TransposedConv2d(3, 4, kernel, stride, padding, bias=False).to(dtype)
    y = torch.randn(2, 3, 5, 6, dtype=dtype)
    x = torch.randn_like(layer(y))
    convolved = F.conv2d(x, layer.weight, stride=stride, padding=padding)            # (D -> C) with the same weights
    torch.testing.assert_close((convolved * y).sum(), (x * layer(y)).sum(), rtol=1e-5, atol=1e-4)
    assert layer(y).shape[2:] == tuple((side - 1) * stride - 2 * padding + kernel for side in (5, 6))


@pytest.mark.row("VIS-27")
@pytest.mark.parametrize(("kernel", "stride", "padding"), FORMS)
def test_overlaps_are_summed_and_averaged_on_request_only(kernel, stride, padding):
    y, layer = torch.randn(2, 3, 4, 5), TransposedConv2d(3, 2, kernel, stride, padding)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.5, -2.0]))
    sums, times = stamped(y, layer.weight, stride, padding)
    torch.testing.assert_close(layer(y), sums + layer.bias.view(-1, 1, 1))
    torch.testing.assert_close(layer(y), F.conv_transpose2d(y, layer.weight, layer.bias, stride, padding))
    layer.average = True
    torch.testing.assert_close(layer(y), sums / times.clamp(min=1) + layer.bias.view(-1, 1, 1))
    plain = TransposedConv2d(3, 2, kernel, stride, padding, bias=False, average=True)
    plain.weight = layer.weight
    torch.testing.assert_close(plain(y), sums / times.clamp(min=1))


@pytest.mark.row("VIS-27")
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_at_the_start_it_interpolates(factor):
    x = torch.randn(2, 3, 6, 7)
    ours = bilinear_upsampling(3, factor)(x)
    theirs = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours[..., factor:-factor, factor:-factor], theirs[..., factor:-factor, factor:-factor])
    assert bilinear_upsampling(3, factor).weight.requires_grad


def test_weights_start_so_that_the_size_of_values_stays():
    for kernel, stride in ((2, 2), (4, 2), (3, 1)):
        layer = TransposedConv2d(64, 64, kernel, stride)
        assert 0.8 < layer(torch.randn(4, 64, 16, 16))[..., 4:-4, 4:-4].std() < 1.25, (kernel, stride)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_types_of_16_bits(dtype):
    for average in (False, True):
        layer, y = TransposedConv2d(2, 3, 4, 2, 1, average=average), torch.randn(1, 2, 4, 4)
        ours = layer.to(dtype)(y.to(dtype))
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), layer.float()(y), atol=0.05, rtol=0.05)


def test_what_it_cannot_be_given(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"expected maps \(B, 3, H, W\), got \(1, 2, 4, 4\)"):
        TransposedConv2d(3, 2, 2)(torch.zeros(1, 2, 4, 4))
    with pytest.raises(ValueError, match=r"expected maps \(B, 3, H, W\), got \(3, 4, 4\)"):
        TransposedConv2d(3, 2, 2)(torch.zeros(3, 4, 4))
    for kernel, stride, padding in ((2, 0, 0), (2, 1, 2), (2, 1, -1)):
        with pytest.raises(ValueError, match="expected a stride of 1 or more and a padding below the kernel's side"):
            TransposedConv2d(3, 2, kernel, stride, padding)
