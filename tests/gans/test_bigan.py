"""An encoder that inverts its generator."""

import pytest
import torch
from torch import nn

from deepcanon.engine import Adam, Trainer, linear
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.penalties import zero_centred
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source, played


class Stretched:
    """Points A z with a known invertible A."""

    A = torch.tensor([[1.5, 0.5], [0.0, 0.8]])

    def at(self, step):
        return (torch.randn(128, 2) @ self.A.T,)


@pytest.mark.row("GEN-82")
def test_the_encoder_inverts_a_linear_generator():
    gan = BiGAN(nn.Linear(2, 2), nn.Linear(2, 2), mlp(4, 32, 32, 1, activation=nn.SiLU), latent_dim=2, penalty=zero_centred(0.3, 0.3))
    Trainer(gan, Stretched(), Adam(1e-2, betas=(0.5, 0.9), schedule=linear()), total=500).run()
    z = torch.randn(1_000, 2)
    with torch.no_grad():
        error = (gan.encode(gan.generator(z)) - z).norm(dim=1).mean()
        drawn = gan.generator(z)
    assert error < 0.15
    torch.testing.assert_close(drawn.T.cov(), Stretched.A @ Stretched.A.T, atol=0.4, rtol=0)


@pytest.mark.row("GEN-82")
@pytest.mark.parametrize("penalty", [None, zero_centred(0.3, 0.3)])
def test_the_losses_are_the_cross_entropies_of_pairs(penalty):
    """The judge tells (x, E(x)) from (G(z), z); generator and encoder, each for its pair, fool it."""
    gan = BiGAN(nn.Linear(2, 3), nn.Linear(3, 2), mlp(5, 8, 1), latent_dim=2, penalty=penalty).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    taken = played(gan, x)
    assert list(taken) == ["discriminator", "generator", "encoder"]
    z = torch.randn(6, 2, dtype=torch.float64)
    real, fake = torch.cat([x, gan.encoder(x)], 1), torch.cat([gan.generator(z), z], 1)
    a, b = gan.discriminator(real), gan.discriminator(fake)
    added = penalty(gan.discriminator, real.detach(), fake.detach()) if penalty else 0
    torch.testing.assert_close(taken["discriminator"], expected_source(a, b) + added)
    torch.testing.assert_close(taken["generator"], -b.sigmoid().log().mean())
    torch.testing.assert_close(taken["encoder"], -(1 - a.sigmoid()).log().mean())
    taken["discriminator"].backward(retain_graph=True)
    assert all(p.grad is None for net in (gan.generator, gan.encoder) for p in net.parameters())


@pytest.mark.row("GEN-82")
def test_samples_are_generated_and_codes_encoded():
    gan, x = BiGAN(nn.Linear(2, 3), nn.Linear(3, 2), mlp(5, 1), latent_dim=2), torch.randn(4, 3)
    torch.manual_seed(1)
    drawn = gan.sample(5)
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, gan.generator(torch.empty(5, 2).normal_()).detach())
    torch.testing.assert_close(gan.encode(x), gan.encoder(x).detach())


@pytest.mark.row("GEN-82")
def test_the_inversion_error_is_zero_for_an_inverse_and_one_for_a_guess():
    z = torch.randn(500, 3)
    assert BiGAN(nn.Identity(), nn.Identity(), mlp(6, 1), latent_dim=3).metrics((z,))["inversion_error"].max() == 0

    class Blind(nn.Module):
        def forward(self, x):
            return torch.randn_like(x)

    assert BiGAN(nn.Identity(), Blind(), mlp(6, 1), latent_dim=3).metrics((z,))["inversion_error"].mean().item() == pytest.approx(1, abs=0.1)
