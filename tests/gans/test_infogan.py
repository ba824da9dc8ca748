"""The bound on the information of a code."""

import math

import pytest
import torch
from torch import nn

from deepcanon.gans.infogan import InfoGAN
from deepcanon.nets.conditional import Joined
from deepcanon.nets.perceptron import mlp

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


def test_the_players_and_the_sure_code():
    gan = InfoGAN(Joined(mlp(2 + K, 3), K), mlp(3, 8, 1), mlp(3, 8, K), latent_dim=2, num_codes=K)
    assert [player for player, _ in gan.losses((torch.randn(6, 3),))] == ["discriminator", "reader", "generator"]
    torch.testing.assert_close(gan.encode(torch.randn(4, 3)).sum(1), torch.ones(4))
