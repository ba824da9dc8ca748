"""PPO: advantages against the sum that defines them, the objective case by case, and an environment whose optimum is known."""

import numpy as np
import pytest
import torch
from torch import nn

from deepcanon.data.rollouts import Rollouts
from deepcanon.data.vector_envs import SequentialEnvs, envs
from deepcanon.engine import Adam, fit, options
from deepcanon.nets.perceptron import mlp
from deepcanon.rl.evaluate import returns
from deepcanon.rl.functional import gae
from deepcanon.rl.policies import gaussian
from deepcanon.rl.ppo import PPO
from tests.rl.small_envs import Corridor, Target


def rollout(T=12, N=3):
    """A made-up rollout of an environment of 4 numbers and 2 actions: what follows is what comes next, but at the end of an episode."""
    s, done = torch.randn(T + 1, N, 4), (torch.rand(T, N) < 0.3).float()
    s_next = torch.where(done[..., None] == 1, torch.randn(T, N, 4), s[1:])
    return s[:-1], torch.randint(2, (T, N)), torch.randn(T, N), s_next, done * (torch.rand(T, N) < 0.5), done


def small(**arguments):
    return PPO(mlp(4, 8, 2), mlp(4, 8, 1), **({"minibatch": 36} | arguments))


def test_gae_is_the_sum_that_defines_it():
    delta, done = torch.randn(12, 3, dtype=torch.float64), (torch.rand(12, 3) < 0.3).double()
    expected = torch.zeros_like(delta)
    for n in range(3):
        for t in range(12):
            for k in range(t, 12):
                expected[t, n] += 0.9 ** (k - t) * delta[k, n]
                if done[k, n]:
                    break
    torch.testing.assert_close(gae(delta, done, 0.9), expected)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_advantages_are_one_step_differences_or_whole_returns(lam):
    method, (s, a, r, s_next, terminated, done) = small(lam=lam, gamma=0.9), rollout()
    *_, advantage, returned = method.prepare(s, a, r, s_next, terminated, done)
    with torch.no_grad():
        v, v_next = method.value(s)[..., 0], method.value(s_next)[..., 0]
    after = (1 - terminated) * v_next                                            # a truncated episode bootstraps, a terminated one does not
    for t in reversed(range(len(r) - 1)):
        after[t] = torch.where((done[t] == 1) | (lam == 0), after[t], r[t + 1] + 0.9 * after[t + 1])
    expected = r + 0.9 * after
    torch.testing.assert_close(returned.view_as(r), expected)
    torch.testing.assert_close(advantage.view_as(r), expected - v)


@pytest.mark.parametrize("ratio", [0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_clipped_objective_case_by_case(ratio, sign):
    """With A > 0 nothing is gained above 1 + eps, with A < 0 nothing below 1 - eps: there, and only there, the gradient is zero."""
    method = PPO(nn.Linear(1, 2), nn.Linear(1, 1), clip=0.2, value_weight=0.0, minibatch=2)
    s, a, advantage = torch.ones(2, 1), torch.tensor([0, 1]), torch.tensor([sign, -sign])
    log_prob = method.policy(s).log_softmax(-1)[torch.arange(2), a].detach()
    old = log_prob - torch.tensor([ratio, 1.0]).log()
    terms = method.objective(s, a, old, advantage, torch.zeros(2))
    scaled = advantage / advantage.std(correction=0)
    cut = min(ratio * scaled[0], min(max(ratio, 0.8), 1.2) * scaled[0])
    torch.testing.assert_close(terms["loss"], -(cut + scaled[1]) / 2)
    (slope,) = torch.autograd.grad(terms["loss"], method.policy.bias)
    flat = (sign > 0 and ratio > 1.2) or (sign < 0 and ratio < 0.8)
    p = method.policy(s)[0].softmax(-1).detach()
    each = torch.stack([torch.tensor([1 - p[0], -p[1]]) * ratio * scaled[0] * (not flat), torch.tensor([-p[0], 1 - p[1]]) * scaled[1]])
    torch.testing.assert_close(slope, -each.mean(0), rtol=1e-4, atol=1e-5)


def test_the_first_gradient_is_the_policy_gradient():
    """At pi = pi_old the clipped objective has the gradient of E[log pi(a|s) A]."""
    method = small(value_weight=0.0, epochs=1)
    s, a, _, advantage, _ = method.prepare(*(batch := rollout()))
    torch.manual_seed(1)
    _, terms = next(method.losses(batch))
    ours = torch.autograd.grad(terms["loss"], [*method.policy.parameters()])
    advantage = (advantage - advantage.mean()) / advantage.std(correction=0)
    log_prob = method.policy(s).log_softmax(-1).gather(1, a[:, None])[:, 0]
    expected = torch.autograd.grad(-(log_prob * advantage).mean(), [*method.policy.parameters()])
    for mine, theirs in zip(ours, expected):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_every_row_is_seen_once_an_epoch_and_old_probabilities_stay():
    method, seen = small(epochs=3, minibatch=9), []
    method.objective = lambda s, *rest: seen.append(s) or {"loss": s.sum()}
    batch = rollout()
    assert len(list(method.losses(batch))) == 3 * 4
    for epoch in range(3):
        rows = torch.cat(seen[4 * epoch : 4 * epoch + 4])
        assert sorted(rows[:, 0].tolist()) == sorted(batch[0].flatten(0, 1)[:, 0].tolist())
    assert not torch.equal(seen[0], seen[4])


@pytest.mark.row("RL-22")
def test_separate_nets_have_separate_gradients_and_a_shared_trunk_the_sum():
    batch, trunk = rollout(), nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    separate = small(epochs=1)
    rows = separate.prepare(*batch)
    terms = separate.objective(*rows)
    assert all(g is None for g in torch.autograd.grad(terms["value"], [*separate.policy.parameters()], allow_unused=True, retain_graph=True))
    separate.value_weight = 0.0
    rest = torch.autograd.grad(separate.objective(*rows)["loss"], [*separate.value.parameters()])
    assert all((g == 0).all() for g in rest)

    def slope(method):
        return torch.autograd.grad(method.objective(*rows)["loss"], trunk[0].weight, allow_unused=True)[0]

    shared = PPO(nn.Sequential(trunk, nn.Linear(8, 2)), nn.Sequential(trunk, nn.Linear(8, 1)), minibatch=36)
    rows = shared.prepare(*batch)
    both = slope(shared)
    shared.value_weight = 0.0
    policy_alone = slope(shared)
    shared.value_weight = 0.5
    value_alone = torch.autograd.grad(0.5 * shared.objective(*rows)["value"], trunk[0].weight)[0]
    torch.testing.assert_close(both, policy_alone + value_alone)


def test_learns_the_corridor():
    method = PPO(mlp(8, 32, 2), mlp(8, 32, 1), gamma=0.9, minibatch=64)
    with options(quiet=True):
        fit(method, Rollouts(SequentialEnvs([Corridor() for _ in range(8)]), method, steps=32), Adam(3e-3), steps=20)
    assert returns(method, Corridor(), episodes=3).tolist() == [1.0] * 3
    assert [method.act(s) for s in np.eye(8, dtype=np.float32)[:7]] == [1] * 7   # the shortest way, from every cell


def test_learns_real_actions():
    method = PPO(mlp(1, 16, 2), mlp(1, 16, 1), kind=gaussian, minibatch=64)
    with options(quiet=True):
        fit(method, Rollouts(SequentialEnvs([Target() for _ in range(8)]), method, steps=32), Adam(1e-2), steps=40)
    assert returns(method, Target(), episodes=50).mean() > -0.02                 # E[(0.7 s)^2] = 0.16 for an action of 0


def test_training_is_resumed_to_the_bit(tmp_path):
    def run(folder, steps, resume=False):
        torch.manual_seed(0)
        method = PPO(mlp(4, 16, 2), mlp(4, 16, 1), minibatch=32)
        with options(folder=tmp_path / folder, resume=resume, anyway=resume, quiet=True):
            fit(method, data := Rollouts(envs("CartPole-v1", 4), method, steps=32, seed=3), Adam(1e-3), steps=steps)
        return [*method.state_dict().values(), torch.tensor(data.returns), torch.from_numpy(data.observation)]

    whole = run("whole", 8)
    run("halves", 4)
    (tmp_path / "halves" / "result.json").unlink()                               # as if it had been stopped
    assert all(torch.equal(a, b) for a, b in zip(run("halves", 8, resume=True), whole, strict=True))


def test_a_minibatch_that_does_not_fit_is_refused():
    message = r"^a minibatch of 64 does not divide the 36 rows of a rollout \(12 steps of 3 environments\)$"
    with pytest.raises(ValueError, match=message):
        next(small(minibatch=64).losses(rollout()))


def test_a_time_limit_bootstraps_and_an_end_does_not():
    """r = [1, 1], V = [2, 3], V(final) = 4, gamma 0.9, lambda 0.8."""
    class Table(nn.Module):
        def forward(self, s):
            return s

    method = PPO(nn.Linear(1, 2), Table(), gamma=0.9, lam=0.8, minibatch=2)
    s, s_next = torch.tensor([[[2.0]], [[3.0]]]), torch.tensor([[[3.0]], [[4.0]]])
    rest = torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1), s_next
    end = torch.tensor([[0.0], [1.0]])
    for terminated, expected in ((torch.zeros(2, 1), [2.852, 1.6]), (end, [0.26, -2.0])):
        *_, advantage, _ = method.prepare(s, *rest, terminated, end)
        torch.testing.assert_close(advantage, torch.tensor(expected))


def test_clipped_actions_stay_as_drawn_in_the_density():
    """N(0, 1), a = 2, bounds +-1: the environment gets 1, the log-probability is that of 2, -2.9189, and the first ratio is 1."""
    got = []

    class Bounded(Target):
        bounds = np.array([-1.0], np.float32), np.array([1.0], np.float32)

        def step(self, action):
            got.append(float(action[0]))
            return super().step(action)

    method = PPO(nn.Linear(1, 2), nn.Linear(1, 1), kind=gaussian, minibatch=3)
    nn.init.zeros_(method.policy.weight)
    nn.init.zeros_(method.policy.bias)
    method.acts = lambda observations, *, rng: np.full((1, 1), 2.0, np.float32)
    batch = next(Rollouts(SequentialEnvs([Bounded()]), method, steps=3))
    assert got[-3:] == [1.0] * 3
    rows = method.prepare(*batch)
    torch.testing.assert_close(rows[1], torch.full((3, 1), 2.0))
    torch.testing.assert_close(rows[2], torch.full((3,), -2.9189385))
    log_prob, _ = gaussian.judge(method.policy(rows[0]), rows[1])
    assert torch.equal((log_prob - rows[2]).exp(), torch.ones(3))
