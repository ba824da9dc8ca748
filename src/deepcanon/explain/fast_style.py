"""Style transfer by a feed-forward net (Johnson, Alahi & Fei-Fei 2016, arXiv 1603.08155).

    y = T(x),    L = alpha L_content(y, x) + beta L_style(y) + lam sum |y_i - y_{i+1}|^2 / size

T is trained on photographs for one style picture; a new photograph then takes one pass. The losses are
those of `style_losses`, in the layers of a frozen net.
B batch, C channels, H x W pixels.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.explain.inversion import roughness
from deepcanon.explain.style_losses import content_loss, gram, style_loss
from deepcanon.layers.checks import finite, of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import Float32Buffers


@checked
class FastStyle(Float32Buffers, nn.Module):
    """A net that gives pictures one style.

    Args:
        net: (B, C, H, W) -> (B, C, H, W), pictures in [0, 1].
        stages: of a frozen net, applied one after the other; the output of each gives a Gram matrix, and
            that of stage `content` the content loss.
        style: the style picture, (1, C, h, w) in [0, 1].
        content: index of a stage.
        content_weight, style_weight, smoothness: alpha, beta and lam.
    """

    def __init__(
        self,
        net: nn.Module,
        stages: Sequence[nn.Module],
        style: Float[Tensor, "S C h w"],
        *,
        content: int = 1,
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        smoothness: float = 0.1,
    ):
        super().__init__()
        if (
            style.ndim != 4
            or len(style) != 1
            or not style.is_floating_point()
            or style.min() < 0
            or style.max() > 1
        ):
            raise ValueError(
                f"expected one style picture (1, C, h, w) in [0, 1], got {style.dtype} {tuple(style.shape)}"
            )
        if not 0 <= content < len(stages):
            raise ValueError(f"expected content as a stage in 0..{len(stages) - 1}, got {content}")
        self.net, self.stages = net, nn.ModuleList(stages).eval().requires_grad_(False)
        self.content, self.content_weight = content, content_weight
        self.style_weight, self.smoothness = style_weight, smoothness
        with torch.no_grad(), evaluating(self.stages):
            for i, f in enumerate(self.features(style)):
                self.register_buffer(f"gram_{i}", gram(f))

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss, a mean over images, with its parts before they are weighted.

        Raises:
            ValueError: pictures that are not finite.
        """
        parts = {name: value.mean() for name, value in self.parts(finite(batch[0])).items()}
        weights = {"content": self.content_weight, "style": self.style_weight, "roughness": self.smoothness}
        return {
            "loss": sum((weights[k] * v for k, v in parts.items()), start=parts["style"].new_zeros(())),
            **parts,
        }

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Content loss, style loss, and that of the pictures as they were, an image."""
        x = finite(batch[0])
        plain = style_loss(self.features(x), self.grams())
        return {k: v for k, v in self.parts(x).items() if k != "roughness"} | {"style_before": plain}

    def parts(self, x: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B"]]:
        """The three losses of each image; content and roughness are means over positions and channels."""
        y = of_shape("the net's pictures", self.net(x), x.shape)
        before, after = self.features(x)[self.content].detach(), self.features(y)
        size = before[0].numel()
        return {
            "content": content_loss(after[self.content], before) / size,
            "style": style_loss(after, self.grams()),
            "roughness": roughness(y) / x[0].numel(),
        }

    def features(self, x: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """The output of every stage; the stages stay in evaluation mode."""
        found, f = [], x
        self.stages.eval()
        for stage in self.stages:
            f = stage(f)
            found.append(f)
        return found

    def grams(self) -> list[Tensor]:
        """The style, one Gram matrix a stage."""
        return [getattr(self, f"gram_{i}") for i in range(len(self.stages))]

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The pictures in the style, in [0, 1]."""
        with evaluating(self):
            return self.net(finite(x)).clamp(0, 1)
