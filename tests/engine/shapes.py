"""The eleven shapes that a training step can have, each as small as it can be, and data whose batch is a function of the step.

    one loss VAE, DDPM, VQVAE, DPO    several players WGANGP, SAC    code after the step BYOL, SAC    many steps a batch PPO
    sampler and saved chains EBM      gradient of a gradient WGANGP, MAML                            frozen first stage Prior

B rows, D = 8 values a row.
"""

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad

from deepcanon.engine.batches import map_tensors

D = 8


def net(*widths: int) -> nn.Sequential:
    """Linear layers with tanh between them."""
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * module."""
    for a, p in zip(average.parameters(), module.parameters()):
        a.lerp_(p, 1 - decay)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = net(D, 16, 4), net(2, 16, D)

    def loss(self, x):
        mu, log_var = self.encoder(x).chunk(2, -1)
        reconstruction = F.mse_loss(self.decoder(mu + torch.randn_like(mu) * (log_var / 2).exp()), x, reduction="none").sum(-1).mean()
        kl = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(-1).mean()
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


class WGANGP(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = net(2, 16, D), net(D, 16, 1)

    def losses(self, x):
        for _ in range(3):
            fake = self.draw(x).detach()
            penalty = self.slope_penalty(x, fake)                      # before the other passes: a sharded net needs this order
            yield "critic", self.critic(fake).mean() - self.critic(x).mean() + 10 * penalty
        yield "generator", -self.critic(self.draw(x)).mean()

    def draw(self, like):
        return self.generator(torch.randn(len(like), 2, dtype=like.dtype))

    def slope_penalty(self, x, fake):
        t = torch.rand(len(x), 1, dtype=x.dtype)
        u = (t * x + (1 - t) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(u).sum(), u, create_graph=True)
        return (slope.norm(dim=-1) - 1).square().mean()


class BYOL(nn.Module):
    def __init__(self):
        super().__init__()
        self.student, self.predictor = net(D, 16, 4), net(4, 16, 4)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def losses(self, x):
        a, b = x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)
        yield "", 2 - self.agreement(a, b) - self.agreement(b, a)
        follow(self.teacher, self.student, 0.99)

    def agreement(self, a, b):
        return F.cosine_similarity(self.predictor(self.student(a)), self.teacher(b).detach()).mean()


class EBM(nn.Module):
    def __init__(self, chains: int = 32):
        super().__init__()
        self.energy = net(D, 16, 1)
        self.register_buffer("chains", torch.randn(chains, D))

    def loss(self, x):
        self.chains.copy_(self.langevin(self.chains))
        real, drawn = self.energy(x), self.energy(self.chains)
        return real.mean() - drawn.mean() + 0.1 * (real.square().mean() + drawn.square().mean())

    def langevin(self, x, steps=5, size=0.05):
        for _ in range(steps):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.energy(x).sum(), x)
            x = x - size * slope + (2 * size) ** 0.5 * torch.randn_like(x)
        return x.detach()


class MAML(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net(D, 16, 1)

    def loss(self, tasks):
        params = dict(self.net.named_parameters())

        def error(params, x, y):
            return F.mse_loss(functional_call(self.net, params, (x,)), y)

        def after_adaptation(support, query):
            slope = grad(error)(params, *support)
            return error({name: p - 0.1 * slope[name] for name, p in params.items()}, *query)

        return torch.stack([after_adaptation((xs, ys), (xq, yq)) for xs, ys, xq, yq in zip(*tasks)]).mean()


class DDPM(nn.Module):
    def __init__(self, steps: int = 50):
        super().__init__()
        self.noise, self.steps = net(D + 1, 32, D), steps
        self.register_buffer("signal", torch.cumprod(1 - torch.linspace(1e-4, 0.1, steps), 0))

    def loss(self, x):
        t = torch.randint(self.steps, (len(x),))
        a, noise = self.signal[t][:, None], torch.randn_like(x)
        noisy = a.sqrt() * x + (1 - a).sqrt() * noise
        return F.mse_loss(self.noise(torch.cat([noisy, t[:, None] / self.steps], -1)), noise)


class SAC(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = net(3, 32, 2)
        self.critic = nn.ModuleList([net(4, 32, 1), net(4, 32, 1)])
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = nn.Parameter(torch.zeros(()))

    def losses(self, batch):
        state, action, reward, after, done = batch
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            chosen, log_prob = self.act(after)
            goal = reward + 0.99 * (1 - done) * (self.values(self.target, after, chosen).amin(0) - alpha * log_prob)
        yield "critic", (self.values(self.critic, state, action) - goal).square().mean(1).sum()
        chosen, log_prob = self.act(state)
        yield "actor", (alpha * log_prob - self.values(self.critic, state, chosen).amin(0)).mean()
        yield "log_alpha", -(self.log_alpha * (log_prob.detach() - 1)).mean()
        follow(self.target, self.critic, 0.995)

    def act(self, state):
        mu, log_std = self.actor(state).chunk(2, -1)
        noise = torch.randn_like(mu)
        log_std = log_std.clamp(-5, 2)
        action = (mu + log_std.exp() * noise).tanh()
        return action, -noise.square() / 2 - log_std - torch.log(1 - action.square() + 1e-6)

    def values(self, nets, state, action):
        return torch.stack([net(torch.cat([state, action], -1)) for net in nets])


class PPO(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy, self.value = net(3, 32, 4), net(3, 32, 1)

    def losses(self, rollout):
        for _ in range(3):
            for rows in torch.randperm(len(rollout[0])).chunk(2):
                state, action, before, advantage, gain = (t[rows] for t in rollout)
                policy = torch.distributions.Categorical(logits=self.policy(state))
                ratio = (policy.log_prob(action) - before).exp()
                surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
                yield "", 0.5 * F.mse_loss(self.value(state)[:, 0], gain) - surrogate - 0.01 * policy.entropy().mean()


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.codebook = net(D, 16, 4), net(4, 16, D), nn.Embedding(16, 4)

    def encode(self, x):
        return torch.cdist(self.encoder(x), self.codebook.weight).argmin(-1)

    def loss(self, x):
        z, q = self.encoder(x), self.codebook(self.encode(x))
        return F.mse_loss(self.decoder(z + (q - z).detach()), x) + F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())


class Prior(nn.Module):
    def __init__(self):
        super().__init__()
        self.vq, self.logits = VQVAE().requires_grad_(False), net(1, 16, 16)

    def loss(self, x):
        return F.cross_entropy(self.logits(torch.ones_like(x[:, :1])), self.vq.encode(x))


class DPO(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = net(D, 16, 5)
        self.reference = copy.deepcopy(self.policy).requires_grad_(False)

    def loss(self, batch):
        x, better, worse = batch
        reward = F.log_softmax(self.policy(x), -1) - F.log_softmax(self.reference(x), -1)
        return -F.logsigmoid(0.1 * (reward.gather(1, better[:, None]) - reward.gather(1, worse[:, None]))).mean()


# data


class Steps:
    """Batches that are a function of the step; of several ranks, each takes every world-th row.

    Args:
        draw: (n rows, generator) -> batch.
    """

    key = "steps"

    def __init__(self, draw: Callable[[int, torch.Generator], tuple | Tensor], n: int = 32, dtype: torch.dtype = torch.float32):
        self.draw, self.n, self.dtype, self.rows = draw, n, dtype, slice(None)
        self.metadata = {"count": n, "shape": (D,)}

    def at(self, step: int):
        batch = self.draw(self.n, torch.Generator().manual_seed(step))
        return map_tensors(batch, lambda t: t[self.rows].to(self.dtype if t.is_floating_point() else t.dtype))

    def __len__(self) -> int:
        return 10

    def shard(self, rank: int, world: int) -> "Steps":
        other = copy.copy(self)
        other.rows = slice(rank, None, world)
        return other


def points(n, g):
    return torch.randn(n, D, generator=g) * 0.5 + 1


def tasks(n, g):
    x = torch.randn(n // 8, 16, D, generator=g)
    y = x.sum(-1, keepdim=True)
    return x[:, :8], y[:, :8], x[:, 8:], y[:, 8:]


def transitions(n, g):
    state, action, reward, after, end = torch.randn(n, 9, generator=g).split([3, 1, 1, 3, 1], -1)
    return state, action.tanh(), reward, after, (end > 1).float()


def rollout(n, g):
    advantage, gain = torch.randn(2, n, generator=g)
    return torch.randn(n, 3, generator=g), torch.randint(4, (n,), generator=g), torch.full((n,), -1.386), advantage, gain


def preferences(n, g):
    return points(n, g), torch.randint(5, (n,), generator=g), torch.randint(5, (n,), generator=g)


class Shape(NamedTuple):
    """A method, what its batches are, its players and the nets that can be sharded."""

    method: Callable[[], nn.Module]
    draw: Callable
    players: tuple[str, ...] = ("",)
    nets: tuple[str, ...] = ()


SHAPES = {
    "vae": Shape(VAE, points, nets=("encoder", "decoder")),
    "wgan_gp": Shape(WGANGP, points, ("critic", "generator"), ("generator", "critic")),
    "byol": Shape(BYOL, points, nets=("student", "predictor", "teacher")),
    "ebm": Shape(EBM, points, nets=("energy",)),
    "maml": Shape(MAML, tasks),
    "ddpm": Shape(DDPM, points, nets=("noise",)),
    "sac": Shape(SAC, transitions, ("critic", "actor", "log_alpha"), ("actor", "critic.0", "critic.1", "target.0", "target.1")),
    "ppo": Shape(PPO, rollout, nets=("policy", "value")),
    "vq_vae": Shape(VQVAE, points, nets=("encoder", "decoder")),
    "prior": Shape(Prior, points, nets=("logits",)),
    "dpo": Shape(DPO, preferences, nets=("policy", "reference")),
}


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Steps]:
    """The method of a shape, initialised from `seed`, and its data."""
    torch.manual_seed(seed)
    return SHAPES[name].method().to(dtype), Steps(SHAPES[name].draw, dtype=dtype)
