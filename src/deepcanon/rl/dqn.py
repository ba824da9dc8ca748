"""Deep Q-network (Mnih et al. 2015, "Human-level control through deep reinforcement learning", Nature 518).

    y = r + gamma * (1 - terminated) * max_a' Q'(s', a'),    min_Q E[regression(Q(s, a), y)]
    Q' <- Q' + tau (Q - Q') every N updates

Q' is the target net: y is not differentiated, and tau = 1 is the paper's copy, tau < 1 Polyak averaging
(Lillicrap et al. 2016, arXiv 1509.02971). Double DQN (van Hasselt et al. 2016, arXiv 1509.06461): Q chooses
the action that Q' values.
B batch, A actions, S the shape of an observation.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.rl.acting import NumpyNet, to_act_on
from deepcanon.rl.functional import transitions


def max_value(q: nn.Module, target: nn.Module, s: Float[Tensor, "B *S"]) -> Float[Tensor, "B"]:
    """max_a Q'(s, a)."""
    return target(s).amax(-1)


def double_value(q: nn.Module, target: nn.Module, s: Float[Tensor, "B *S"]) -> Float[Tensor, "B"]:
    """Q'(s, argmax_a Q(s, a))."""
    return target(s).gather(-1, q(s).argmax(-1, keepdim=True)).squeeze(-1)


@checked(rows=False)
class DQN(nn.Module):
    """Q-learning with a net, a replayed batch and a target net.

    Args:
        q: observations (B, *S) -> (B, A), one value an action.
        gamma: discount.
        value: the value of the next state, `max_value` or `double_value`.
        regression: (Q(s, a), y) -> scalar; Huber's, which clips the error's gradient at 1 as the paper does,
            or `F.mse_loss`.
        tau: the step of the target net towards Q.
        every: N, updates between two such steps.
    """

    def __init__(self, q: nn.Module, *, gamma: float = 0.99, value: Callable[..., Tensor] = max_value,
                 regression: Callable[..., Tensor] = F.smooth_l1_loss, tau: float = 1.0, every: int = 500):
        super().__init__()
        self.q, self.target = q, copy.deepcopy(q).requires_grad_(False)
        self.gamma, self.value, self.regression, self.tau, self.every = gamma, value, regression, tau, every
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.values = NumpyNet(q)

    def losses(self, batch):
        """Raises ValueError for a batch, values or next values of another shape."""
        s, a, r, s_next, terminated = transitions(batch, ())
        with torch.no_grad():
            y = r + self.gamma * (1 - terminated) * of_shape(
                "next values", self.value(self.q, self.target, s_next), r.shape
            )
        values = self.q(s)
        of_shape("values", values, (len(s), values.shape[-1]))
        yield "q", self.regression(values.gather(1, a[:, None].long()).squeeze(1), y)
        self.follow()  # runs after the optimizer step

    @torch.no_grad()
    def follow(self) -> None:
        """Q' <- Q' + tau (Q - Q') at every N-th call."""
        self.updates += 1
        if self.updates % self.every == 0:
            torch._foreach_lerp_([*self.target.parameters()], [*self.q.parameters()], self.tau)

    def act(
        self, observation: np.ndarray, *, epsilon: float = 0.0, rng: np.random.Generator | None = None
    ) -> int:
        """argmax_a Q(s, a); with probability epsilon, if there is an `rng`, any action."""
        values = to_act_on(self.values(observation))
        if values.ndim != 1:
            raise ValueError(
                f"expected one observation and a value for each action, got values of shape {values.shape}"
            )
        if rng and rng.random() < epsilon:
            return int(rng.integers(len(values)))
        return int(values.argmax())
