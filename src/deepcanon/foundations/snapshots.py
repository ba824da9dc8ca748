"""Snapshots of one run, as an ensemble or as one averaged net.

    p(y|x) = 1/M sum_j p(y|x; theta_{t_j})                    snapshot ensemble    Huang et al. 2017, arXiv 1704.00109
    theta  = 1/M sum_j theta_{t_j}                            weight averaging     Polyak & Juditsky 1992; Izmailov et al. 2018, arXiv 1803.05407

theta_t are the weights after t updates. Stages of one run lie in one valley of the loss, where the mean of weights is a good net too; nets from
different starts do not, and their mean is no net at all. In a linear model the two averages of logits are the same.
M members, B examples, K classes.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.foundations.ensembles import mean_probabilities, scores
from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct, cross_entropy


@torch.no_grad()
def average_weights(nets: Sequence[nn.Module]) -> nn.Module:
    """A net whose weights and buffers are the arithmetic mean of those of the nets; whole numbers, such as counters, are the last net's.

    Raises:
        ValueError: no net, or nets of different forms.
    """
    if not nets:
        raise ValueError("expected one net or more to average, got none")
    states = [net.state_dict() for net in nets]
    if len({tuple((name, value.shape) for name, value in state.items()) for state in states}) > 1:
        raise ValueError("weights of nets of different forms have no average")
    mean = copy.deepcopy(nets[-1])
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name] for state in states]).mean(0))
    return mean


@checked
class Snapshots(nn.Module):
    """A net in training that keeps copies of itself.

    Args:
        net: (B, ...) -> (B, K).
        every: updates between two copies; with a rate that falls to zero and starts again, the length of a cycle.
        num_members: M, the latest copies are kept.
    """

    def __init__(self, net: nn.Module, *, every: int, num_members: int = 5):
        super().__init__()
        if every < 1 or num_members < 1:
            raise ValueError(f"expected a snapshot every update or more, and one or more of them, got every={every}, num_members={num_members}")
        self.net, self.every = net, every
        self.kept = nn.ModuleList(copy.deepcopy(net).requires_grad_(False) for _ in range(num_members))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def losses(self, batch):
        x, y = examples(batch)
        yield "net", cross_entropy(self.net(x), y)
        self.updates += 1                                                        # runs after the optimizer step
        if self.updates % self.every == 0:
            self.kept[(self.made() - 1) % len(self.kept)].load_state_dict(self.net.state_dict())

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Scores of the ensemble; accuracy and negative log-likelihood of the net as it is now and of the averaged one."""
        x, y = examples(batch)
        measured = scores(self.logits(x), y)
        for name, net in {"last": self.net, "averaged": self.averaged()}.items():
            logits = net(x)
            nll = cross_entropy(logits, y, reduction="none")
            measured |= {f"{name}_accuracy": correct(logits, y), f"{name}_nll": nll}
        return measured | {"averaged_gain": measured["averaged_accuracy"] - measured["last_accuracy"]}

    def members(self) -> list[nn.Module]:
        """The copies made so far; before the first one, the net itself."""
        return list(self.kept)[: self.made()] or [self.net]

    def made(self) -> int:
        """How many copies have been made, those included that a later one has replaced."""
        return int(self.updates) // self.every

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "M B K"]:
        """Of every member."""
        return torch.stack([member(x) for member in self.members()])

    def averaged(self) -> nn.Module:
        """The one net whose weights are the mean of the members'."""
        return average_weights(self.members())

    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Mean class probabilities."""
        return mean_probabilities(self, x)
