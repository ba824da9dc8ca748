"""The latent variable model whose likelihood and posterior are known."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.vae import VAE

SIGMA = 0.7


@pytest.fixture
def linear_gaussian():
    """x = W z + b + s e, with z ~ N(0, I_2), e ~ N(0, I_5): p(x) = N(b, W W' + s^2 I) and p(z|x) are known; W's columns are orthogonal,
    so that the posterior is diagonal and the encoder below is exact."""
    torch.manual_seed(0)
    decoder, encoder = nn.Linear(2, 5).double(), nn.Linear(5, 4).double()
    with torch.no_grad():
        decoder.weight.copy_(torch.linalg.qr(torch.randn(5, 2, dtype=torch.float64)).Q * torch.tensor([1.5, 0.8]))
        w, b = decoder.weight.clone(), decoder.bias.clone()
        covariance = torch.linalg.inv(torch.eye(2) + w.T @ w / SIGMA**2)         # of z given x
        gain = covariance @ w.T / SIGMA**2
        encoder.weight.copy_(torch.cat([gain, torch.zeros(2, 5)]))
        encoder.bias.copy_(torch.cat([-gain @ b, covariance.diagonal().log()]))
    exact = MultivariateNormal(b, w @ w.T + SIGMA**2 * torch.eye(5).double())
    return VAE(encoder, decoder, latent_dim=2, likelihood=partial(gaussian, sigma=SIGMA)), exact
