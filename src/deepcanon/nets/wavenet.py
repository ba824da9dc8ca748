"""WaveNet (van den Oord et al. 2016, arXiv 1609.03499): dilated causal convolutions over a sound.

    h_0 = W x delayed by one,      z_l = gate(A_l *_d h_{l-1} + V_l c),    h_l = h_{l-1} + R_l z_l,    output = W_2 relu(W_1 relu(sum_l S_l z_l))

gate(a_1, a_2) = tanh(a_1) sigmoid(a_2); *_d convolves a moment with the k - 1 moments d, 2d, ... before. With dilations 1, 2, 4, ... the sight,
1 + sum_l d_l (k - 1) moments, doubles with each layer. `decode` keeps every layer's inputs: a new moment costs one moment's work.
B n batch, C channels, F features, P outputs a moment, T moments, c = condition(y) of F numbers.
"""

from collections.abc import Generator
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.causal import BeforeConv2d, gate, head, pointwise
from deepcanon.layers.condition import apply_condition, per_layer


class WaveNet(nn.Module):
    """Sounds whose values are in [0, 1], companded levels as a rule, to P numbers a moment, from the moments before it.

    Args:
        channels: C.
        outputs: P.
        width: F.
        dilations: d of each layer.
        kernel: k.
        skip: features of the sum over layers.
        condition: y -> c (B, F), the condition of the model, beside the sound.
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 32, dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128), kernel: int = 2,
                 skip: int = 64, condition: nn.Module | None = None):
        super().__init__()
        self.channels, self.condition, self.receptive_field = channels, condition, 1 + sum(dilations) * (kernel - 1)
        self.enter = nn.Conv2d(channels, width, 1)
        *deep, last = dilations
        self.layers = nn.ModuleList(Layer(width, skip, kernel, dilation, condition) for dilation in deep)
        self.layers.append(Layer(width, skip, kernel, last, condition, last=True))
        self.head = head(skip, outputs, skip)

    def forward(self, x: Float[Tensor, "B C T"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B P T"]:
        if x.ndim != 3 or x.shape[1] != self.channels:
            raise ValueError(f"expected sounds (B, {self.channels}, T), got {tuple(x.shape)}")
        c, skips = apply_condition(self.condition, y), []
        h = self.enter(F.pad(2 * x - 1, (1, 0))[:, :, None, :-1])                # (B, F, 1, T)
        for layer in self.layers:
            h, skip = layer(h, c)
            skips.append(skip)
        return self.head(torch.stack(skips).sum(0))[:, :, 0]

    @torch.no_grad()
    def decode(self, n: int, size: tuple[int], y: Shaped[Tensor, "n *Y"] | None = None) -> Generator[Tensor, Tensor, None]:
        """Yields the output (n, P) at each moment; each must be answered with the values drawn there, (n, C)."""
        layers, c = cast(list[Layer], list(self.layers)), apply_condition(self.condition, y)
        answer, enter = pointwise(self.head), pointwise(self.enter)
        inputs = [layer.before.nothing(n) for layer in layers]
        parts = [(layer.bias(c), layer.before.matrix(), pointwise(layer.skip), layer.residual and pointwise(layer.residual)) for layer in layers]
        values = self.enter.weight.new_zeros(n, self.channels)
        for t in range(size[0]):
            h, total = enter(values), values.new_zeros(())
            for layer, row, (bias, matrix, skip, residual) in zip(layers, inputs, parts):
                row.append(h)
                z = gate(torch.addmm(bias, layer.before.window(row, t), matrix))
                total = total + skip(z)
                h = h if residual is None else h + residual(z)
            values = 2 * (yield answer(total)) - 1


class Layer(nn.Module):
    """A gated convolution, added to what it reads and to the sum over layers. A sound is an image of one row."""

    def __init__(self, width: int, skip: int, kernel: int, dilation: int, condition: nn.Module | None, *, last: bool = False):
        super().__init__()
        self.before = BeforeConv2d(width, 2 * width, 2 * kernel - 1, own=True, dilation=dilation)
        self.residual = None if last else nn.Conv2d(width, width, 1)
        self.skip = nn.Conv2d(width, skip, 1)
        self.tell = per_layer(condition, width, 2 * width)

    def forward(self, h: Float[Tensor, "B F 1 T"], c: Float[Tensor, "B F"] | None) -> tuple[Tensor, Tensor]:
        a = self.before(h)
        z = gate(a if self.tell is None else a + self.tell(c)[:, :, None, None])
        return h if self.residual is None else h + self.residual(z), self.skip(z)

    def bias(self, c: Float[Tensor, "n F"] | None) -> Tensor:
        """Of the convolution, with what the condition adds."""
        return self.before.bias if self.tell is None else self.before.bias + self.tell(c)
