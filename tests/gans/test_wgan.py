"""WGAN-GP against critics whose slope is known, finite differences, and a distance that is known."""

import pytest
import torch
from torch import nn

from deepcanon.gans.penalties import at_data, between
from deepcanon.gans.wasserstein import on_the_line
from deepcanon.gans.wgan import WGANGP
from deepcanon.nets.perceptron import mlp


def linear_critic(norm):
    critic = nn.Linear(6, 1).double()
    with torch.no_grad():
        critic.weight.mul_(norm / critic.weight.norm())
    return critic


@pytest.mark.row("GEN-69")
@pytest.mark.parametrize("where", [between, at_data])
@pytest.mark.parametrize("norm", [1.0, 0.3, 2.5])
def test_a_linear_critic_pays_for_its_norm(norm, where):
    torch.manual_seed(0)
    gan = WGANGP(mlp(2, 6), linear_critic(norm), latent_dim=2, where=where)
    penalty = gan.slope_penalty(*torch.randn(2, 9, 6, dtype=torch.float64))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)


@pytest.mark.row("GEN-69")
def test_the_two_places_of_the_penalty():
    torch.manual_seed(0)
    x, fake = torch.randn(2, 50, 3, 2, dtype=torch.float64)
    t = (between(x, fake) - fake) / (x - fake)
    torch.testing.assert_close(t, t[:, :1, :1].expand_as(t))                     # one t an example
    assert ((t > 0) & (t < 1)).all()
    assert 0.2 < t.std() < 0.4
    assert at_data(x, fake) is x


@pytest.mark.row("GEN-69")
def test_the_gradient_of_the_penalty_equals_finite_differences():
    torch.manual_seed(0)
    gan = WGANGP(mlp(2, 3), mlp(3, 8, 1, activation=nn.Tanh).double(), latent_dim=2, where=at_data)
    x = torch.randn(5, 3, dtype=torch.float64)
    parameters = list(gan.critic.parameters())[:-1]                              # the last bias moves no slope
    gradients = torch.autograd.grad(gan.slope_penalty(x, x), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction, eps = torch.randn_like(parameter), 1e-6
        with torch.no_grad():
            values = []
            for sign in (1, -2, 1):
                parameter.add_(sign * eps * direction)
                with torch.enable_grad():
                    values.append(gan.slope_penalty(x, x).item())
        assert (values[0] - values[1]) / (2 * eps) == pytest.approx((gradient * direction).sum().item(), rel=1e-5, abs=1e-8)


@pytest.mark.row("GEN-69")
def test_the_trained_critic_has_slope_one_and_its_value_is_the_distance():
    """Data N(d, 0.1^2), a generator that stays at N(0, 0.1^2): W1 = d = 1/2. The penalised optimum is steeper than one by d / (2 lam), 2.5 %."""
    torch.manual_seed(0)
    generator = nn.Linear(1, 1)
    with torch.no_grad():
        generator.weight.fill_(0.1), generator.bias.zero_()
    gan = WGANGP(generator, mlp(1, 64, 64, 1, activation=nn.SiLU), latent_dim=1, critic_steps=1)
    with torch.no_grad():                                                        # start on the right side: slope -1 is a local optimum too
        gan.critic[-1].weight.mul_((gan.critic(torch.ones(1, 1)) - gan.critic(torch.zeros(1, 1))).sign())
    optimizer = torch.optim.Adam(gan.critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 500)
        player, loss = next(gan.losses((0.5 + 0.1 * torch.randn(256, 1),)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert player == "critic"
    x, fake = 0.5 + 0.1 * torch.randn(4_000, 1), gan.sample(4_000)
    known = on_the_line(x[:, 0], fake[:, 0])
    assert gan.distance(x, fake).mean().item() == pytest.approx(known.item(), rel=0.05)
    u = between(x, fake).requires_grad_()
    (slope,) = torch.autograd.grad(gan.critic(u).sum(), u)
    assert slope.abs().mean().item() == pytest.approx(1, abs=0.05)
    assert gan.slope_penalty(x, fake) < 0.02


@pytest.mark.row("GEN-69")
@pytest.mark.parametrize("units", [None, torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)])
def test_the_losses_are_the_difference_of_the_means_and_the_weighted_penalty(units):
    """At the data; the slope of a critic tanh(w x) is (1 - tanh^2(w x)) w, times the units."""
    critic = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Tanh())
    gan = WGANGP(
        mlp(2, 3), critic, latent_dim=2, critic_steps=2, penalty=7.0, where=at_data, units=units
    ).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    taken, w = played_in_turn(gan, x), critic[0].weight[0]
    for share, (player, loss) in zip((x[:4], x[4:]), taken[:2], strict=True):
        fake, value = gan.generator(torch.randn(len(share), 2, dtype=torch.float64)), torch.tanh(share @ w)
        slope = (1 - value.square()) * (w if units is None else w * units).norm()
        assert player == "critic"
        torch.testing.assert_close(
            loss, torch.tanh(fake @ w).mean() - value.mean() + 7 * (slope - 1).square().mean()
        )
    fake = gan.generator(torch.randn(3, 2, dtype=torch.float64))
    assert taken[2][0] == "generator"
    torch.testing.assert_close(taken[2][1], -torch.tanh(fake @ w).mean())
    torch.manual_seed(2)
    measured = gan.metrics((x,))["distance"]
    torch.manual_seed(2)
    fake = gan.generator(torch.randn(7, 2, dtype=torch.float64))
    torch.testing.assert_close(measured, torch.tanh(x @ w) - torch.tanh(fake @ w))


def played_in_turn(method, *batch):
    """The (player, loss) of a step without updates; the random numbers then begin again as for it."""
    torch.manual_seed(1)
    taken = list(method.losses(batch))
    torch.manual_seed(1)
    return taken


@pytest.mark.row("GEN-69")
def test_samples_are_generated_from_standard_normal_latents():
    gan = WGANGP(nn.Linear(2, 3, bias=False), mlp(3, 1), latent_dim=2)
    torch.manual_seed(1)
    x = gan.sample(4)
    torch.manual_seed(1)
    torch.testing.assert_close(x, torch.randn(4, 2) @ gan.generator.weight.detach().T)


@pytest.mark.row("GEN-69")
def test_the_players_take_turns_and_each_critic_update_has_its_own_data():
    gan = WGANGP(mlp(2, 6), mlp(6, 8, 1), latent_dim=2, critic_steps=3)
    assert [player for player, _ in gan.losses((torch.randn(12, 6),))] == ["critic"] * 3 + ["generator"]


def test_critic_updates_leave_the_generator_alone():
    gan = WGANGP(mlp(2, 6), mlp(6, 8, 1), latent_dim=2, critic_steps=1)
    updates = gan.losses((torch.randn(4, 6),))
    next(updates)[1].backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    next(updates)[1].backward()
    assert all(p.grad is not None for p in gan.generator.parameters())


def test_a_batch_too_small_for_the_critic_is_refused():
    with pytest.raises(ValueError, match="5 examples or more"):
        list(WGANGP(mlp(2, 6), mlp(6, 1), latent_dim=2).losses((torch.randn(4, 6),)))
