"""Swin Transformer (Liu et al. 2021, arXiv 2103.14030): attention in windows, shifted from block to block.

    x_l = h + MLP(LN(h)),      h = x_{l-1} + back(WindowAttention(shift(LN(x_{l-1}))))
    WindowAttention = softmax(Q K' / sqrt(D) + bias[offset of the two places]) V,    in windows of M x M

Every second block shifts the map by M / 2 places, around the border, so that what was in two windows meets
in one; what comes together around the border is masked. A window costs the same however large the image: the
cost is linear in their number. Between stages four neighbours become one place of twice the width. Swin-T
has 28,288,354 parameters.
B batch, C channels, H x W places, M window side, E embedding, K classes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.dot_product_attention import check_heads, merge, split
from deepcanon.layers.linear_map import Linear
from deepcanon.nets.vit import glorot, patches_a_side

Maps = Float[Tensor, "B H W E"]


class Swin(nn.Module):
    """Small patches, stages of blocks with windows, merging between, the mean over all places, one linear
    layer.

    Args:
        num_classes: K.
        image_size: H = W, a multiple of `patch`.
        patch: side of a patch.
        in_channels: C.
        embed_dim: E of the first stage; it doubles from stage to stage.
        depths, num_heads: blocks and heads of each stage. The defaults are Swin-T's.
        window: M; a stage with fewer places a side has one window, and no shift.
        mlp_ratio: units of an MLP, in E.
        eps: of the normalisations in the blocks and of the last one.
        bias: give queries, keys and values a bias.
        standardize: first layer, from raw pixels to centred ones.

    Raises:
        ValueError: a patch that does not divide the image, or heads that do not divide a stage's width.
    """

    def __init__(self, num_classes: int = 1000, *, image_size: int = 224, patch: int = 4, in_channels: int = 3,
                 embed_dim: int = 96, depths: Sequence[int] = (2, 2, 6, 2),
                 num_heads: Sequence[int] = (3, 6, 12, 24), window: int = 7, mlp_ratio: float = 4.0,
                 eps: float = 1e-5, bias: bool = True, standardize: nn.Module | None = None):
        super().__init__()
        self.in_channels, self.image_size = in_channels, image_size
        side, width = patches_a_side(image_size, patch), embed_dim
        self.standardize = standardize or nn.Identity()
        self.patches = nn.Conv2d(in_channels, embed_dim, patch, patch)
        self.embed_norm = nn.LayerNorm(embed_dim)
        stages = []
        for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            layers: list[nn.Module] = []
            if i > 0:
                layers.append(PatchMerging(width))
                side, width = (side + 1) // 2, 2 * width
            for j in range(depth):
                shift = window // 2 if j % 2 and side > window else 0
                layers.append(
                    SwinBlock(
                        width, heads, min(window, side), shift, int(mlp_ratio * width), eps=eps, bias=bias
                    )
                )
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.norm, self.head = nn.LayerNorm(width, eps=eps), Linear(width, num_classes)
        self.apply(glorot)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last places, averaged."""
        x = self.standardize(image_batch(x, self.in_channels, (self.image_size, self.image_size)))
        x = self.embed_norm(self.patches(x).permute(0, 2, 3, 1))  # (B, H / P, W / P, E)
        return self.norm(self.stages(x)).mean((1, 2))


class SwinBlock(nn.Module):
    """Attention within windows, then the MLP, each on the normalised stream and added to it.

    Args:
        embed_dim, num_heads: E and the heads.
        window: M.
        shift: places by which the map is shifted before it is cut into windows; 0 for none.
        units: of the MLP.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        window: int,
        shift: int,
        units: int,
        *,
        eps: float = 1e-5,
        bias: bool = True,
    ):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(embed_dim, eps=eps)
        self.attention = WindowAttention(embed_dim, num_heads, window, bias=bias)
        self.norm2 = nn.LayerNorm(embed_dim, eps=eps)
        self.mlp = nn.Sequential(Linear(embed_dim, units), nn.GELU(), Linear(units, embed_dim))

    def forward(self, x: Maps) -> Maps:
        x = x + self.within_windows(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def within_windows(self, x: Maps) -> Maps:
        """Attention of each place to those of its window; sides that the windows do not fill are padded by
        zeros.
        """
        H, W = x.shape[1:3]
        x = F.pad(x, [0, 0, 0, -W % self.window, 0, -H % self.window])
        size = (x.shape[1], x.shape[2])
        mask = shift_mask(size, self.window, self.shift).to(x.device) if self.shift else None
        y = self.attention(into_windows(shifted(x, self.shift), self.window), mask)
        return shifted(from_windows(y, size), -self.shift)[:, :H, :W]


class WindowAttention(nn.Module):
    """Multi-head attention in windows, with a learned bias for every offset of two places."""

    offsets: Tensor

    def __init__(self, embed_dim: int, num_heads: int, window: int, *, bias: bool = True):
        super().__init__()
        check_heads(embed_dim, num_heads)
        self.num_heads = num_heads
        self.qkv, self.out = Linear(embed_dim, 3 * embed_dim, bias=bias), Linear(embed_dim, embed_dim)
        self.bias = nn.Parameter(
            nn.init.trunc_normal_(torch.empty((2 * window - 1) ** 2, num_heads), std=0.02)
        )
        self.register_buffer("offsets", relative_offsets(window), persistent=False)

    def forward(
        self, x: Float[Tensor, "B N L E"], mask: Bool[Tensor, "N L L"] | None = None
    ) -> Float[Tensor, "B N L E"]:
        weights, v = self.weights(x, mask)
        return self.out(merge((weights @ v).flatten(0, 1))).view_as(x)

    def weights(
        self, x: Float[Tensor, "B N L E"], mask: Bool[Tensor, "N L L"] | None = None
    ) -> tuple[Float[Tensor, "B N heads L L"], Float[Tensor, "B N heads L D"]]:
        """How much each place of a window takes from every other (True in the mask: may look), and the
        values.
        """
        q, k, v = (
            split(t.flatten(0, 1), self.num_heads).unflatten(0, x.shape[:2]) for t in self.qkv(x).chunk(3, -1)
        )
        scores = q @ k.mT * q.shape[-1] ** -0.5 + self.bias[self.offsets].permute(
            2, 0, 1
        )  # (B, N, heads, L, L)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], float("-inf"))
        return scores.softmax(-1), v


class PatchMerging(nn.Module):
    """2 x 2 neighbours side by side, normalised, to twice the width; an odd side is padded by zeros."""

    def __init__(self, embed_dim: int):
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * embed_dim), Linear(4 * embed_dim, 2 * embed_dim, bias=False)

    def forward(self, x: Maps) -> Float[Tensor, "B H2 W2 E2"]:
        x = F.pad(x, [0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2])
        four = [x[:, i::2, j::2] for j in range(2) for i in range(2)]  # down the columns first
        return self.reduce(self.norm(torch.cat(four, -1)))


def shifted(x: Maps, shift: int) -> Maps:
    """Every place moved up and left by `shift`, around the border; shifted(shifted(x, s), -s) = x."""
    return x.roll((-shift, -shift), (1, 2)) if shift else x


def into_windows(x: Maps, window: int) -> Float[Tensor, "B N L E"]:
    """The L = M x M places of each of the N windows, row by row. Raises ValueError where windows do not
    fill the map.
    """
    if x.shape[1] % window or x.shape[2] % window:
        raise ValueError(
            f"windows of {window} x {window} do not fill a map of {x.shape[1]} x {x.shape[2]} places"
        )
    return x.unflatten(2, (-1, window)).unflatten(1, (-1, window)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def from_windows(x: Float[Tensor, "B N L E"], size: tuple[int, int]) -> Maps:
    """The inverse of `into_windows`, for a map of H x W places."""
    window = round(x.shape[2] ** 0.5)
    rows = x.unflatten(2, (window, window)).unflatten(1, (size[0] // window, size[1] // window))
    return rows.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def shift_mask(size: tuple[int, int], window: int, shift: int) -> Bool[Tensor, "N L L"]:
    """Which places of a shifted map's windows were neighbours before the shift: only these may look at each
    other.
    """
    side = [torch.bucketize(torch.arange(n), torch.tensor([n - window, n - shift]), right=True) for n in size]
    region = 3 * side[0][:, None] + side[1]  # (H, W), nine regions
    places = into_windows(region[None, :, :, None].float(), window)[0, ..., 0]  # (N, L)
    return places[:, :, None] == places[:, None, :]


def relative_offsets(window: int) -> Int[Tensor, "L L"]:
    """The row of the table of biases for each pair of places: (dy + M - 1) (2 M - 1) + dx + M - 1."""
    i = torch.arange(window * window)
    y, x = i // window, i % window
    return (y[:, None] - y + window - 1) * (2 * window - 1) + x[:, None] - x + window - 1
