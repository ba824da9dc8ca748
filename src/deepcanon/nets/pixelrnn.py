"""PixelRNN (van den Oord et al. 2016, arXiv 1601.06759): LSTMs over the pixels before.

    o, f, i, g = K_is * x + K_ss * h',    c = sigmoid(f) c' + sigmoid(i) tanh(g),    h = sigmoid(o) tanh(c)

    Row LSTM          h', c' of the row above: K_ss reads its three nearest pixels, so the sight is a triangle
    Diagonal BiLSTM   h', c' of the diagonal before, from the left (or the right) corner: K_ss reads the pixel before in the row and the one above,
                      so the sight of both directions together is all that came before

A skewed image, row r shifted by r, has its diagonals as columns. The second direction is shifted down a row, or it would see the pixels to come. The
image gets a column of zeros on its right: there the features first see a row's last pixel, which the start of the next row would miss otherwise.
A pass takes H (rows) or H + W - 1 (diagonals) steps in sequence. `decode` keeps states: a new pixel costs one cell of each layer and direction.
B n batch, C channels, F features, P outputs a pixel, H x W pixels, c = condition(y) of F numbers.
"""

import itertools
from collections.abc import Callable, Generator
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.causal import BeforeConv2d, MaskedConv2d, centred, head, mask_a, pointwise
from deepcanon.layers.condition import apply_condition, per_layer
from deepcanon.layers.linear_map import Linear

Steps = Generator[Any, Tensor, None]


class RowLSTM(nn.Module):
    """Features (B, F, H, W) to states, a row after the other."""

    def __init__(self, width: int):
        super().__init__()
        self.input = BeforeConv2d(width, 4 * width, 3, own=True)
        self.state = nn.Conv1d(width, 4 * width, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "B F H W"]) -> Float[Tensor, "B F H W"]:
        h = c = torch.zeros_like(x[:, :, 0])
        rows = []
        for gates in self.input(x).unbind(2):                                    # (B, 4F, W)
            h, c = cell(gates + self.state(h), c)
            rows.append(h)
        return torch.stack(rows, 2)

    def decode(self, n: int, size: tuple[int, int]) -> Steps:
        """Is sent the features (n, F) of each pixel in raster order and yields its state."""
        weight, h = self.input.matrix(), None
        above = self.state.weight.new_zeros(n, self.state.in_channels, size[1] + 2)                      # h of the row before, zeros at both ends
        c = [above[:, :, 0]] * size[1]
        for _ in range(size[0]):
            inputs, row = self.input.nothing(n), torch.zeros_like(above)
            for j in range(size[1]):
                inputs.append((yield h))
                gates = torch.addmm(self.input.bias, self.input.window(inputs, j), weight)
                h, c[j] = cell(gates + F.conv1d(above[:, :, j : j + 3], self.state.weight)[..., 0], c[j])
                row[:, :, j + 1] = h
            above = row
        yield h


class DiagonalBiLSTM(nn.Module):
    """Features (B, F, H, W) to the sum of two states, a diagonal after the other from both upper corners."""

    def __init__(self, width: int):
        super().__init__()
        self.left, self.right = DiagonalLSTM(width), DiagonalLSTM(width)

    def forward(self, x: Float[Tensor, "B F H W"]) -> Float[Tensor, "B F H W"]:
        right = self.right(x.flip(3)).flip(3)
        return self.left(x) + F.pad(right, (0, 0, 1, 0))[:, :, :-1]

    def decode(self, n: int, size: tuple[int, int]) -> Steps:
        """Is sent the features (n, F) of each pixel in raster order and yields its state."""
        zero = self.left.state.weight.new_zeros(n, self.left.input.in_channels)
        left, right, answer = [zero] * size[1], [zero] * size[1], None           # states of the row above
        for _ in range(size[0]):
            h, c, row = zero, zero, []
            for j in range(size[1]):
                row.append((yield answer))
                h, c = self.left.step(row[j], left[j], h, c)
                left[j], answer = h, h + right[j]
            h = c = zero
            for j in reversed(range(size[1])):
                h, c = self.right.step(row[j], right[j], h, c)
                right[j] = h
        yield answer


class DiagonalLSTM(nn.Module):
    """From the upper left corner."""

    def __init__(self, width: int):
        super().__init__()
        self.input = nn.Conv2d(width, 4 * width, 1)
        self.state = Linear(2 * width, 4 * width, bias=False)                    # of the pixel above and the pixel before

    def forward(self, x: Float[Tensor, "B F H W"]) -> Float[Tensor, "B F H W"]:
        h = c = torch.zeros_like(x[..., 0]).mT.contiguous()                      # (B, H, F), a diagonal
        diagonals = []
        for gates in skew(self.input(x)).permute(3, 0, 2, 1).contiguous().unbind():
            h, c = cell(gates + self.state(torch.cat([F.pad(h, (0, 0, 1, 0))[:, :-1], h], 2)), c, dim=2)
            diagonals.append(h)
        return unskew(torch.stack(diagonals, 2).permute(0, 3, 1, 2))

    def step(self, x: Float[Tensor, "n F"], above: Float[Tensor, "n F"], h: Float[Tensor, "n F"], c: Float[Tensor, "n F"]) -> tuple[Tensor, Tensor]:
        """One pixel, after the states of the pixel above and of the one before."""
        return cell(pointwise(self.input)(x) + self.state(torch.cat([above, h], 1)), c)


class PixelRNN(nn.Module):
    """Images in [0, 1] to P numbers a pixel, from the pixels before it that the recurrence sees.

    Args:
        channels: C.
        outputs: P.
        recurrence: F -> a layer, `DiagonalBiLSTM` or `RowLSTM`.
        width: F.
        num_layers: of them, each added to what it reads.
        condition: y -> c (B, F), the condition of the model, beside the pixels.
    """

    def __init__(self, channels: int, outputs: int, recurrence: Callable[[int], nn.Module] = DiagonalBiLSTM, *, width: int = 64, num_layers: int = 2,
                 condition: nn.Module | None = None):
        super().__init__()
        self.channels, self.condition = channels, condition
        self.first, self.tell = MaskedConv2d(channels, width, mask_a(7)), per_layer(condition, width, width)
        self.recurrent = nn.ModuleList(recurrence(width) for _ in range(num_layers))
        self.merge = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(num_layers))
        self.head = head(width, outputs, width)

    def forward(self, x: Float[Tensor, "B C H W"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B P H W"]:
        h, c = self.first(F.pad(centred(x, self.channels), (0, 1))), apply_condition(self.condition, y)                     # (B, F, H, W + 1)
        if self.tell is not None:
            h = h + self.tell(c)[:, :, None, None]
        for recurrent, merge in zip(self.recurrent, self.merge):
            h = h + merge(recurrent(h))
        return self.head(h[..., :-1])

    @torch.no_grad()
    def decode(self, n: int, size: tuple[int, int], y: Shaped[Tensor, "n *Y"] | None = None) -> Steps:
        """Yields the output (n, P) at each pixel in raster order; each must be answered with the pixel drawn there, (n, C)."""
        (H, W), c = size, apply_condition(self.condition, y)
        seen, weight = self.first.room(n, H, W + 1), self.first.matrix()
        bias = self.first.bias if self.tell is None else self.first.bias + self.tell(c)
        layers: list[Steps] = [cast(RowLSTM | DiagonalBiLSTM, layer).decode(n, (H, W + 1)) for layer in self.recurrent]
        merges, answer = [pointwise(merge) for merge in self.merge], pointwise(self.head)
        for layer in layers:
            next(layer)
        p, q = self.first.margin()
        for r, j in itertools.product(range(H), range(W + 1)):
            h = torch.addmm(bias, self.first.window(seen, r, j), weight)
            for layer, merge in zip(layers, merges):
                h = h + merge(layer.send(h))
            if j < W:
                seen[:, r + p, j + q] = 2 * (yield answer(h)) - 1


def cell(gates: Tensor, c: Tensor, dim: int = 1) -> tuple[Tensor, Tensor]:
    """h and c from o, f, i, g side by side along a dimension, and the c before."""
    o, f, i, g = gates.chunk(4, dim)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def skew(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H V"]:
    """Row r moved r to the right, V = H + W - 1: columns are diagonals."""
    H, W = x.shape[2:]
    return F.pad(x, (0, H)).flatten(2)[..., : H * (H + W - 1)].unflatten(2, (H, -1))


def unskew(x: Float[Tensor, "B C H V"]) -> Float[Tensor, "B C H W"]:
    """The inverse of `skew`."""
    H, V = x.shape[2:]
    return F.pad(x.flatten(2), (0, H)).unflatten(2, (H, V + 1))[..., : V - H + 1]
