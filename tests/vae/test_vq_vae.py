"""The VQ-VAE's gradients, and what its code is worth."""

import math

import pytest
import torch
from torch import nn

from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.likelihoods import bernoulli
from deepcanon.vae.vq_vae import VQVAE


def build(quantizer=None) -> VQVAE:
    """Six values, three positions of two dimensions, eight codes."""
    encoder, decoder = nn.Sequential(mlp(6, 16, 6), nn.Unflatten(1, (2, 3))), nn.Sequential(nn.Flatten(), mlp(6, 16, 6))
    return VQVAE(encoder, decoder, quantizer or VectorQuantizer(8, 2)).double()


@pytest.fixture
def x():
    return torch.randn(10, 6, dtype=torch.float64)


@pytest.mark.row("GEN-26")
def test_codes_are_the_nearest_by_brute_force(x):
    method = build()
    z = method.encoder(x).detach()                                               # (B, Z, S)
    for b, codes in enumerate(method.encode(x)):
        for s, code in enumerate(codes):
            assert code == min(range(8), key=lambda j: (z[b, :, s] - method.quantizer.codebook[j]).norm().item())


@pytest.mark.row("GEN-26")
def test_the_encoder_gets_the_gradient_at_the_decoders_input(x):
    method = build()
    z = method.encoder(x)
    q = method.quantizer.codebook[method.encode(x)].mT.detach().requires_grad_()
    (at_decoder,) = torch.autograd.grad(-method.likelihood(method.decoder(q)).log_prob(x).mean(), q)
    expected = torch.autograd.grad(z, list(method.encoder.parameters()), at_decoder)
    found = torch.autograd.grad(method.loss((x,))["reconstruction"], list(method.encoder.parameters()))
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b)


@pytest.mark.row("GEN-26")
def test_the_codebook_learns_from_its_own_term_only_and_the_decoder_from_the_reconstruction_only(x):
    method = build()
    terms = method.loss((x,))
    assert torch.autograd.grad(terms["reconstruction"], method.quantizer.codebook, allow_unused=True, retain_graph=True) == (None,)
    decoder = list(method.decoder.parameters())
    assert torch.autograd.grad(terms["quantization"], decoder, allow_unused=True, retain_graph=True) == (None,) * len(decoder)
    (whole,) = torch.autograd.grad(terms["loss"], method.quantizer.codebook, retain_graph=True)
    (own,) = torch.autograd.grad(terms["quantization"], method.quantizer.codebook)
    assert torch.equal(whole, own)


@pytest.mark.row("GEN-26")
def test_gaussian_reconstruction_is_half_the_squared_error(x):
    method = build()
    error = (method.reconstruct(x) - x).square().sum(1)
    torch.testing.assert_close(method.loss((x,))["reconstruction"], error.mean() / 2 + 3 * math.log(2 * math.pi))
    metrics = method.metrics((x,))
    torch.testing.assert_close(metrics["mse"], error / 6)
    torch.testing.assert_close(metrics["bits"], torch.full((10,), 3 * 3.0, dtype=torch.float64))


@pytest.mark.row("GEN-26")
@pytest.mark.parametrize("make", [VectorQuantizer, AveragedQuantizer])
def test_as_many_codes_as_kinds_of_data_lose_nothing(make):
    kinds = torch.randn(4, 6)
    x = kinds[torch.arange(64) % 4]
    method = VQVAE(nn.Sequential(mlp(6, 32, 2), nn.Unflatten(1, (2, 1))), nn.Sequential(nn.Flatten(), mlp(2, 32, 6)), make(8, 2, restart=0.1))
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    for step in range(800):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 800)
        optimizer.zero_grad()
        method.loss((x,))["loss"].backward()
        optimizer.step()
    assert len(method.eval().encode(kinds).unique()) == 4
    torch.testing.assert_close(method.reconstruct(kinds), kinds, atol=0.1, rtol=0)


@pytest.mark.row("GEN-26")
@pytest.mark.parametrize("beta", [0.25, 1.5])
def test_the_loss_is_the_reconstruction_and_the_squared_distances_of_all_positions(x, beta):
    method = build(VectorQuantizer(8, 2, beta=beta))
    terms, z = method.loss((x,)), method.encoder(x).mT                           # (B, S, Z)
    q = method.quantizer.codebook[torch.cdist(z, method.quantizer.codebook).argmin(2)]
    distance = (z - q).square().sum((1, 2)).mean()
    torch.testing.assert_close(terms["quantization"], (1 + beta) * distance)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + (1 + beta) * distance)


@pytest.mark.row("GEN-26")
def test_perplexity_counts_the_codes_in_use(x):
    method = build()
    codes = method.encode(x).flatten()
    share = codes.bincount(minlength=8) / len(codes)
    expected = torch.exp(-(share[share > 0] * share[share > 0].log()).sum())
    torch.testing.assert_close(method.loss((x,))["perplexity"], expected, check_dtype=False)


@pytest.mark.row("GEN-26")
def test_positions_may_be_a_grid():
    encoder, decoder = nn.Conv2d(1, 4, 2, stride=2), nn.ConvTranspose2d(4, 1, 2, stride=2)
    method, x = VQVAE(encoder, decoder, VectorQuantizer(8, 4)), torch.rand(3, 1, 8, 8)
    assert method.encode(x).shape == (3, 4, 4)
    assert method.reconstruct(x).shape == x.shape
    assert method.decode(method.encode(x)).mean.shape == x.shape


def test_data_of_another_shape_or_value_are_refused():
    method = VQVAE(nn.Identity(), nn.Identity(), VectorQuantizer(4, 2), likelihood=bernoulli)
    for call in (method.loss, method.metrics):
        with pytest.raises(ValueError, match=r"values in \[0, 1\], got some from 16 to 16"):
            call((torch.full((3, 2, 4), 16.0),))
    method = VQVAE(nn.Identity(), nn.Flatten(1), VectorQuantizer(4, 2))
    with pytest.raises(ValueError, match=r"the shape that the decoder makes, \(8,\), got \(2, 4\)"):
        method.loss((torch.rand(3, 2, 4),))
