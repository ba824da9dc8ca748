"""Linear image classifier: one template a class.

    s = W x + b,    p(c|x) = softmax(s)_c,    L = -log p(y|x),    class = argmax_c s_c

x is the flattened image. Row W_c says how much each pixel speaks for class c; b carries how frequent the classes are.
B batch, D pixels times channels, K classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.foundations.losses import cross_entropy
from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct


@checked
class LinearClassifier(nn.Module):
    """Scores that are linear in the pixels, trained by maximum likelihood on (image, label) pairs; starts at W = 0, b = 0.

    Args:
        features: D.
        num_classes: K.
    """

    def __init__(self, features: int, num_classes: int):
        super().__init__()
        self.features, self.num_classes = features, num_classes
        self.weight = nn.Parameter(torch.zeros(num_classes, features))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def loss(self, batch) -> Float[Tensor, ""]:
        """Cross-entropy in nats an example. Raises ValueError for a label outside 0..K-1."""
        x, y = examples(batch)
        return cross_entropy(self.scores(x), y).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Accuracy (1 or 0) and negative log-likelihood in nats, an example."""
        x, y = examples(batch)
        scores = self.scores(x)
        return {"accuracy": correct(scores, y), "nll": cross_entropy(scores, y)}

    def scores(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """W x + b. Raises ValueError for images of another size."""
        x = x.flatten(1)                                                         # (B, D)
        if x.shape[1] != self.features:
            raise ValueError(f"expected images of {self.features} values, got {x.shape[1]}")
        return x @ self.weight.T + self.bias

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Class probabilities."""
        return self.scores(x).softmax(1)

    @torch.no_grad()
    def templates(self, *shape: int) -> Tensor:
        """The rows of W as images (K, *shape), grey where a pixel says nothing, white where it speaks for the class, black against it."""
        scale = 2 * self.weight.abs().amax().clamp(min=torch.finfo(self.weight.dtype).tiny)
        return (self.weight / scale + 0.5).view(-1, *shape)
