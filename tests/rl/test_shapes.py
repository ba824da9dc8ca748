"""Every agent refuses what would broadcast: a column of rewards, of ends or of values makes a B x B loss that falls and means nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN
from deepcanon.rl.functional import gae
from deepcanon.rl.policies import categorical, gaussian
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC

B, T, N = 32, 8, 4
BOUNDS = np.full(2, -1, np.float32), np.full(2, 1, np.float32)


pytestmark = pytest.mark.usefixtures("annotations_unchecked")


def dqn():
    return DQN(mlp(4, 8, 3)), [torch.randn(B, 4), torch.randint(3, (B,)), torch.randn(B), torch.randn(B, 4), torch.zeros(B)]


def sac():
    return SAC(mlp(4, 8, 4), Critics(4, 2, 8), bounds=BOUNDS), [
        torch.randn(B, 4), torch.rand(B, 2), torch.randn(B), torch.randn(B, 4), torch.zeros(B)]


def rollout(actions):
    return [torch.randn(T, N, 4), actions, torch.randn(T, N), torch.randn(T, N, 4), torch.zeros(T, N), torch.zeros(T, N)]


def ppo():
    return PPO(mlp(4, 8, 3), mlp(4, 8, 1), minibatch=T * N), rollout(torch.randint(3, (T, N)))


def real_ppo():
    return PPO(mlp(4, 8, 4), mlp(4, 8, 1), kind=gaussian, minibatch=T * N), rollout(torch.randn(T, N, 2))


def first_loss(method, batch):
    _, loss = next(method.losses(tuple(batch)))
    return loss["loss"] if isinstance(loss, dict) else loss


@pytest.mark.parametrize("agent", [dqn, sac])
@pytest.mark.parametrize(("entry", "name"), [(2, "rewards"), (4, "terminated")])
@pytest.mark.parametrize("shape", [(B, 1), (1,), (), (1, B), (B - 1,)])
def test_replayed_rewards_and_ends_have_one_shape(agent, entry, name, shape):
    method, batch = agent()
    assert first_loss(method, batch).ndim == 0
    batch[entry] = torch.zeros(shape)
    expected = rf"^expected {name} of shape \({B},\), got {str(tuple(shape)).replace('(', '[(]').replace(')', '[)]')}$"
    with pytest.raises(ValueError, match=expected):
        first_loss(method, batch)


@pytest.mark.parametrize("agent", [dqn, sac])
def test_the_next_observations_are_as_many_as_the_observations(agent):
    method, batch = agent()
    batch[3] = batch[3][:1]
    with pytest.raises(ValueError, match=r"^expected next observations of shape \(32, 4\), got \(1, 4\)$"):
        first_loss(method, batch)
    with pytest.raises(ValueError, match=r"^expected a batch of 5: observations, actions, rewards, next observations, terminated; got 4$"):
        first_loss(method, batch[:4])


@pytest.mark.parametrize(("agent", "actions", "message"), [
    (dqn, torch.zeros(B, 1, dtype=torch.long), r"expected actions of shape \(32,\), got \(32, 1\)"),
    (dqn, torch.zeros(B), "expected actions that are integers, got torch.float32"),
    (dqn, torch.zeros(B, dtype=torch.bool), "expected actions that are integers, got torch.bool"),
    (sac, torch.zeros(B), r"expected actions of shape \(32, 2\), got \(32,\)"),
    (sac, torch.zeros(B, 1), r"expected actions of shape \(32, 2\), got \(32, 1\)"),
    (sac, torch.zeros(B, 2, dtype=torch.long), "expected actions that are real numbers, got torch.int64"),
    (ppo, torch.zeros(T, N, 1, dtype=torch.long), r"expected actions of shape \(32,\), got \(32, 1\)"),
    (ppo, torch.zeros(T, N), "expected actions that are integers, got torch.float32"),
    (ppo, torch.zeros(N, T, dtype=torch.long), r"expected actions of shape \(8, 4, '\*A'\), got \(4, 8\)"),
    (real_ppo, torch.zeros(T, N), r"expected actions of shape \(32, 2\), got \(32,\)"),
    (real_ppo, torch.zeros(T, N, 1), r"expected actions of shape \(32, 2\), got \(32, 1\)"),
])
def test_actions_have_one_shape_and_kind(agent, actions, message):
    method, batch = agent()
    assert first_loss(method, batch).ndim == 0
    batch[1] = actions
    with pytest.raises(ValueError, match=f"^{message}$"):
        first_loss(method, batch)


@pytest.mark.parametrize("agent", [ppo, real_ppo])
@pytest.mark.parametrize(("entry", "name"), [(2, "rewards"), (4, "terminated"), (5, "done")])
@pytest.mark.parametrize("shape", [(T, N, 1), (N,), (T, 1), (1, N), (N, T)])
def test_a_rollouts_rewards_and_ends_have_one_shape(agent, entry, name, shape):
    method, batch = agent()
    batch[entry] = torch.zeros(shape)
    with pytest.raises(ValueError, match=rf"^expected {name} of shape \(8, 4\), got "):
        first_loss(method, batch)


def test_the_values_of_nets_have_one_shape():
    method, batch = ppo()
    method.value = mlp(4, 8, 2)
    with pytest.raises(ValueError, match=r"^expected values of shape \(32, 1\), got \(32, 2\)$"):
        first_loss(method, batch)
    method, batch = dqn()
    method.value = lambda q, target, s: target(s).amax(-1, keepdim=True)
    with pytest.raises(ValueError, match=r"^expected next values of shape \(32,\), got \(32, 1\)$"):
        first_loss(method, batch)
    method, batch = sac()
    method.critic.forward = lambda s, a: torch.zeros(2, B, 1)
    with pytest.raises(ValueError, match=r"^expected values of the critics of shape \(2, 32\), got \(2, 32, 1\)$"):
        first_loss(method, batch)
    with pytest.raises(ValueError, match=r"^expected the actor's mu and log sigma of shape \(32, 4\), got \(32, 2\)$"):
        first_loss(SAC(mlp(4, 8, 2), Critics(4, 2, 8), bounds=BOUNDS), batch)
    with pytest.raises(ValueError, match=r"^expected the actor's mu and log sigma of shape \(4,\), got \(2,\)$"):
        SAC(mlp(4, 8, 2), Critics(4, 2, 8), bounds=BOUNDS).act(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=r"^expected one observation and a value for each action, got values of shape \(2, 3\)$"):
        DQN(mlp(4, 8, 3)).act(np.zeros((2, 4), np.float32))


def test_bounds_have_one_shape_and_may_be_lists():
    with pytest.raises(ValueError, match=r"^expected bounds of the actions of shape \(A,\) each, got \(1,\) and \(2,\)$"):
        SAC(mlp(4, 4), Critics(4, 2, 8), bounds=(np.zeros(1), np.ones(2)))
    assert SAC(mlp(4, 4), Critics(4, 2, 8), bounds=([-1, -2], [1, 2])).scale.tolist() == [1, 2]


def test_the_policies_judge_one_action_a_row():
    with pytest.raises(ValueError, match=r"^expected logits of shape \(3, 2\), got \(4, 2\)$"):
        categorical.judge(torch.zeros(4, 2), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"^expected actions of shape \(4, 1\), got \(4, 4\)$"):
        gaussian.judge(torch.zeros(4, 2), torch.zeros(4, 4))                      # mu (4, 1) would meet every action
    with pytest.raises(ValueError, match=r"^expected mu and log sigma, as many of one as of the other, got \(4, 3\)$"):
        gaussian.judge(torch.zeros(4, 3), torch.zeros(4, 2))                      # and log sigma (4, 1) every mu
    with pytest.raises(ValueError, match=r"^expected done of shape \(3, 2\), got \(3, 1\)$"):
        gae(torch.zeros(3, 2), torch.zeros(3, 1), 0.9)


@pytest.mark.parametrize("agent", [dqn, sac, ppo, real_ppo])
def test_ends_may_be_bools(agent):
    method, batch = agent()
    batch[4:] = [(torch.rand_like(end) < 0.5).float() for end in batch[4:]]
    losses = []
    for ends in (batch[4:], [end.bool() for end in batch[4:]]):
        torch.manual_seed(1)
        losses.append(first_loss(method, [*batch[:4], *ends]))
    torch.testing.assert_close(*losses, rtol=0, atol=0)


def test_integer_types_of_actions_are_all_the_same():
    for agent in (dqn, ppo):
        method, batch = agent()
        torch.manual_seed(1)
        expected = first_loss(method, batch)
        torch.manual_seed(1)
        batch[1] = batch[1].to(torch.int32)
        assert torch.equal(first_loss(method, batch), expected)


def test_observations_of_another_precision_are_acted_on():
    observation = np.ones(4)                                                     # float64
    with torch.no_grad():
        for net in (mlp(4, 8, 3), nn.Sequential(nn.Linear(4, 3), nn.GELU())):
            assert DQN(net).act(observation) == int(net(torch.ones(4)).argmax())
