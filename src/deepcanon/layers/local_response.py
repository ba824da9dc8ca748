"""Local response normalisation (Krizhevsky, Sutskever & Hinton 2012).

    y_c = x_c / (k + alpha / n sum_{|j - c| <= n / 2} x_j^2)^beta

The sum is over n neighbouring channels of the same place, fewer at both ends. alpha is torch's and Caffe's,
over the mean of the n squares; over their sum, as the paper writes it, it is alpha / n. Batch normalisation
has taken its place. In 16 bits it is computed in float32, where the squares of large activations have room.
B batch, C channels.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.precision import narrowed, widened


class LocalResponseNorm(nn.Module):
    """Divides each channel by a power of the energy of its neighbours.

    Args:
        size: n, channels in a neighbourhood, odd or even; an even one has one channel more below than above.
        alpha, beta, k: as in the formula; AlexNet's are 1e-4, 0.75 and 2 with n = 5.

    Raises:
        ValueError: a size below 1, a k that is not above 0, an alpha below 0.
    """

    def __init__(self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0):
        super().__init__()
        if size < 1 or not k > 0 or not alpha >= 0:
            raise ValueError(f"expected size >= 1, alpha >= 0 and k > 0, got {size}, {alpha} and {k}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        a, C = widened(x), x.shape[1]
        places = [0, 0] * (a.ndim - 2)
        squares = F.pad(
            a.square(), [*places, self.size // 2, (self.size - 1) // 2]
        )  # (B, C + n - 1, *places)
        energy = sum(squares.narrow(1, j, C) for j in range(self.size)) / self.size
        return narrowed(a / (self.k + self.alpha * energy) ** self.beta, like=x)
