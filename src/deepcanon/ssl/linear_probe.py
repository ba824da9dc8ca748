"""Linear probe: how well a linear classifier reads the labels from frozen features (Alain & Bengio 2017, arXiv 1610.01644).

    min_{W, b}  -1/N sum_n log softmax(W h_n + b)_{y_n} + lam/2 |W|^2,    h = (f(x) - mean) / std

Multinomial logistic regression: convex, so that the result is of the features and not of the optimiser. The encoder f is only ever called.
N examples, X shape of an input, F features, K classes.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.labels import correct

Encode = Callable[[Tensor], Tensor]


class LinearProbe:
    """Multinomial logistic regression on standardised features, by L-BFGS from zero.

    Args:
        penalty: lam.
        iterations: of L-BFGS at most; it ends earlier where the gradient vanishes.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, *, penalty: float = 1e-4, iterations: int = 100):
        self.penalty, self.iterations = penalty, iterations

    def fit(self, h: Float[Tensor, "N F"], y: Int[Tensor, "M"]) -> "LinearProbe":
        """Learn from features and their labels. Raises ValueError where there is nothing to tell apart."""
        if len(h) != len(y) or len(y) == 0 or y.min() == y.max():
            raise ValueError(f"expected as many features as labels, of two classes or more, got {len(h)} and {len(y)}")
        self.mean, self.std = h.mean(0), h.std(0)
        self.std = torch.where(self.std > 0, self.std, 1.0)
        h = (h - self.mean) / self.std
        self.weight, self.bias = h.new_zeros(int(y.max()) + 1, h.shape[1], requires_grad=True), h.new_zeros(int(y.max()) + 1, requires_grad=True)
        optimizer = torch.optim.LBFGS([self.weight, self.bias], max_iter=self.iterations, line_search_fn="strong_wolfe")

        def objective() -> Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(F.linear(h, self.weight, self.bias), y) + self.penalty / 2 * self.weight.square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(objective)
        self.weight, self.bias = self.weight.detach(), self.bias.detach()
        return self

    def predict(self, h: Float[Tensor, "N F"]) -> Float[Tensor, "N K"]:
        """Class probabilities."""
        return F.linear((h - self.mean) / self.std, self.weight, self.bias).softmax(1)

    def accuracy(self, h: Float[Tensor, "N F"], y: Int[Tensor, "N"]) -> Float[Tensor, ""]:
        """The share of right labels."""
        return correct(self.predict(h), y).mean()


def probe(encode: Encode, train: Iterable[tuple[Tensor, Tensor]], test: Iterable[tuple[Tensor, Tensor]], **options) -> Float[Tensor, ""]:
    """Test accuracy of a `LinearProbe` on the features of two sets of batches (x, y)."""
    return LinearProbe(**options).fit(*encoded(encode, train)).accuracy(*encoded(encode, test))


@torch.no_grad()
def encoded(encode: Encode, data: Iterable[tuple[Tensor, Tensor]]) -> tuple[Float[Tensor, "N F"], Int[Tensor, "N"]]:
    """The features and labels of all batches, on one device."""
    features, labels = zip(*((encode(x).flatten(1), y) for x, y in data))
    return torch.cat(features), torch.cat(labels)
