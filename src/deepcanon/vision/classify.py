"""Image classification by maximum likelihood, with smoothed labels (Szegedy et al. 2016, arXiv 1512.00567).

    L = -sum_k q_k log p_k(x),    p = softmax(net(x)),    q_k = (1 - eps) [k = y] + eps / K

eps = 0 is the cross-entropy, -log p_y(x).
B batch, C channels, H x W pixels, K classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct, cross_entropy
from deepcanon.layers.modes import evaluating


@checked(rows=False)
class Classifier(nn.Module):
    """Any net from images to logits, trained on (image, label) pairs.

    Args:
        net: (B, C, H, W) -> (B, K).
        label_smoothing: eps.
    """

    def __init__(self, net: nn.Module, *, label_smoothing: float = 0.0):
        super().__init__()
        self.net, self.label_smoothing = net, label_smoothing

    def loss(self, batch) -> Float[Tensor, ""]:
        """Cross-entropy in nats an example. Raises ValueError for a label outside 0..K-1, or logits or labels of another shape."""
        x, y = examples(batch)
        return cross_entropy(self.net(x), y, label_smoothing=self.label_smoothing)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Accuracy (1 or 0, nan where the logits are) and negative log-likelihood in nats, an example."""
        x, y = examples(batch)
        logits = self.net(x)
        nll = cross_entropy(logits, y, reduction="none")
        return {"accuracy": correct(logits, y), "nll": nll}

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B K"]:
        """Class probabilities."""
        with evaluating(self):
            return self.net(x).softmax(1)
