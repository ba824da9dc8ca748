"""Transposed convolution (Zeiler et al. 2010): the adjoint of a convolution, <conv(x), y> = <x, conv_T(y)>.

    out[s i - p + k] += w[k] y_i            every input writes its weighted kernel, and what overlaps is SUMMED
    H_out = (H_in - 1) s - 2 p + F          F the kernel's side, s its stride, p the padding

Started as bilinear interpolation (Long et al. 2015, arXiv 1411.4038, section 3.3), it enlarges maps before it has
learned anything:  w[k] = 1 - |k - c| / s along each axis,  c = (F - 1) / 2,  F = 2 s - s mod 2.
B batch, C and D channels in and out, H x W pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class TransposedConv2d(nn.Module):
    """A convolution turned round: maps (B, C, H, W) to larger ones (B, D, (H - 1) stride - 2 padding + kernel, ...).

    Args:
        in_channels, out_channels: C and D.
        kernel: F.
        stride, padding: s and p, of the convolution whose adjoint this is.
        bias: add a number a channel.
        average: divide each output by how many inputs wrote to it. This is not the adjoint any more.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, *,
                 bias: bool = True, average: bool = False):
        super().__init__()
        if not 0 <= padding < kernel or stride < 1:
            raise ValueError("expected a stride of 1 or more and a padding below the kernel's side, "
                             f"got kernel {kernel}, stride {stride}, padding {padding}")
        self.kernel, self.stride, self.padding, self.average = kernel, stride, padding, average
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="linear")
        with torch.no_grad():
            self.weight.mul_(stride)                                             # an output meets F^2 / s^2 weights a channel

    def forward(self, y: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D M N"]:
        if y.ndim != 4 or y.shape[1] != len(self.weight):
            raise ValueError(f"expected maps (B, {len(self.weight)}, H, W), got {tuple(y.shape)}")
        how = self.stride, self.padding
        x = F.conv_transpose2d(y, self.weight, None if self.average else self.bias, *how)
        if not self.average:
            return x
        one = y.new_ones(1, 1, *y.shape[2:])
        written = F.conv_transpose2d(one, one.new_ones(1, 1, self.kernel, self.kernel), None, *how)
        x = x / written.clamp(min=1)
        return x if self.bias is None else x + self.bias.view(-1, 1, 1)


def bilinear_upsampling(channels: int, factor: int) -> TransposedConv2d:
    """Maps enlarged `factor` times, each channel by itself: at the start by bilinear interpolation, then as it learns."""
    kernel = 2 * factor - factor % 2
    layer = TransposedConv2d(channels, channels, kernel, factor, (kernel - factor + 1) // 2, bias=False)
    line = 1 - (torch.arange(kernel) - (kernel - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(channels), range(channels)] = torch.outer(line, line)
    return layer
