"""R1 and R2 by hand and by finite differences, and the game that they make converge."""

import pytest
import torch
from torch import nn

from deepcanon.gans.gan import GAN, clip
from deepcanon.gans.objectives import relativistic, smoothed, wasserstein
from deepcanon.gans.penalties import at_data, gradients, in_units, towards_one, zero_centred
from deepcanon.gans.wgan import WGANGP
from deepcanon.nets.perceptron import mlp


@pytest.fixture(name="score")
def _score():
    return mlp(3, 8, 1, activation=nn.Tanh).double()


@pytest.mark.row("GEN-79")
def test_the_penalties_are_squared_gradients_by_finite_differences(score):
    x, fake = torch.randn(2, 5, 3, dtype=torch.float64)
    eps = 1e-6 * torch.eye(3, dtype=torch.float64)

    def squared(u):
        slope = torch.stack([(score(u + e) - score(u - e)).flatten() / 2e-6 for e in eps], 1)
        return slope.square().sum(1).mean().item()

    assert zero_centred(2.0)(score, x, fake).item() == pytest.approx(squared(x), rel=1e-6)
    assert zero_centred(0.0, 2.0)(score, x, fake).item() == pytest.approx(squared(fake), rel=1e-6)
    assert zero_centred(1.0, 4.0)(score, x, fake).item() == pytest.approx(squared(x) / 2 + 2 * squared(fake), rel=1e-6)


@pytest.mark.row("GEN-79")
def test_the_gradient_of_the_penalty_equals_finite_differences(score):
    x, fake = torch.randn(2, 5, 3, dtype=torch.float64)
    penalty, weight = zero_centred(1.0, 1.0), score[0].weight
    (gradient,) = torch.autograd.grad(penalty(score, x, fake), weight)
    direction, values = torch.randn_like(weight), []
    for sign in (1, -2):
        with torch.no_grad():
            weight.add_(sign * 1e-6 * direction)
        values.append(penalty(score, x, fake).item())
    assert (values[0] - values[1]) / 2e-6 == pytest.approx((gradient * direction).sum().item(), rel=1e-5)


@pytest.mark.row("GEN-79")
def test_the_dirac_gan_circles_without_penalties_and_converges_with_them():
    """Data at 0, the generator at theta, D(x) = psi x: under the bilinear objective gradient steps circle for ever (Mescheder et al. 2018)."""

    class Dirac(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.ones(1))

        def forward(self, z):
            return self.theta.expand(len(z), 1)

    def distance(objective, penalty):
        generator, discriminator = Dirac(), nn.Linear(1, 1, bias=False)
        nn.init.ones_(discriminator.weight)
        gan = GAN(generator, discriminator, latent_dim=1, objective=objective, penalty=penalty)
        for _ in range(600):
            for player, loss in gan.losses((torch.zeros(4, 1),)):
                weights = list(getattr(gan, player).parameters())
                for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                    with torch.no_grad():
                        w -= 0.1 * g
        return (generator.theta.square() + discriminator.weight.square()).sqrt().item()

    assert distance(wasserstein, None) > 1
    assert distance(wasserstein, zero_centred(1.0, 1.0)) < 0.01
    assert distance(relativistic, zero_centred(1.0, 1.0)) < 0.01


@pytest.mark.row("GEN-69")
def test_the_gan_of_that_penalty_is_wgan_gp():
    torch.manual_seed(0)
    generator, critic, x = mlp(2, 8, 3), mlp(3, 8, 1), torch.randn(6, 3)
    losses = []
    for gan in (WGANGP(generator, critic, latent_dim=2, critic_steps=2),
                GAN(generator, critic, latent_dim=2, objective=wasserstein, penalty=towards_one(10.0), discriminator_steps=2)):
        torch.manual_seed(1)
        losses.append([loss.item() for _, loss in gan.losses((x,))])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.row("GEN-69", "GEN-79")
def test_the_penalties_of_a_linear_score_by_hand_and_in_units():
    """D(x) = 3 x_1 - 4 x_2, of slope 5; in units of 2 and 0.5 it is 6 v_1 - 2 v_2."""
    score, x, fake = (lambda u: u @ torch.tensor([3.0, -4.0])), torch.randn(6, 2), torch.randn(6, 2)
    units = torch.tensor([2.0, 0.5])
    assert towards_one()(score, x, fake).item() == pytest.approx(10 * 16)
    assert towards_one(0.5, where=at_data)(score, x, fake).item() == pytest.approx(0.5 * 16)
    assert zero_centred(0.4, 0.2)(score, x, fake).item() == pytest.approx(0.3 * 25, rel=1e-5)
    assert in_units(zero_centred(1.0), units)(score, x, fake).item() == pytest.approx(40 / 2, rel=1e-5)
    assert in_units(towards_one(1.0), units)(score, x, fake).item() == pytest.approx(
        (40**0.5 - 1) ** 2, rel=1e-5
    )


@pytest.mark.row("GEN-79")
def test_in_units_the_points_are_the_same():
    """D(x) = x_1^2 / 2 has the slope x_1 there: in units of 3 it is 3 x_1, at x and not at x / 3."""
    x, fake, seen = torch.tensor([[6.0], [9.0]]), torch.tensor([[3.0], [0.0]]), []

    def score(u):
        seen.append(u.detach())
        return u[:, 0].square() / 2

    penalty = in_units(zero_centred(1.0, 1.0), torch.tensor([3.0]))
    assert penalty(score, x, fake).item() == pytest.approx(9 * (36 + 81 + 9 + 0) / 4)
    torch.testing.assert_close(torch.stack(seen), torch.stack([x, fake]))


@pytest.mark.row("GEN-79")
def test_gradients_are_one_row_an_example():
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(gradients(lambda u: u.square().sum((1, 2)), x), 2 * x.flatten(1))


@pytest.mark.parametrize(("make", "words"), [
    (lambda: zero_centred(-1.0), "weights of 0 or more, one of them above 0, got -1.0 and 0.0"),
    (lambda: zero_centred(0.0), "one of them above 0"),
    (lambda: clip(-1.0), "a number above 0, got -1"),
    (lambda: smoothed(9.0), r"a smoothed label in \(0, 1\], got 9")])
def test_senseless_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
