"""A classifier whose net has further heads on the way (Szegedy et al. 2015, arXiv 1409.4842).

    L = CE(y, last head) + weight * sum_h CE(y, head h)

The further heads bring a gradient to the early layers of a deep net; in use the last one alone answers.
B batch, C channels, H x W pixels, K classes.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct, cross_entropy
from deepcanon.layers.modes import evaluating


@checked(rows=False)
class DeeplySupervised(nn.Module):
    """A net with `all_logits(x)`, the logits of the last head first, trained on (image, label) pairs.

    Args:
        net: (B, C, H, W) -> (B, K), such as `GoogLeNet`.
        weight: of the further heads.
        label_smoothing: see `Classifier`.
    """

    def __init__(self, net: Any, *, weight: float = 0.3, label_smoothing: float = 0.0):
        super().__init__()
        if not weight >= 0:
            raise ValueError(f"expected a weight of the further heads of 0 or more, got {weight}")
        self.net, self.weight_of_heads, self.label_smoothing = net, weight, label_smoothing

    def loss(self, batch) -> dict[str, Float[Tensor, ""]]:
        """The sum, and the cross-entropy of the last head, in nats an example. Raises ValueError as
        `Classifier` does.
        """
        x, y = examples(batch)
        last, *further = (
            cross_entropy(logits, y, label_smoothing=self.label_smoothing)
            for logits in self.net.all_logits(x)
        )
        return {"loss": last + self.weight_of_heads * torch.stack(further).sum(), "last_head": last.detach()}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Accuracy and negative log-likelihood of the last head."""
        x, y = examples(batch)
        logits = self.net(x)
        return {"accuracy": correct(logits, y), "nll": cross_entropy(logits, y, reduction="none")}

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B K"]:
        """Class probabilities of the last head."""
        with evaluating(self):
            return self.net(x).softmax(1)
