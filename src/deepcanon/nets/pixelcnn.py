"""PixelCNN (van den Oord et al. 2016, arXiv 1601.06759) and its gated form with two stacks (van den Oord et al. 2016, arXiv 1606.05328).

    plain     h_0 = A * x,                     h_l = h_{l-1} + W_o relu(B * relu(W_i h_{l-1}))              l = 1 .. L
    gated     a   = N * v_{l-1} + V c,         v_l = gate(a)                                                rows above
              b   = M * h_{l-1} + U a + V' c,  h_l = h_{l-1} + W gate(b)                                    rows above, and the own row before
    both      output = W_2 relu(W_1 relu(h_L))

gate(a_1, a_2) = tanh(a_1) sigmoid(a_2); A, B masked convolutions of these types; N, M the two that need no mask (`layers.causal`); W, U, V 1x1; c the
condition. v_0 = h_0 = x, and h_1 has no x to be added to. The plain stack has a blind spot: what lies above and far to the right of a pixel never
reaches it. The output at a pixel depends on the pixels before it, so all are computed at once in training. `decode` draws: it keeps every layer's
activations, and a new pixel costs one pixel's work. The rows above, which do not change within a row, are done a row at a time.
B n batch, C channels, F features, P outputs a pixel, H x W pixels, c = condition(y) of F numbers.
"""

import itertools
from collections.abc import Generator
from typing import cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.causal import AboveConv2d, BeforeConv2d, MaskedConv2d, centred, gate, head, images, mask_a, mask_b, pointwise
from deepcanon.layers.condition import apply_condition, per_layer
from deepcanon.layers.levels import PixelEmbedding

Steps = Generator[Float[Tensor, "n P"], Float[Tensor, "n C"], None]


class PixelCNN(nn.Module):
    """Images in [0, 1] to P numbers a pixel, from the pixels before it that the stack can see.

    Args:
        channels: C.
        outputs: P.
        width: F; the masked convolutions of the blocks have half as many.
        num_layers: L.
        kernel: of the blocks; the first layer has 7 x 7.
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 128, num_layers: int = 15, kernel: int = 3):
        super().__init__()
        self.channels = channels
        self.first = MaskedConv2d(channels, width, mask_a(7))
        self.blocks = nn.ModuleList(Block(width, kernel) for _ in range(num_layers))
        self.head = head(width, outputs, width)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B P H W"]:
        h = self.first(centred(x, self.channels))
        for block in self.blocks:
            h = block(h)
        return self.head(h)

    @torch.no_grad()
    def decode(self, n: int, size: tuple[int, int]) -> Steps:
        """Yields the output (n, P) at each pixel of H x W in raster order; each must be answered with the pixel drawn there, (n, C)."""
        blocks, answer = cast(list[Block], list(self.blocks)), pointwise(self.head)
        masked = [self.first, *(block.masked for block in blocks)]
        matrices, seen = [conv.matrix() for conv in masked], [conv.room(n, *size) for conv in masked]
        around = [(pointwise(block.enter), pointwise(block.leave)) for block in blocks]

        def look(layer: int, r: int, j: int) -> Float[Tensor, "n D"]:
            return torch.addmm(masked[layer].bias, masked[layer].window(seen[layer], r, j), matrices[layer])

        def keep(layer: int, r: int, j: int, value: Float[Tensor, "n C"]) -> None:
            p, q = masked[layer].margin()
            seen[layer][:, r + p, j + q] = value

        for r, j in itertools.product(*map(range, size)):
            h = look(0, r, j)
            for layer, (enter, leave) in enumerate(around, 1):
                keep(layer, r, j, enter(h))
                h = h + leave(look(layer, r, j))
            keep(0, r, j, 2 * (yield answer(h)) - 1)


class Block(nn.Module):
    """relu, 1x1, relu, masked convolution of type B, relu, 1x1, and the input added."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.enter = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width // 2, 1), nn.ReLU())
        self.masked = MaskedConv2d(width // 2, width // 2, mask_b(kernel))
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv2d(width // 2, width, 1))

    def forward(self, h: Float[Tensor, "B F H W"]) -> Float[Tensor, "B F H W"]:
        return h + self.leave(self.masked(self.enter(h)))


class GatedPixelCNN(nn.Module):
    """Images in [0, 1] to P numbers a pixel, from all pixels before it within reach.

    Args:
        channels: C.
        outputs: P.
        width: F.
        dilations: of the layers after the first, which reads the pixels at distance 1.
        first, kernel: side of the first layer's kernel, and of the others'.
        hidden: features between the last layer and the output, 2 F when not given.
        levels: K of a pixel, to read each level by a learned vector of F / 2 numbers beside its value (`layers.levels`).
        condition: y -> c (B, F), the condition of the model, beside the pixels: `nn.Embedding(classes, F)`, or an encoder of an observation.
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 64, dilations: tuple[int, ...] = (1,) * 6, first: int = 7, kernel: int = 3,
                 hidden: int | None = None, levels: int | None = None, condition: nn.Module | None = None):
        super().__init__()
        self.channels, self.condition = channels, condition
        self.read = PixelEmbedding(channels, levels, width // 2)
        self.layers = nn.ModuleList([GatedLayer(self.read.size, width, first, own=False, condition=condition)])
        self.layers.extend(GatedLayer(width, width, kernel, dilation=dilation, condition=condition) for dilation in dilations)
        self.head = head(width, outputs, hidden or 2 * width)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B P H W"]:
        v = h = self.read(images(x, self.channels))
        c = apply_condition(self.condition, y)
        for layer in self.layers:
            v, h = layer(v, h, c)
        return self.head(h)

    @torch.inference_mode()
    def decode(self, n: int, size: tuple[int, int], y: Shaped[Tensor, "n *Y"] | None = None) -> Steps:
        """Yields the output (n, P) at each pixel of H x W in raster order; each must be answered with the pixel drawn there, (n, C)."""
        layers, c, answer = self.gated(), apply_condition(self.condition, y), pointwise(self.head)
        matrices = [(layer.before.matrix().contiguous(), layer.out.weight[:, :, 0, 0].T.contiguous()) for layer in layers]
        rows, nothing = [layer.above.room(n, *size) for layer in layers], matrices[0][1].new_zeros(n, len(matrices[0][1]))
        for r in range(size[0]):
            heard, before = self.hear(rows, r, c), [layer.before.nothing(n) for layer in layers]
            for j in range(size[1]):
                h = nothing
                for layer, inputs, from_above, (into, out) in zip(layers, before, heard, matrices):
                    if layer.own:
                        inputs.append(h)
                    g = gate(torch.addmm(from_above[j], layer.before.window(inputs, j), into))                   # (n, F)
                    h = torch.addmm(h, g, out)
                before[0].append(self.read((yield answer(h))))
                rows[0][:, :, layers[0].above.reach + r, layers[0].above.reach + j] = before[0][-1]

    def hear(self, rows: list[Tensor], r: int, c: Float[Tensor, "n F"] | None) -> list[tuple[Float[Tensor, "n F2"], ...]]:
        """Of each layer, what the pixels of row r get from the rows above, U a; the layers' inputs in `rows` are completed by row r."""
        heard, v = [], None
        for layer, inputs in zip(self.gated(), rows):
            reach = layer.above.reach
            if v is not None:
                inputs[:, :, reach + r, reach : inputs.shape[3] - reach] = v[:, :, 0]
            a = layer.telling(layer.above.slide(inputs[:, :, r : r + layer.above.span]), c)                      # (n, 2F, 1, W)
            v = gate(a)
            heard.append((layer.down(a) + layer.before.bias[:, None, None])[:, :, 0].permute(2, 0, 1).contiguous().unbind())
        return heard

    def gated(self) -> list["GatedLayer"]:
        """The layers, from the pixels on."""
        return cast(list[GatedLayer], list(self.layers))


class GatedLayer(nn.Module):
    """One step of both stacks."""

    def __init__(self, in_channels: int, width: int, kernel: int, *, own: bool = True, dilation: int = 1, condition: nn.Module | None = None):
        super().__init__()
        self.own = own
        self.above = AboveConv2d(in_channels, 2 * width, kernel, own=own, dilation=dilation)
        self.before = BeforeConv2d(in_channels, 2 * width, kernel, own=own, dilation=dilation)
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1, bias=False)
        self.tell = per_layer(condition, width, 2 * width)

    def forward(self, v: Float[Tensor, "B C H W"], h: Float[Tensor, "B C H W"], c: Float[Tensor, "B F"] | None) -> tuple[Tensor, Tensor]:
        a = self.telling(self.above(v), c)
        step = self.out(gate(self.before(h) + self.down(a)))
        return gate(a), step + h if self.own else step

    def telling(self, a: Float[Tensor, "B F2 H W"], c: Float[Tensor, "B F"] | None) -> Float[Tensor, "B F2 H W"]:
        """a + V c."""
        return a if self.tell is None else a + self.tell(c)[:, :, None, None]
