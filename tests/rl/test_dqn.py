"""DQN on environments whose values are known, and its equation term by term."""

import gymnasium
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data.experience import Experience, anneal
from deepcanon.nets.perceptron import mlp
from deepcanon.rl.dqn import DQN, double_value, max_value
from deepcanon.rl.evaluate import returns
from tests.rl.small_envs import Corridor


def table(states, actions):
    """Q(s, a) of a one-hot state as its own free number, zero at first."""
    q = nn.Linear(states, actions, bias=False)
    nn.init.zeros_(q.weight)
    return q


def batch():
    """Five transitions of a made-up environment of 4 numbers and 2 actions."""
    return torch.randn(5, 4), torch.tensor([0, 1, 1, 0, 1]), torch.randn(5), torch.randn(5, 4), torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0])


def updates(method, batch, optimizer, count):
    for _ in range(count):
        for _, loss in method.losses(batch):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.row("RL-32")
@pytest.mark.parametrize("value", [max_value, double_value])
def test_a_tabular_q_converges_to_value_iteration(value):
    generator, gamma = torch.Generator().manual_seed(0), 0.9
    states, actions = 6, 3
    following = torch.randint(states, (states, actions), generator=generator)    # deterministic; leaving state 0 by action 0 ends it
    reward = torch.rand(states, actions, generator=generator)
    ends = torch.zeros(states, actions).index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(1.0))
    exact = torch.zeros(states, actions)
    for _ in range(500):
        exact = reward + gamma * (1 - ends) * exact.amax(1)[following]

    method = DQN(table(states, actions), gamma=gamma, value=value, regression=F.mse_loss, every=1)
    s, a = (i.flatten() for i in torch.meshgrid(torch.arange(states), torch.arange(actions), indexing="ij"))
    batch = torch.eye(states)[s], a, reward.flatten(), torch.eye(states)[following.flatten()], ends.flatten()
    updates(method, batch, torch.optim.SGD(method.q.parameters(), lr=len(s) / 2), count=500)   # the exact minimum in one step: fitted Q-iteration
    torch.testing.assert_close(method.q.weight.T.detach(), exact, atol=1e-5, rtol=0)


@pytest.mark.row("RL-32")
def test_the_loss_is_the_equation():
    torch.manual_seed(0)
    method = DQN(mlp(4, 8, 3), gamma=0.7, regression=F.mse_loss)
    nn.init.normal_(method.target[0].weight)
    s, s_next, r = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5)
    a, ends = torch.tensor([0, 2, 1, 1, 0]), torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0])
    for value in (max_value, double_value):
        method.value, expected = value, 0.0
        for i in range(5):
            chooser = method.target if value is max_value else method.q
            y = r[i] + (0.0 if ends[i] else 0.7 * method.target(s_next[i])[chooser(s_next[i]).argmax()])
            expected += (method.q(s[i])[a[i]] - y).square() / 5
        _, loss = next(method.losses((s, a, r, s_next, ends)))
        torch.testing.assert_close(loss, expected)


@pytest.mark.row("RL-31")
def test_no_gradient_reaches_the_target():
    method = DQN(mlp(4, 8, 2))
    _, loss = next(method.losses(batch()))
    loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.target.parameters())
    assert all(p.grad is not None for p in method.q.parameters())


@pytest.mark.row("RL-31")
def test_the_target_is_copied_every_few_updates_and_constant_between():
    torch.manual_seed(0)
    method = DQN(mlp(4, 8, 2), every=3)
    optimizer = torch.optim.Adam(method.q.parameters())
    for update in range(1, 10):
        before = method.target[0].weight.clone()
        updates(method, batch(), optimizer, 1)
        assert torch.equal(method.target[0].weight, before) == (update % 3 != 0)
        assert torch.equal(method.target[0].weight, method.q[0].weight) == (update % 3 == 0)
        assert not method.target[0].weight.requires_grad


@pytest.mark.row("RL-31")
def test_polyak_moves_the_target_by_tau():
    method = DQN(mlp(4, 8, 2), every=1, tau=0.1)
    before = method.target[2].weight.clone()
    updates(method, batch(), torch.optim.SGD(method.q.parameters(), lr=0.1), 1)
    torch.testing.assert_close(method.target[2].weight, 0.9 * before + 0.1 * method.q[2].weight.detach())


def test_acting_is_greedy_but_for_epsilon():
    torch.manual_seed(0)
    method, rng, s = DQN(mlp(4, 8, 5)), np.random.default_rng(0), np.ones(4, np.float32)
    best = int(method.q(torch.ones(4)).argmax())
    assert {method.act(s) for _ in range(20)} == {best}
    counts = np.bincount([method.act(s, epsilon=0.4, rng=rng) for _ in range(20_000)], minlength=5)
    expected = 20_000 * (0.4 / 5 + 0.6 * (np.arange(5) == best))
    assert ((counts - expected) ** 2 / expected).sum() < 18.5                    # chi-square, 4 degrees of freedom, p = 0.001


@pytest.mark.row("RL-32")
def test_learns_the_corridor():
    torch.manual_seed(0)
    method = DQN(mlp(8, 32, 2), gamma=0.9, every=10)
    data = Experience(Corridor(), method, batch=64, warmup=300, epsilon=anneal(1.0, 0.2, 600), seed=0)
    optimizer = torch.optim.Adam(method.q.parameters(), 2e-3, fused=True)
    for _ in range(800):
        updates(method, next(data), optimizer, 1)
    assert returns(method, Corridor(), episodes=3).tolist() == [1.0] * 3
    greedy = [method.act(s) for s in np.eye(8, dtype=np.float32)[:7]]
    assert greedy == [1] * 7                                                     # the shortest way, from every cell
    best = method.q(torch.eye(8)[:7]).amax(1).detach()
    torch.testing.assert_close(best, 0.9 ** torch.arange(6, -1, -1.0), atol=0.05, rtol=0)


def test_returns_are_those_of_whole_episodes():
    class Left:
        def act(self, observation):
            return 0

    assert returns(Left(), Corridor(), episodes=2).tolist() == [0.0, 0.0]


def test_an_episode_without_end_is_cut():
    class Endless(Corridor):
        def step(self, action):
            return np.eye(8, dtype=np.float32)[0], 1.0, False, False

    class Left:
        def act(self, observation):
            return 0

    assert returns(Left(), Endless(), episodes=2, max_steps=7).tolist() == [7.0, 7.0]
    with pytest.warns(UserWarning, match=r"^an episode of Endless did not end within 100,000 steps, and its return counts those only"):
        assert returns(Left(), Endless(), episodes=1).tolist() == [100_000.0]
    assert returns(Left(), Corridor(), episodes=1, max_steps=30).tolist() == [0.0]
    for wrong in ({"episodes": 0}, {"max_steps": 0}):
        with pytest.raises(ValueError, match=r"^expected one episode or more of one step or more"):
            returns(Left(), Corridor(), **wrong)


def test_returns_are_taken_in_evaluation_mode_and_the_mode_comes_back():
    modes = []

    class Watching(DQN):
        def act(self, observation, **how):
            modes.append(self.q.training)
            return 1

    method = Watching(mlp(8, 8, 2))
    assert returns(method, Corridor(), episodes=1).tolist() == [1.0]
    assert not any(modes)
    assert method.training
    assert method.q.training


def test_an_environment_that_was_not_opened_is_refused():
    with pytest.raises(ValueError, match=r"^expected an environment of deepcanon\.data\.env, got TimeLimit: pass env\(TimeLimit\)$"):
        returns(DQN(mlp(4, 8, 2)), gymnasium.make("CartPole-v1"), episodes=1)
