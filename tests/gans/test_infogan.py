"""The bound on the information of a code."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import nll_loss

from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.penalties import zero_centred
from deepcanon.nets.conditional import Joined
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source, played

K = 5


class OneHot(nn.Module):
    """A generator that shows its code."""

    def __init__(self, noise=0.0):
        super().__init__()
        self.eye, self.noise = nn.Parameter(torch.eye(K)), noise

    def forward(self, z, c):
        return self.eye[c] + self.noise * z


@pytest.mark.row("GEN-74")
def test_the_bound_is_the_entropy_for_a_code_that_can_be_decoded():
    reader = nn.Linear(K, K, bias=False)
    with torch.no_grad():
        reader.weight.copy_(40 * torch.eye(K))
    gan = InfoGAN(OneHot(), mlp(K, 1), reader, latent_dim=K, num_codes=K)
    c = gan.codes(100)
    assert gan.information(gan.draw(c), c).item() == pytest.approx(math.log(K), abs=1e-6)


@pytest.mark.row("GEN-74")
def test_the_bound_lies_below_the_information_and_so_below_the_entropy():
    """x = c + noise on a line; the information is known from the posterior, which no reader beats."""
    c = torch.arange(4_000) % K
    x = c.unsqueeze(1) + torch.randn(4_000, 1)
    posterior = -(x - torch.arange(K)).square() / 2
    gan = InfoGAN(Joined(mlp(2 + K, 1), K), mlp(1, 1), nn.Identity(), latent_dim=2, num_codes=K)
    best = gan.information(posterior, c)
    assert best < math.log(K)
    for reader in (mlp(1, 16, K), nn.Linear(1, K)):
        other = InfoGAN(Joined(mlp(2 + K, 1), K), mlp(1, 1), reader, latent_dim=2, num_codes=K)
        assert other.information(x, c) < best


@pytest.mark.row("GEN-74")
@pytest.mark.parametrize("penalty", [None, zero_centred(0.5)])
def test_the_losses_are_the_games_and_the_information_of_the_code(penalty):
    gan = InfoGAN(
        Joined(mlp(2 + K, 3), K),
        mlp(3, 8, 1),
        mlp(3, 8, K),
        latent_dim=2,
        num_codes=K,
        weight=0.3,
        penalty=penalty,
    ).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    taken = played(gan, x)
    assert list(taken) == ["discriminator", "reader", "generator"]
    c = torch.randint(K, (6,))
    first, second = (gan.generator(torch.empty(6, 2, dtype=torch.float64).normal_(), c) for _ in range(2))
    D, Q = gan.discriminator, gan.reader
    added = penalty(D, x, first.detach()) if penalty else 0
    torch.testing.assert_close(taken["discriminator"], added + expected_source(D(x), D(first)))
    torch.testing.assert_close(taken["reader"], nll_loss(Q(first).log_softmax(1), c) - math.log(K))
    fooled = -D(second).sigmoid().log().mean()
    torch.testing.assert_close(
        taken["generator"], fooled - 0.3 * (math.log(K) - nll_loss(Q(second).log_softmax(1), c))
    )


@pytest.mark.row("GEN-74")
def test_readers_and_discriminators_updates_leave_the_generator_alone_and_its_own_does_not():
    gan = InfoGAN(Joined(mlp(2 + K, 3), K), mlp(3, 8, 1), mlp(3, 8, K), latent_dim=2, num_codes=K)
    for player, loss in gan.losses((torch.randn(6, 3),)):
        gan.zero_grad()
        loss.backward()
        moved = {name for name, p in gan.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert any(name.startswith("generator") for name in moved) == (player == "generator")


@pytest.mark.row("GEN-74")
def test_the_code_is_read_by_the_softmax_and_shown_by_the_samples():
    gan = InfoGAN(OneHot(), mlp(K, 1), nn.Identity(), latent_dim=K, num_codes=K)
    logits = torch.randn(4, K)
    torch.testing.assert_close(gan.encode(logits), logits.exp() / logits.exp().sum(1, keepdim=True))
    assert torch.equal(gan.sample(7), torch.eye(K)[[0, 1, 2, 3, 4, 0, 1]])
    assert torch.equal(gan.sample(2, torch.tensor([3, 3])), torch.eye(K)[[3, 3]])
    counts = gan.codes(5_000).bincount(minlength=K)
    assert ((counts - 1_000).abs() < 4.5 * math.sqrt(5_000 * 0.2 * 0.8)).all()
    gan.generator.noise = 0.1
    torch.manual_seed(1)
    noisy = gan.sample(2)
    torch.manual_seed(1)
    torch.testing.assert_close(noisy, torch.eye(K)[:2] + 0.1 * torch.randn(2, K))
