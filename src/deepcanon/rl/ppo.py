"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347).

    delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t)
    A_t = sum_k (gamma lam)^k delta_{t+k},    R = A + V(s)
    max_pi    E[min(rho A, clip(rho, 1 - eps, 1 + eps) A) + h H(pi(.|s))],    rho = pi(a|s) / pi_old(a|s)
    min_V     c E[(V(s) - R)^2]

A, R and pi_old are those of the beginning; then come several epochs of minibatches over one rollout. In each,
A is brought to mean 0 and deviation 1.
T steps, N environments, M rows of a minibatch, S and A the shapes of an observation and of an action.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.joint import batch_moments
from deepcanon.rl.acting import NumpyNet, to_act_on
from deepcanon.rl.functional import gae
from deepcanon.rl.policies import Policy, categorical


@checked(rows=False)
class PPO(nn.Module):
    """A policy that moves by small steps and the value of its states.

    Args:
        policy: observations (B, *S) -> what `kind` asks for, e.g. logits (B, A).
        value: observations (B, *S) -> (B, 1).
        kind: of the policy, `categorical` or `gaussian`.
        gamma: discount.
        lam: between one-step differences (0) and whole returns (1).
        clip: eps.
        epochs: passes over a rollout.
        minibatch: M, a divisor of T N.
        entropy, value_weight: h, c.
    """

    def __init__(
        self,
        policy: nn.Module,
        value: nn.Module,
        *,
        kind: Policy = categorical,
        gamma: float = 0.99,
        lam: float = 0.95,
        clip: float = 0.2,
        epochs: int = 4,
        minibatch: int = 256,
        entropy: float = 0.0,
        value_weight: float = 0.5,
    ):
        super().__init__()
        self.policy, self.value, self.kind, self.gamma, self.lam = policy, value, kind, gamma, lam
        self.clip, self.epochs, self.minibatch, self.entropy, self.value_weight = (
            clip,
            epochs,
            minibatch,
            entropy,
            value_weight,
        )
        self.actor = NumpyNet(policy)

    def losses(self, batch):
        """Raises ValueError for a rollout, actions or values of another shape."""
        rows = self.prepare(*rollout(batch))
        for _ in range(self.epochs):
            for chosen in torch.randperm(len(rows[0]), device=rows[0].device).split(self.minibatch):
                yield "", self.objective(*(column[chosen] for column in rows))

    @torch.no_grad()
    def prepare(self, s, a, r, s_next, terminated, done) -> tuple[Tensor, ...]:
        """The rollout, (T, N, ...) each, as rows (T N, ...): s, a, log pi_old(a|s), A, R."""
        if not self.minibatch or r.numel() % self.minibatch:
            raise ValueError(
                f"a minibatch of {self.minibatch} does not divide the {r.numel()} rows of a rollout "
                f"({len(r)} steps of {r.shape[1]} environments)"
            )
        v, v_next = (
            of_shape("values", self.value(x.flatten(0, 1)), (r.numel(), 1)).view_as(r) for x in (s, s_next)
        )
        advantage = gae(r + self.gamma * (1 - terminated) * v_next - v, done, self.gamma * self.lam)
        s, a = s.flatten(0, 1), a.flatten(0, 1)
        log_prob, _ = self.kind.judge(self.policy(s), a)
        return s, a, log_prob, advantage.flatten(), (advantage + v).flatten()

    def objective(self, s, a, log_prob_old, advantage, returns) -> dict[str, Tensor]:
        """The loss on one minibatch, with its terms."""
        log_prob, entropy = self.kind.judge(self.policy(s), a)
        mean, variance, _ = batch_moments(advantage[None])
        rho, advantage = (log_prob - log_prob_old).exp(), (advantage - mean) * (variance + 1e-5).rsqrt()
        surrogate = torch.minimum(rho * advantage, rho.clamp(1 - self.clip, 1 + self.clip) * advantage)
        error = F.mse_loss(self.value(s).squeeze(-1), returns)
        loss = self.value_weight * error - torch.add(surrogate, entropy, alpha=self.entropy).mean()
        return {"loss": loss, "value": error, "entropy": entropy.detach().mean()}

    def act(self, observation: np.ndarray):
        """The likeliest action."""
        return self.kind.mode(to_act_on(self.actor.rows(observation[None])))[0]

    def acts(self, observations: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """An action of pi for each of N observations."""
        return self.kind.draw(to_act_on(self.actor.rows(observations)), rng)


def rollout(batch) -> tuple[Tensor, ...]:
    """A rollout with its shapes checked and its ends as numbers.

    Args:
        batch: s (T, N, *S), a (T, N, *A), r (T, N), s' (T, N, *S), terminated (T, N), done (T, N).

    Raises:
        ValueError: another number of entries, or an entry of another shape, also one that would broadcast.
    """
    if len(batch) != 6:
        raise ValueError(
            "expected a rollout of 6: observations, actions, rewards, next observations, terminated, done; "
            f"got {len(batch)}"
        )
    s, a, r, s_next, terminated, done = batch
    of_shape("rewards", r, s.shape[:2])
    of_shape("next observations", s_next, s.shape)
    of_shape("terminated", terminated, r.shape)
    if a.shape[:2] != r.shape:
        raise ValueError(f"expected actions of shape {(*r.shape, '*A')}, got {tuple(a.shape)}")
    return s, a, r, s_next, terminated.to(r.dtype), done.to(r.dtype)
