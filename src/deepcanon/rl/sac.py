"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1801.01290 and 1812.05905).

    critics        min_Q      sum_k E[(Q_k(s, a) - y)^2],    a' ~ pi(.|s'),
                              y = r + gamma (1 - terminated) (min_k Q'_k(s', a') - alpha log pi(a'|s'))
    actor          min_pi     E[alpha log pi(a|s) - min_k Q_k(s, a)],    a ~ pi(.|s)
    temperature    min_alpha  -log alpha (E[log pi(a|s)] + H)
    targets        Q'_k <- Q'_k + tau (Q_k - Q'_k)

pi: a = center + scale tanh(u), u ~ N(mu(s), diag sigma(s)^2), and log pi is the density of tanh(u); H is the
entropy that alpha holds pi at.
B batch, S the shape of an observation, A dimensions of an action, K critics.
"""

import copy

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.ema import ema_
from deepcanon.layers.precision import Float32Buffers, narrowed
from deepcanon.rl.acting import NumpyNet, to_act_on
from deepcanon.rl.functional import constant, transitions
from deepcanon.rl.policies import log_normal, log_slope

LOG_STD = -5.0, 2.0  # of u; what the actor says is clamped


@checked(rows=False)
class SAC(Float32Buffers, nn.Module):
    """Off-policy learning of a stochastic policy over bounded real actions.

    Args:
        actor: observations (B, *S) -> (B, 2 A), mu and log sigma side by side.
        critic: observations (B, *S), actions (B, A) -> (K, B).
        bounds: least and greatest action, (A,) each.
        gamma: discount.
        tau: the step of the targets.
        target_entropy: H in nats; None is -A.
    """

    center: Tensor                                                               # (A,)
    scale: Tensor

    def __init__(
        self,
        actor: nn.Module,
        critic: nn.Module,
        *,
        bounds: tuple[Float[np.ndarray, "A"], Float[np.ndarray, "A"]],
        gamma: float = 0.99,
        tau: float = 0.005,
        target_entropy: float | None = None,
    ):
        super().__init__()
        low, high = (torch.as_tensor(np.asarray(bound, np.float64)).float() for bound in bounds)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(
                f"expected bounds of the actions of shape (A,) each, got {tuple(low.shape)} and "
                f"{tuple(high.shape)}"
            )
        if not ((low < high) & (high - low).isfinite()).all():
            raise ValueError(
                f"expected finite bounds low < high of the actions, got {bounds[0]} and {bounds[1]}"
            )
        self.actor, self.critic, self.target = actor, critic, copy.deepcopy(critic).requires_grad_(False)
        self.gamma, self.tau = gamma, tau
        self.target_entropy = -len(low) if target_entropy is None else target_entropy
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.register_buffer("center", (high + low) / 2)
        self.register_buffer("scale", (high - low) / 2)
        self.net = NumpyNet(actor)

    def losses(self, batch):
        """Raises ValueError for a batch, or values of the critics, of another shape."""
        s, a, r, s_next, terminated = transitions(batch, tuple(self.center.shape))
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            a_next, log_prob = self.draw(s_next)
            y = r + self.gamma * (1 - terminated) * (self.target(s_next, a_next).amin(0) - alpha * log_prob)
        values = self.critic(s, a)
        of_shape("values of the critics", values, (len(values), len(s)))
        yield "critic", (values - y).square().mean(-1).sum()
        a, log_prob = self.draw(s)
        with constant(self.critic):
            value = self.critic(s, a).amin(0)
        yield "actor", (alpha * log_prob - value).mean()
        yield "log_alpha", -self.log_alpha * (log_prob.detach().mean() + self.target_entropy)
        ema_(self.target, self.critic, 1 - self.tau)

    def draw(self, s: Float[Tensor, "B *S"]) -> tuple[Float[Tensor, "B A"], Float[Tensor, "B"]]:
        """a ~ pi(.|s), differentiable in the actor, and log pi(a|s)."""
        parameters = of_shape("the actor's mu and log sigma", self.actor(s), (len(s), 2 * len(self.center)))
        mu, log_std = parameters.chunk(2, -1)                                    # (B, A) each
        log_std, noise = log_std.clamp(*LOG_STD), torch.randn_like(mu)
        u = mu + log_std.exp() * noise
        a = narrowed(self.center + self.scale * u.tanh(), like=u)
        return a, log_normal(noise, log_std) - log_slope(u)

    def act(
        self, observation: np.ndarray, *, epsilon: float = 0.0, rng: np.random.Generator | None = None
    ) -> Float[np.ndarray, "A"]:
        """The action of mu(s); with an `rng` one of pi, with probability epsilon any action."""
        center, scale = self.center.cpu().numpy(), self.scale.cpu().numpy()
        if rng and rng.random() < epsilon:
            return center + scale * rng.uniform(-1, 1, center.shape).astype(np.float32)
        parameters = to_act_on(self.net(observation))
        if parameters.shape != (2 * len(center),):
            raise ValueError(
                f"expected the actor's mu and log sigma of shape {(2 * len(center),)}, got {parameters.shape}"
            )
        u, log_std = np.split(parameters, 2)
        if rng:
            u = u + np.exp(log_std.clip(*LOG_STD)) * rng.standard_normal(u.shape, np.float32)
        return center + scale * np.tanh(u)
