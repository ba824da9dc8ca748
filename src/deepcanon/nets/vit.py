"""Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929): an image as a sequence of patches.

    x_0 = [class; W p_1; ...; W p_N] + position,          p_i the pixels of patch i, N = (H / P) (W / P)
    x_l = h + MLP(LN(h)),       h = x_{l-1} + Attention(LN(x_{l-1})),        MLP(y) = W_down GELU(W_up y)
    logits = W_K LN(x_L)[class]

W p is a convolution whose kernel and stride are the patch. Without positions the patches are a set: their
order would not matter. ViT-B/16 has 86,567,656 parameters at 224 pixels, where 196 patches and the class
make 197 tokens.
B batch, C channels, H x W pixels, P patch side, N patches, T = N + 1 tokens, E embedding, K classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.dot_product_attention import SelfAttention
from deepcanon.layers.linear_map import Linear


class ViT(nn.Module):
    """Patches, positions, a class token, transformer blocks; the class token is read out.

    Args:
        num_classes: K.
        image_size: H = W, a multiple of `patch`.
        patch: P.
        in_channels: C.
        embed_dim, num_layers, num_heads: E, L and the heads. The defaults are ViT-B's.
        mlp_dim: units of an MLP; None is 4 E.
        dropout: after the positions and after each part of a block.
        eps: of the normalisations.
        bias: give queries, keys and values a bias.
        standardize: first layer, from raw pixels to centred ones.

    Raises:
        ValueError: a patch that does not divide the image, or heads that do not divide E.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        image_size: int = 224,
        patch: int = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_dim: int | None = None,
        dropout: float = 0.0,
        eps: float = 1e-6,
        bias: bool = True,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        self.in_channels, self.image_size = in_channels, image_size
        side = patches_a_side(image_size, patch)
        self.standardize = standardize or nn.Identity()
        self.patches = nn.Conv2d(in_channels, embed_dim, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.positions = nn.Parameter(torch.zeros(1, side * side + 1, embed_dim))
        self.dropout = nn.Dropout(dropout)
        units = mlp_dim or 4 * embed_dim
        self.blocks = nn.Sequential(
            *(
                EncoderBlock(embed_dim, num_heads, units, dropout=dropout, eps=eps, bias=bias)
                for _ in range(num_layers)
            )
        )
        self.norm, self.head = nn.LayerNorm(embed_dim, eps=eps), Linear(embed_dim, num_classes)
        self.apply(glorot)
        for parameter in (self.class_token, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E"]:
        """The class token behind the last block."""
        return self.tokens(x)[:, 0]

    def tokens(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T E"]:
        """The class token and those of the patches, row by row, behind the last block."""
        return self.norm(self.blocks(self.dropout(self.embed(x) + self.positions)))

    def embed(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T E"]:
        """The class token and the patches, without positions."""
        x = self.standardize(image_batch(x, self.in_channels, (self.image_size, self.image_size)))
        patches = self.patches(x).flatten(2).transpose(1, 2)  # (B, N, E)
        return torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches], 1)


class EncoderBlock(nn.Module):
    """Attention among all tokens, then the MLP, each on the normalised stream and added to it."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        units: int,
        *,
        dropout: float = 0.0,
        eps: float = 1e-6,
        bias: bool = True,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=eps)
        self.attention = SelfAttention(embed_dim, num_heads)
        if not bias:
            self.attention.qkv = Linear(embed_dim, 3 * embed_dim, bias=False)
        self.norm2 = nn.LayerNorm(embed_dim, eps=eps)
        self.mlp = nn.Sequential(
            Linear(embed_dim, units), nn.GELU(), nn.Dropout(dropout), Linear(units, embed_dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.mlp(self.norm2(x)))


def glorot(layer: nn.Module) -> None:
    """Linear maps start with uniform weights of variance 2 / (fan-in + fan-out), patches with normal ones
    of 1 / fan-in, no bias.
    """
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
    elif isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    if isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


def patches_a_side(image_size: int, patch: int) -> int:
    """H / P. Raises ValueError where the patch does not divide the image."""
    if patch < 1 or image_size < 1 or image_size % patch:
        raise ValueError(
            f"expected an image whose side is a multiple of the patch, got {image_size} and {patch}"
        )
    return image_size // patch


def fitting_patch(image_size: int, patches: int) -> int:
    """The smallest patch, of 2 pixels or more, that divides the image into at most so many a side.

    Raises:
        ValueError: fewer than two patches a side, with a size that has more.
    """
    divisors = (p for p in range(min(2, image_size), image_size + 1) if image_size % p == 0)
    patch = next(p for p in divisors if image_size // p <= max(1, patches))
    if image_size // patch < 2:
        raise ValueError(f"images of {image_size} pixels cannot be cut into 2 to {patches} patches a side; "
                         f"pass size={max(1, image_size // 4) * 4}")
    return patch


def resized_positions(positions: Float[Tensor, "1 T E"], side: int) -> Float[Tensor, "1 S E"]:
    """Learned positions of a square grid, at the places of a grid of `side` x `side`: bicubic; that of the
    class as it is.

    Raises:
        ValueError: positions of no square grid and one class, or a side below 1.
    """
    before = round((positions.shape[1] - 1) ** 0.5)
    if before < 1 or before**2 + 1 != positions.shape[1] or side < 1:
        raise ValueError(
            "expected positions of a class and a square grid and a side of 1 or more, "
            f"got {tuple(positions.shape)} and {side}"
        )
    grid = positions[:, 1:].unflatten(1, (before, before)).permute(0, 3, 1, 2)  # (1, E, before, before)
    grid = F.interpolate(grid, (side, side), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def resize_vit(net: ViT, image_size: int) -> ViT:
    """The net itself, made to read images of another side; its positions are interpolated. Raises
    ValueError where the patch does not divide it.
    """
    side = patches_a_side(image_size, net.patches.kernel_size[0])
    with torch.no_grad():
        net.positions = nn.Parameter(resized_positions(net.positions, side))
    net.image_size = image_size
    return net
