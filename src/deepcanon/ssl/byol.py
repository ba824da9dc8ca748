"""Bootstrap your own latent (Grill et al. 2020, arXiv 2006.07733).

    L = |q(z_a) - z'_b|^2 + |q(z_b) - z'_a|^2,    unit vectors, so that |u - v|^2 = 2 - 2 cos(u, v)
    z = g(f(x)),    z' = sg(g'(f'(x))),    (f', g') <- m (f', g') + (1 - m) (f, g) after each update

a and b are two augmentations of one image: the student (encoder f, projector g, predictor q) foretells the teacher's view of the other.
No negatives; what keeps all z from becoming equal is the predictor together with a teacher that no gradient reaches.
B batch, X shape of an image, F features, Z projection.
"""

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape, rows
from deepcanon.layers.contract import checked
from deepcanon.layers.ema import ema_
from deepcanon.layers.modes import evaluating


@checked
class BYOL(nn.Module):
    """An encoder that learns from pairs of views.

    Args:
        encoder: f, (B, *X) -> (B, F); what is kept afterwards.
        projector: g, (B, F) -> (B, Z).
        predictor: q, (B, Z) -> (B, Z).
        decay: m, of the teacher.
    """

    def __init__(self, encoder: nn.Module, *, projector: nn.Module, predictor: nn.Module, decay: float = 0.99):
        super().__init__()
        self.student, self.predictor, self.decay = nn.Sequential(encoder, projector), predictor, decay
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """The student's loss, in [0, 8]; then the teacher follows. batch[0] is two views of each image, (B, 2, *X)."""
        a, b = pair(batch[0])
        yield "", self.distance(a, b) + self.distance(b, a)
        ema_(self.teacher, self.student, self.decay)                             # runs after the optimizer step

    def distance(self, a: Float[Tensor, "B *X"], b: Float[Tensor, "B *X"]) -> Float[Tensor, ""]:
        """2 - 2 cos between the student's prediction from a and the teacher's projection of b, in [0, 4]."""
        with torch.no_grad():
            target = rows("projections", self.teacher(b), len(b))
        prediction = of_shape("predictions", self.predictor(self.student(a)), target.shape)
        return 2 - 2 * F.cosine_similarity(prediction, target).mean()

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *X"]) -> Float[Tensor, "B F"]:
        """The encoder's features, in evaluation mode."""
        with evaluating(self):
            return self.student[0](x)


def pair(views: Float[Tensor, "B V *X"]) -> tuple[Tensor, Tensor]:
    """The first and the second view."""
    if views.ndim < 3 or views.shape[1] != 2:
        raise ValueError(f"expected two views of each image, (B, 2, C, H, W), got {tuple(views.shape)}; see augment.views")
    return views[:, 0], views[:, 1]
