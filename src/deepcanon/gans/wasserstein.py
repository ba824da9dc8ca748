"""The Wasserstein-1 distance, exactly (Kantorovich 1942; Villani 2009, "Optimal transport: old and new", chapters 5 and 6).

    primal:  W(p, q) = min_gamma sum_ij gamma_ij c_ij        over couplings gamma >= 0 with marginals p and q
    dual:    W(p, q) = max_f     sum_i f_i (p_i - q_i)       over f_i - f_j <= c_ij, that is, f of slope one at most
    line:    W(p, q) = int |F_p - F_q| dx                    F the distribution functions

Unlike the Jensen-Shannon divergence, which is log 2 for any two distributions that do not overlap, it says how far apart they are.
N points on which both distributions live, c_ij the distance of points i and j.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

EPS = 1e-12


class Transport(NamedTuple):
    """The cheapest coupling (N, N), the potential (N,) that attains the dual, and the distance."""

    coupling: Tensor
    potential: Tensor
    distance: Tensor


def transport(p: Float[Tensor, "N"], q: Float[Tensor, "N"], cost: Float[Tensor, "N N"]) -> Transport:
    """Both problems by the simplex method (Dantzig 1951) with Bland's rule, in float64; for some tens of points.

    Raises:
        ValueError: p and q are not two distributions on the same N points.
    """
    n = len(p)
    if cost.shape != (n, n) or q.shape != p.shape or min(p.min(), q.min()) < 0 or (p.sum() - 1).abs() > 1e-6 or (q.sum() - 1).abs() > 1e-6:
        raise ValueError(f"expected two distributions on N points and costs (N, N), got {tuple(p.shape)}, {tuple(q.shape)}, {tuple(cost.shape)}")
    p, q, c = p.double() / p.sum(), q.double() / q.sum(), cost.double().flatten()
    eye = torch.eye(n, dtype=torch.float64)
    marginals = torch.cat([eye.repeat_interleave(n, 1), eye.repeat(1, n)])[:-1]  # (2N - 1, N^2), the last one follows from the others
    basis = staircase(p, q)
    while True:
        columns = marginals[:, basis]
        flow = torch.linalg.solve(columns, torch.cat([p, q])[:-1])               # gamma on the basis
        prices = torch.linalg.solve(columns.T, c[basis])
        saving = (c - prices @ marginals < -EPS).nonzero()
        if not len(saving):
            break
        change = torch.linalg.solve(columns, marginals[:, saving[0, 0]])
        limit = torch.where(change > EPS, flow / change, torch.inf)
        leaving = (limit <= limit.min() + EPS).nonzero()[:, 0]
        basis[leaving[basis[leaving].argmin()]] = saving[0, 0]
    coupling = torch.zeros_like(c).scatter(0, basis, flow).view(n, n)
    q_prices = torch.cat([prices[n:], prices.new_zeros(1)])
    potential = (cost - q_prices).min(1).values                                  # the steepest f of slope one below the prices
    return Transport(coupling, potential, (coupling * cost).sum())


def staircase(p: Float[Tensor, "N"], q: Float[Tensor, "N"]) -> Tensor:
    """A first coupling, as the 2 N - 1 cells (i, j) -> i N + j of a path from the first corner to the last."""
    n, i, j = len(p), 0, 0
    cells, ahead = [0], (p.cumsum(0), q.cumsum(0))
    while (i, j) != (n - 1, n - 1):
        down = j == n - 1 or (i < n - 1 and ahead[0][i] <= ahead[1][j])
        i, j = (i + 1, j) if down else (i, j + 1)
        cells.append(i * n + j)
    return torch.tensor(cells)


def on_the_line(x: Float[Tensor, "N"], y: Float[Tensor, "M"]) -> Float[Tensor, ""]:
    """The distance of two samples of numbers."""
    points, order = torch.cat([x, y]).sort()
    step = torch.cat([torch.full_like(x, 1 / len(x)), torch.full_like(y, -1 / len(y))])[order]
    return (step.cumsum(0)[:-1].abs() * points.diff()).sum()                     # |F_x - F_y| between each two points


def jensen_shannon(p: Float[Tensor, "N"], q: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """The mean divergence, in nats, of two distributions from their mean."""
    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


def entropy(p: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """- sum p log p, in nats."""
    return -torch.xlogy(p, p).sum()
