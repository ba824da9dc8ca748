"""Principal component analysis (Pearson 1901; Hotelling 1933), by the singular value decomposition (Eckart & Young 1936).

    X - mean = U S V',    components = first K rows of V',    variances = S^2 / (N - 1)
    z = (x - mean) V_K,    x_hat = mean + z V_K',    sum_i ||x_i - x_hat_i||^2 / (N - 1) = sum_{k > K} variances_k

No linear code of K numbers, hence no linear autoencoder, reconstructs the data better.
N examples, D features, K components.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.checks import channels, finite


@dataclass(frozen=True)
class PCA:
    """A mean and K orthonormal directions, widest first.

    Args:
        mean: of the data.
        components: one direction a row; the sign of each is such that its largest entry is positive.
        variances: of the data along each direction.
        residual: variance of the data, summed over the directions left out.
    """

    mean: Float[Tensor, "D"]
    components: Float[Tensor, "K D"]
    variances: Float[Tensor, "K"]
    residual: Float[Tensor, ""]

    @classmethod
    def fit(cls, x: Float[Tensor, "N D"], components: int) -> "PCA":
        """From data.

        Raises:
            ValueError: not a matrix of two rows or more, or more components than it has.
        """
        if x.ndim != 2 or len(x) < 2 or not 1 <= components <= min(x.shape):
            raise ValueError(f"expected data (N, D) with N > 1 and 1 to min(N, D) components, got {tuple(x.shape)} and {components}")
        mean = finite(x).mean(0)
        _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
        largest = vt.gather(1, vt.abs().argmax(1, keepdim=True))
        variances = s.square() / (len(x) - 1)
        return cls(mean, (vt * largest.sign())[:components], variances[:components], variances[components:].sum())

    def encode(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N K"]:
        """z, whose coordinates are uncorrelated over the data."""
        return (channels(x, len(self.mean), x.ndim - 1) - self.mean) @ self.components.T

    def decode(self, z: Float[Tensor, "*N K"]) -> Float[Tensor, "*N D"]:
        """x_hat."""
        return self.mean + z @ self.components

    def reconstruct(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """The nearest point of the plane through the mean."""
        return self.decode(self.encode(x))
