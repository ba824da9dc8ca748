"""Hopfield network (Hopfield 1982, "Neural networks and physical systems with emergent collective computational abilities"; Hebb 1949).

    E(y) = -sum_{i<j} w_ij y_i y_j = -y' W y / 2,      y in {+1, -1}^N,   W symmetric, w_ii = 0
    recall      y_i <- sign(sum_j w_ij y_j),  one unit after the other:  E never rises, and the state ends at a minimum
    Hebb        W = 1/N sum_{y in P} y y'
    contrast    L = 1/|P| sum_{y in P, y' not in P} E(y) - E(y'),      y' two to four sweeps of recall from y

Hebb's rule keeps about 0.138 N random patterns (Amit, Gutfreund & Sompolinsky 1985). The contrast lowers E at each pattern that is not yet kept and
raises it where recall leads instead; it is 0 when all are kept, and keeps more of them, correlated ones too. Its gradient is a difference of
outer products.
P patterns, B states, N units.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.joint import batch_rows


def energy(weight: Float[Tensor, "N N"], y: Float[Tensor, "B N"]) -> Float[Tensor, "B"]:
    """E of each state."""
    return -(y @ weight * y).sum(1) / 2


def hebb(patterns: Float[Tensor, "P N"]) -> Float[Tensor, "N N"]:
    """The weights that Hebb's rule gives to patterns of +1 and -1."""
    weight = patterns.T @ patterns / patterns.shape[1]
    return weight - weight.diagonal().diag()


@torch.no_grad()
def recall(weight: Float[Tensor, "N N"], y: Float[Tensor, "B N"], sweeps: int = 20) -> Float[Tensor, "B N"]:
    """The states after `sweeps` rounds through all units in random order, or at the minimum if they get there sooner.

    A unit on which the others exert no force keeps its sign.

    Raises:
        ValueError: weights under which the energy may rise, states that are none.
    """
    y = states(y, len(couplings(weight))).T.clone()                              # (N, B)
    for _ in range(sweeps):
        before = y.clone()
        for i in torch.randperm(len(y)).tolist():
            force = weight[i] @ y                                                # (B,)
            y[i] = torch.where(force == 0, y[i], force.sign())
        if torch.equal(y, before):
            break
    return y.T


def couplings(weight: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """W.

    Raises:
        ValueError: not a symmetric matrix without diagonal.
    """
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1] or not torch.allclose(weight, weight.T) or weight.diagonal().any():
        raise ValueError(f"expected a symmetric matrix with a zero diagonal, got another of {tuple(weight.shape)}")
    return weight


def states(y: Float[Tensor, "B N"], units: int) -> Float[Tensor, "B N"]:
    """y.

    Raises:
        ValueError: another number of units, a value that is neither +1 nor -1.
    """
    if y.ndim != 2 or y.shape[1] != units or not (y.abs() == 1).all():
        raise ValueError(f"expected states (B, {units}) of +1 and -1, got {tuple(y.shape)} with values from {y.min():g} to {y.max():g}")
    return y


@checked
class Hopfield(nn.Module):
    """A memory of patterns of +1 and -1, by Hebb's rule (`fit`), then by the contrast (`loss`).

    Args:
        units: N.
        sweeps: of recall, from each pattern to its y'.
    """

    def __init__(self, units: int, *, sweeps: int = 2):
        super().__init__()
        self.sweeps, self.units = sweeps, units
        self.coupling = nn.Parameter(torch.zeros(units, units))

    @torch.no_grad()
    def fit(self, patterns: Float[Tensor, "P N"]) -> "Hopfield":
        """Store the patterns by Hebb's rule."""
        self.coupling.copy_(hebb(self.check(patterns)))
        return self

    @property
    def weight(self) -> Float[Tensor, "N N"]:
        """W: the symmetric part of the parameter, without its diagonal."""
        symmetric = (self.coupling + self.coupling.T) / 2
        return symmetric - symmetric.diagonal().diag()

    def loss(self, batch) -> Float[Tensor, ""]:
        """The contrast; the batch holds all of P."""
        y, weight = self.check(batch[0]), self.weight
        near = recall(weight, y, self.sweeps)
        patterns, _ = batch_rows(y)
        lost = (near @ patterns.T).amax(1) < self.units                          # y' is no pattern
        return (energy(weight, y[lost]) - energy(weight, near[lost])).sum() / len(y)

    def metrics(self, batch) -> dict[str, Float[Tensor, "P"]]:
        """Whether a pattern is kept: recall leaves every unit of it as it is."""
        y = self.check(batch[0])
        return {"kept": (recall(self.weight, y, 1) == y).all(1).float()}

    def reconstruct(self, y: Float[Tensor, "B N"], sweeps: int = 20) -> Float[Tensor, "B N"]:
        """The minima that recall reaches from damaged patterns."""
        return recall(self.weight, self.check(y), sweeps)

    def check(self, y: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """The states, refused if they are none."""
        return states(y, self.units)
