"""Image classification by maximum likelihood, with smoothed labels (Szegedy et al. 2016, arXiv 1512.00567).

    L = -sum_k q_k log p_k(x),    p = softmax(net(x)),    q_k = (1 - eps) [k = y] + eps / K

eps = 0 is the cross-entropy, -log p_y(x). A deep net may have further heads h on the way, which bring a gradient
to its early layers and are used in training alone (Szegedy et al. 2015, arXiv 1409.4842):  L + w sum_h L_h.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct, cross_entropy
from deepcanon.layers.modes import evaluating
from deepcanon.vision.test_time import View, as_it_is, averaged


@checked(rows=False)
class Classifier(nn.Module):
    """Any net from images to logits, trained on (image, label) pairs.

    Args:
        net: (B, C, H, W) -> (B, K); with `auxiliary`, its `all_logits(x)` gives those of the last head, then of
            further ones.
        label_smoothing: eps, from 0 to below 1.
        auxiliary: w, weight of further heads on the way; 0 leaves them out.
        frozen: names of parts of the net that are not trained: no gradient, no dropout, normalisation by the
            statistics that they have.
        views: over which metrics and predictions average the probabilities; see `test_time`.

    Raises:
        ValueError: a label smoothing outside [0, 1), a weight below 0, or a part that the net does not have.
    """

    def __init__(self, net: nn.Module, *, label_smoothing: float = 0.0, auxiliary: float = 0.0,
                 frozen: Sequence[str] = (), views: Sequence[View] = (as_it_is,)):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"expected a label smoothing from 0 to below 1, got {label_smoothing}")
        if not auxiliary >= 0:
            raise ValueError(f"expected a weight of further heads of 0 or more, got {auxiliary}")
        self.net, self.label_smoothing, self.auxiliary = net, label_smoothing, auxiliary
        self.frozen, self.views = tuple(frozen), tuple(views)
        for name in self.frozen:
            part(net, name).requires_grad_(False)

    def loss(self, batch) -> Float[Tensor, ""]:
        """Cross-entropy in nats an example; with further heads, that of each times its weight is added.

        Raises:
            ValueError: a label outside 0..K-1, or logits or labels of another shape.
        """
        x, y = examples(batch)
        for resting in (part(self.net, name) for name in self.frozen):
            if isinstance(resting, nn.Module):
                resting.eval()
        net: Any = self.net
        last, *further = net.all_logits(x) if self.auxiliary else [net(x)]
        loss = cross_entropy(last, y, label_smoothing=self.label_smoothing)
        for logits in further:
            loss = loss + self.auxiliary * cross_entropy(logits, y, label_smoothing=self.label_smoothing)
        return loss

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Accuracy (1 or 0, nan where the logits are) and negative log-likelihood in nats, an example."""
        x, y = examples(batch)
        logits = averaged(self.net, x, self.views)
        nll = cross_entropy(logits, y, reduction="none")
        return {"accuracy": correct(logits, y), "nll": nll}

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *S"]) -> Float[Tensor, "B K"]:
        """Class probabilities."""
        with evaluating(self):
            return averaged(self.net, x, self.views).softmax(1)


def part(net: nn.Module, name: str) -> nn.Module | nn.Parameter:
    """The submodule or parameter of that dotted name. Raises ValueError where there is none."""
    found = (dict(net.named_parameters()) | dict(net.named_modules())).get(name)
    if found is None:
        has = ", ".join(dict(net.named_children()))
        raise ValueError(f"{type(net).__name__} has no part {name!r}; it has {has}")
    return found
