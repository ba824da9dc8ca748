"""Regression by least squares.

    L = mean_i ((net(x_i) - (y_i - m) / s)^2),    prediction = s net(x) + m,    m, s the mean and deviation of the training values

With normal noise of one variance this is maximum likelihood (Gauss 1809). Errors are measured in the units of y.
B batch, D inputs.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import Float32Buffers, widened


@checked
class Regressor(Float32Buffers, nn.Module):
    """Any net from rows to one number, trained on (row, value) pairs.

    Args:
        net: (B, D) -> (B, 1).
        mean, std: m and s, in the units of y; s above 0.

    Raises:
        ValueError: s that is not above 0; later, values that are not one a row.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, *, mean: float = 0.0, std: float = 1.0):
        super().__init__()
        if not std > 0:
            raise ValueError(f"expected a deviation above 0, got {std}")
        self.net = net
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def loss(self, batch) -> Float[Tensor, ""]:
        """Squared error of the standardised values."""
        x, y = examples(batch)
        return (self.standard(x, y) - (widened(y) - self.mean) / self.std).square().mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Squared and absolute error of each prediction, in the units of y (and their square)."""
        x, y = examples(batch)
        error = self.standard(x, y) * self.std + self.mean - widened(y)
        return {"mse": error.square(), "mae": error.abs()}

    def standard(self, x: Float[Tensor, "B *D"], y: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """net(x), one number a row, in float32 or float64."""
        out = widened(self.net(x)).squeeze(-1)
        if out.shape != y.shape:
            raise ValueError(f"expected one value a row, {tuple(out.shape)}, got values of shape {tuple(y.shape)}")
        return out

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """Values in the units of y."""
        with evaluating(self):
            return widened(self.net(x)).squeeze(-1) * self.std + self.mean
