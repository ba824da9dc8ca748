"""SAC: its terms one by one, who is trained by which, and environments whose optimum is known."""

import math

import numpy as np
import pytest
import torch
from torch import distributions as D, nn

from deepcanon.data.environments import action_bounds, env
from deepcanon.data.experience import Experience, after
from deepcanon.engine import Adam, fit, linear, options, players
from deepcanon.nets.perceptron import mlp
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN
from deepcanon.rl.evaluate import returns
from deepcanon.rl.sac import SAC
from tests.rl.small_envs import Target

BOUNDS = np.array([-2.0, 0.0], np.float32), np.array([2.0, 3.0], np.float32)


def small(**arguments):
    return SAC(mlp(3, 16, 4), Critics(3, 2, 16), **({"bounds": BOUNDS} | arguments))


def batch(n=32):
    return torch.randn(n, 3), torch.rand(n, 2), torch.randn(n), torch.randn(n, 3), (torch.rand(n) < 0.3).float()


def test_draws_have_the_density_of_the_squashed_gaussian():
    method, s = small(), torch.randn(200, 3)
    a, log_prob = method.draw(s)
    mu, log_std = method.actor(s).chunk(2, -1)
    squashed = D.TransformedDistribution(D.Independent(D.Normal(mu, log_std.clamp(-5, 2).exp()), 1), D.TanhTransform())
    torch.testing.assert_close(log_prob, squashed.log_prob((a - method.center) / method.scale), rtol=1e-3, atol=1e-3)
    assert (torch.from_numpy(BOUNDS[0]) <= a).all()
    assert (a <= torch.from_numpy(BOUNDS[1])).all()


@pytest.mark.row("RL-34")
def test_actor_and_temperature_are_their_equations():
    method, data = small(target_entropy=-1.5), batch()
    nn.init.constant_(method.log_alpha, -0.5)
    torch.manual_seed(1)
    losses = dict(players(method, data))
    torch.manual_seed(1)
    method.draw(data[3])                                                         # the first draw is a'
    a, log_prob = method.draw(data[0])
    torch.testing.assert_close(losses["actor"], (math.exp(-0.5) * log_prob - torch.minimum(*method.critic(data[0], a))).mean())
    torch.testing.assert_close(losses["log_alpha"], 0.5 * (log_prob.mean() - 1.5))


@pytest.mark.row("RL-34")
def test_the_critics_regress_to_the_soft_target():
    method, (s, a, r, s_next, ends) = small(gamma=0.7), batch()
    torch.manual_seed(1)
    _, loss = next(method.losses((s, a, r, s_next, ends)))
    torch.manual_seed(1)
    a_next, log_next = method.draw(s_next)
    expected = 0.0
    for k in range(2):
        for i in range(len(r)):
            soft = method.target(s_next, a_next)[:, i].min() - log_next[i]       # alpha = 1
            y = r[i] + (0.0 if ends[i] else 0.7 * soft)
            expected += (method.critic(s, a)[k, i] - y).square() / len(r)
    torch.testing.assert_close(loss, expected)


def test_every_loss_reaches_its_player_alone():
    method = small()
    parts = {"critic": method.critic, "actor": method.actor, "log_alpha": method.log_alpha, "target": method.target}
    for player, loss in method.losses(batch()):
        method.zero_grad()
        loss.backward()
        for name, part in parts.items():
            params = [part] if isinstance(part, nn.Parameter) else [*part.parameters()]
            assert all((p.grad is not None) == (name == player) for p in params), (player, name)
    assert all(p.requires_grad for p in method.critic.parameters())


@pytest.mark.row("RL-34")
def test_the_actors_gradient_is_that_of_the_expectation():
    """E over a ~ pi by Gauss-Hermite quadrature, on one state and one action, against the mean of many draws."""
    actor = nn.Linear(1, 2).double()
    bowl = lambda s, a: -((a - 0.8) ** 2 * torch.tensor([1.0, 1.5])).T           # noqa: E731 (two critics)
    critic = nn.Module()
    critic.forward = bowl
    method = SAC(actor, critic, bounds=(np.array([-2.0]), np.array([2.0]))).double()
    s, n = torch.ones(1, 1, dtype=torch.float64), 20_000

    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(64))
    mu, log_std = actor(s)[0]
    u = mu + log_std.exp() * nodes
    log_pi = -0.5 * nodes**2 - log_std - 0.5 * math.log(2 * math.pi) - (1 - u.tanh() ** 2).log()
    exact = (weights / weights.sum() * (log_pi - bowl(s, 2 * u.tanh()[:, None]).amin(0))).sum()
    expected = torch.autograd.grad(exact, actor.bias)[0]

    def gradient():
        a, log_prob = method.draw(s.expand(n, 1))
        return torch.autograd.grad((log_prob - method.critic(s, a).amin(0)).mean(), actor.bias)[0]

    estimates = torch.stack([gradient() for _ in range(20)])
    error = 4 * estimates.std(0) / math.sqrt(len(estimates))
    assert ((estimates.mean(0) - expected).abs() < error).all()


class Quadratic(nn.Module):
    """Two critics, each a quadratic form of (s, a) with its own coefficients."""

    def __init__(self):
        super().__init__()
        self.form = nn.Linear(4, 2)

    def forward(self, s, a):
        return self.form(torch.cat([s * s, s * a, a * a, torch.ones_like(s)], -1)).T


@pytest.mark.row("RL-34")
def test_reaches_the_optimal_gain_of_a_linear_system_with_quadratic_cost():
    """s' = 0.9 s + 0.5 a, r = -s^2 - 0.3 a^2: a = -k s, k from Riccati's equation; entropy adds noise and leaves k as it is."""
    gamma, p = 0.9, 1.0
    for _ in range(200):
        k = gamma * p * 0.9 * 0.5 / (0.3 + gamma * p * 0.25)
        p = 1 + 0.3 * k**2 + gamma * p * (0.9 - 0.5 * k) ** 2
    s, a = (torch.rand(4_096, 1) * 4 - 2 for _ in range(2))
    r, s_next = (-s.square() - 0.3 * a.square())[:, 0], 0.9 * s + 0.5 * a
    method = SAC(actor := nn.Linear(1, 2), Quadratic(), bounds=(np.array([-10.0]), np.array([10.0])), gamma=gamma, tau=0.1, target_entropy=-3.0)
    with torch.no_grad():
        actor.weight.zero_()
        actor.bias.copy_(torch.tensor([0.0, -3.0]))

    class Draws:
        def at(self, step):
            rows = torch.randint(len(s), (256,), generator=torch.Generator().manual_seed(step))
            return s[rows], a[rows], r[rows], s_next[rows], torch.zeros(256)

    with options(quiet=True):
        fit(method, Draws(), {"critic": Adam(0.03, schedule=linear()), "actor": Adam(0.01, schedule=linear()), "log_alpha": Adam(0.03)}, steps=700)
    gains = [-method.act(np.array([x], np.float32))[0] / x for x in (-1.0, -0.5, 0.5, 1.0)]
    assert gains == pytest.approx([k] * 4, rel=0.05)


def test_the_temperature_rises_where_the_entropy_is_too_low():
    for target_entropy in (-9.0, 9.0):
        method = small(target_entropy=target_entropy)
        *_, (_, loss) = method.losses(data := batch())
        loss.backward()
        _, log_prob = method.draw(data[0])
        assert bool(method.log_alpha.grad < 0) == bool(-log_prob.mean() < target_entropy)
        assert method.log_alpha.grad.item() == pytest.approx(-target_entropy - log_prob.mean().item(), abs=1.0)


def test_the_targets_move_by_tau():
    method = small(tau=0.1)
    before = [p.clone() for p in method.target.parameters()]
    for p in method.critic.parameters():
        nn.init.normal_(p)
    list(method.losses(batch()))
    for old, new, p in zip(before, method.target.parameters(), method.critic.parameters()):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * p)


def test_acting_is_the_mean_a_draw_or_any_action():
    method, s, rng = small(), np.ones(3, np.float32), np.random.default_rng(0)
    mu, log_std = (x[0].detach().numpy() for x in method.actor(torch.ones(1, 3)).chunk(2, -1))
    center, scale = np.array([0.0, 1.5]), np.array([2.0, 1.5])
    np.testing.assert_allclose(method.act(s), center + scale * np.tanh(mu), rtol=1e-4)
    assert method.act(s).dtype == np.float32
    drawn = np.arctanh((np.array([method.act(s, rng=rng) for _ in range(4_000)]) - center) / scale * (1 - 1e-6))
    assert drawn.mean(0) == pytest.approx(mu, abs=0.1)
    assert drawn.std(0) == pytest.approx(np.exp(log_std), rel=0.1)
    anything = np.array([method.act(s, epsilon=1.0, rng=rng) for _ in range(4_000)])
    assert anything.min(0) == pytest.approx(BOUNDS[0], abs=0.01)
    assert anything.max(0) == pytest.approx(BOUNDS[1], abs=0.01)
    assert anything.mean(0) == pytest.approx(center, abs=0.1)


def test_learns_episodes_of_one_step():
    method = SAC(mlp(1, 32, 2), Critics(1, 1, 32), bounds=Target.bounds, target_entropy=-3.0)
    data = Experience(Target(), method, batch=64, warmup=100, epsilon=after(100))
    with options(quiet=True):
        fit(method, data, Adam(1e-2), steps=300)
    assert returns(method, Target(), episodes=50).mean() > -0.02                 # E[(0.7 s)^2] = 0.16 for an action of 0


def test_training_is_resumed_to_the_bit(tmp_path):
    def run(folder, steps, resume=False):
        torch.manual_seed(0)
        pendulum = env("Pendulum-v1")
        method = SAC(mlp(3, 16, 2), Critics(3, 1, 16), bounds=action_bounds(pendulum))
        data = Experience(pendulum, method, batch=16, warmup=30, capacity=64, epsilon=after(30), seed=3)
        with options(folder=tmp_path / folder, resume=resume, anyway=resume, quiet=True):
            fit(method, data, Adam(1e-3), steps=steps)
        return [*method.state_dict().values(), *map(torch.from_numpy, data.buffer), torch.from_numpy(data.observation)]

    whole = run("whole", 60)
    run("halves", 25)
    (tmp_path / "halves" / "result.json").unlink()                               # as if it had been stopped
    assert all(torch.equal(a, b) for a, b in zip(run("halves", 60, resume=True), whole, strict=True))


def test_agents_of_another_environment_are_refused():
    with pytest.raises(ValueError, match=r"^expected an environment of real actions, CartPole-v1 has 2 discrete ones$"):
        action_bounds(env("CartPole-v1"))
    with pytest.raises(ValueError, match=r"^expected finite bounds low < high of the actions, got \[1\.\] and \[inf\]$"):
        SAC(mlp(3, 2), Critics(3, 1, 8), bounds=(np.array([1.0]), np.array([np.inf])))
    with pytest.raises(ValueError, match=r"^expected actions of shape \(1,\), real numbers; the agent's have shape \(\) and type int64$"):
        next(Experience(env("Pendulum-v1"), DQN(mlp(3, 8, 2)), epsilon=after(0)))
    with pytest.raises(ValueError, match=r"^expected actions of shape \(\), integers below 2; the agent's have shape \(2,\) and type float32$"):
        next(Experience(env("CartPole-v1"), SAC(mlp(4, 4), Critics(4, 2, 8), bounds=BOUNDS)))
