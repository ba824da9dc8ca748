"""Ensembles: several predictors asked at once (Hansen & Salamon 1990, "Neural network ensembles"; Lakshminarayanan et al. 2017, arXiv 1612.01474).

    average     p(y|x) = 1/M sum_j p_j(y|x)
    vote        p(y|x) = 1/M #{j : y = argmax_k p_j(k|x)}

-log is convex, so by Jensen  -log p(y|x) <= 1/M sum_j -log p_j(y|x)  for every single example: an average is never worse than its mean member.
M uncorrelated predictors of variance s^2 average to s^2 / M. The members are

    Ensemble              nets from M random starts, on the same batches or each on its own
    SharedTrunk           M heads on one trunk                        Lee et al. 2015, arXiv 1511.06314
    MonteCarloDropout     M dropout masks of one net                  Gal & Ghahramani 2016, arXiv 1506.02142

and, in `snapshots.py`, the stages of one run. B examples, K classes.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.dropout import Dropout
from deepcanon.layers.labels import correct, cross_entropy
from deepcanon.layers.modes import evaluating
from deepcanon.nets.members import OneByOne, StackedMLPs

DROPOUT = (Dropout, nn.modules.dropout._DropoutNd)


def average(logits: Float[Tensor, "M B K"]) -> Float[Tensor, "B K"]:
    """log of the mean probability."""
    return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))


def vote(logits: Float[Tensor, "M B K"]) -> Float[Tensor, "B K"]:
    """Each class's share of the members' votes; nan where a member's logits are."""
    votes = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return torch.where(logits.isnan().any(-1, keepdim=True), torch.nan, votes).mean(0)


def members_loss(logits: Float[Tensor, "M B K"], y: Int[Tensor, "*M B"]) -> Float[Tensor, ""]:
    """sum_j of the cross-entropy of member j; y is the same for all, (B,), or each member's own, (M, B).

    A sum, so that the gradient of a member is what it would be alone.
    """
    if y.shape not in (logits.shape[:2], logits.shape[1:2]):
        raise ValueError(f"expected labels of shape {tuple(logits.shape[1:2])} or {tuple(logits.shape[:2])}, got {tuple(y.shape)}")
    each = cross_entropy(logits.flatten(0, 1), y.expand(logits.shape[:2]).flatten())
    return len(logits) * each


def scores(logits: Float[Tensor, "M B K"], y: Int[Tensor, "B"]) -> dict[str, Float[Tensor, "B"]]:
    """Accuracy and negative log-likelihood (nats), an example: of the average, of the vote, of the mean member, and what averaging gains."""
    log_p = average(logits)
    member_nll = cross_entropy(logits.flatten(0, 1), y.expand(logits.shape[:2]).flatten(), reduction="none").view(logits.shape[:2]).mean(0)
    accuracy, member_accuracy = correct(log_p, y), correct(logits, y).mean(0)
    nll = -log_p.gather(1, y[:, None]).squeeze(1)
    return {"accuracy": accuracy, "nll": nll, "vote_accuracy": correct(vote(logits), y),
            "member_accuracy": member_accuracy, "member_nll": member_nll,
            "accuracy_gain": accuracy - member_accuracy, "nll_gain": member_nll - nll}


@torch.no_grad()
def mean_probabilities(ensemble, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
    """p(y|x) in evaluation mode, by the `logits` (M, B, K) of an ensemble, which stays in the mode that it is in."""
    with evaluating(ensemble):
        return average(ensemble.logits(x)).exp()


@checked
class Ensemble(nn.Module):
    """Nets trained together, none of which sees another.

    Args:
        members: (M, B, ...) -> (M, B, K).
    """

    def __init__(self, members: OneByOne | StackedMLPs):
        super().__init__()
        self.members = members

    def loss(self, batch) -> Float[Tensor, ""]:
        """On one batch for all, x (B, ...) and y (B,), or one a member, (M, B, ...) and (M, B)."""
        x, y = examples(batch)
        return members_loss(self.logits(x) if y.ndim == 1 else self.members(x), y)

    def weight(self, batch) -> int:
        """Examples a member."""
        return batch[1].shape[-1]

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        x, y = examples(batch)
        return scores(self.logits(x), y)

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "M B K"]:
        """Of every member, for the same examples."""
        return self.members(x.expand(self.members.num_members, *x.shape))

    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Mean class probabilities."""
        return mean_probabilities(self, x)


@checked
class SharedTrunk(nn.Module):
    """One trunk, many heads: most of an ensemble for little more than one net.

    Args:
        trunk: (B, ...) -> (B, F).
        heads: M nets (B, F) -> (B, K).
    """

    def __init__(self, trunk: nn.Module, heads: Sequence[nn.Module]):
        super().__init__()
        if not heads:
            raise ValueError("a shared trunk needs one head or more, got none")
        self.trunk, self.heads = trunk, nn.ModuleList(heads)

    def loss(self, batch) -> Float[Tensor, ""]:
        """Sum over the heads: a head's gradient is its own, the trunk's is that of all."""
        x, y = examples(batch)
        return members_loss(self.logits(x), y)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        x, y = examples(batch)
        return scores(self.logits(x), y)

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "M B K"]:
        """Of every head."""
        features = self.trunk(x)
        return torch.stack([head(features) for head in self.heads])

    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Mean class probabilities."""
        return mean_probabilities(self, x)


@checked
class MonteCarloDropout(nn.Module):
    """One net with dropout, which stays on when it predicts: the mean over masks.

    Args:
        net: (B, ...) -> (B, K), with dropout layers.
        num_samples: M.
    """

    def __init__(self, net: nn.Module, num_samples: int = 20):
        super().__init__()
        if num_samples < 1:
            raise ValueError(f"expected one sample or more, got {num_samples}")
        if not any(isinstance(layer, DROPOUT) for layer in net.modules()):
            raise ValueError(f"{type(net).__name__} has no dropout: all its samples would be the same")
        self.net, self.num_samples = net, num_samples

    def loss(self, batch) -> Float[Tensor, ""]:
        x, y = examples(batch)
        return cross_entropy(self.net(x), y)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        x, y = examples(batch)
        return scores(self.logits(x), y)

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "M B K"]:
        """Under M masks."""
        with self.dropping():
            return torch.stack([self.net(x) for _ in range(self.num_samples)])

    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Mean class probabilities."""
        return mean_probabilities(self, x)

    @contextlib.contextmanager
    def dropping(self) -> Iterator[None]:
        """Dropout is on inside; all other layers stay in the mode they are in."""
        before = {layer: layer.training for layer in self.net.modules() if isinstance(layer, DROPOUT)}
        for layer in before:
            layer.training = True
        try:
            yield
        finally:
            for layer, mode in before.items():
                layer.training = mode
