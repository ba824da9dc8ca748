"""Looking ahead: the gradient through the discriminator's answer, by finite differences."""

import pytest
import torch
from torch import nn

from deepcanon.gans.gan import GAN
from deepcanon.gans.objectives import non_saturating
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source, played


def players():
    torch.manual_seed(0)
    return mlp(2, 6, 3, activation=nn.Tanh).double(), mlp(3, 6, 1, activation=nn.Tanh).double()


def generator_loss(gan, x):
    torch.manual_seed(1)
    updates = gan.losses((x,))
    next(updates)
    player, loss = next(updates)
    assert player == "generator"
    return loss


@pytest.mark.row("GEN-80")
def test_without_a_step_it_is_the_plain_gan():
    x = torch.randn(8, 3, dtype=torch.float64)
    both = UnrolledGAN(*players(), latent_dim=2, unroll=0), GAN(*players(), latent_dim=2, objective=non_saturating)
    torch.testing.assert_close(*(torch.autograd.grad(generator_loss(gan, x), list(gan.generator.parameters())) for gan in both))


@pytest.mark.row("GEN-80")
def test_the_discriminator_takes_an_ordinary_step_and_leaves_the_generator_alone():
    gan, x = (
        UnrolledGAN(*players(), latent_dim=2, unroll=3, inner_lr=0.5),
        torch.randn(8, 3, dtype=torch.float64),
    )
    taken = played(gan, x)
    fake = gan.generator(torch.randn(8, 2, dtype=torch.float64)).detach()
    torch.testing.assert_close(
        taken["discriminator"], expected_source(gan.discriminator(x), gan.discriminator(fake))
    )
    taken["discriminator"].backward()
    assert all(p.grad is None for p in gan.generator.parameters())


@pytest.mark.row("GEN-80")
def test_samples_are_generated_from_standard_normal_latents():
    gan = UnrolledGAN(nn.Linear(2, 3, bias=False), mlp(3, 4, 1), latent_dim=2)
    torch.manual_seed(1)
    x = gan.sample(4)
    torch.manual_seed(1)
    torch.testing.assert_close(x, torch.randn(4, 2) @ gan.generator.weight.detach().T)


@pytest.mark.row("GEN-80")
def test_the_gradient_through_the_answer_equals_finite_differences():
    gan, x = UnrolledGAN(*players(), latent_dim=2, unroll=4, inner_lr=0.5), torch.randn(8, 3, dtype=torch.float64)
    weights = list(gan.generator.parameters())
    gradients = torch.autograd.grad(generator_loss(gan, x), weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        direction, values = torch.randn_like(weight), []
        for sign in (1, -2, 1):
            with torch.no_grad():
                weight += sign * 1e-6 * direction
            values.append(generator_loss(gan, x).item())
        assert (values[0] - values[1]) / 2e-6 == pytest.approx((gradient * direction).sum().item(), rel=1e-5, abs=1e-9)


@pytest.mark.row("GEN-80")
def test_the_generator_answers_for_what_the_discriminator_will_say_of_the_data():
    """With the label of either kind swapped, the loss is D's own with the two scores exchanged."""
    gan, x = UnrolledGAN(*players(), latent_dim=2, unroll=3, inner_lr=0.5), torch.randn(8, 3, dtype=torch.float64)
    loss = generator_loss(gan, x)
    torch.manual_seed(1)
    gan.draw(x)
    fake = gan.draw(x)
    theta = gan.ahead(x, fake)
    a, b = gan.score(theta, x), gan.score(theta, fake)
    torch.testing.assert_close(loss, gan.objective.discriminator(b, a).mean())


@pytest.mark.row("GEN-80")
def test_the_answer_is_that_of_ordinary_steps():
    gan = UnrolledGAN(*players(), latent_dim=2, unroll=3, inner_lr=0.2)
    x, fake = torch.randn(2, 8, 3, dtype=torch.float64)
    theta = gan.ahead(x, fake)
    optimizer = torch.optim.SGD(gan.discriminator.parameters(), lr=0.2)
    for _ in range(3):
        optimizer.zero_grad()
        gan.objective.discriminator(gan.discriminator(x), gan.discriminator(fake)).mean().backward()
        optimizer.step()
    for name, weight in gan.discriminator.named_parameters():
        torch.testing.assert_close(theta[name], weight)


def test_looking_ahead_does_not_move_the_statistics_of_the_discriminator():
    gan = UnrolledGAN(mlp(2, 4, 2), nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), latent_dim=2, unroll=3)
    for _player, _loss in gan.losses((torch.randn(8, 2),)):
        pass
    assert gan.discriminator[1].num_batches_tracked == 2                 # data and generated points, once each
