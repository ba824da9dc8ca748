"""Quantizers: which code, whose gradient, and how codebooks move."""

import pytest
import torch
from torch import nn

from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer, nearest, straight_through
from deepcanon.vae.vq_vae import VQVAE


@pytest.fixture
def z():
    return torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)


@pytest.mark.row("GEN-26")
def test_the_nearest_code_is_that_of_brute_force(z):
    codebook = torch.randn(11, 3, dtype=torch.float64)
    expected = torch.tensor([[min(range(11), key=lambda j: (v - codebook[j]).norm().item()) for v in row] for row in z.detach()])
    assert torch.equal(nearest(z, codebook), expected)


@pytest.mark.row("GEN-26")
def test_the_quantized_vectors_pass_their_gradient_straight_to_the_encoder(z):
    quantizer = VectorQuantizer(11, 3).double()
    vectors, codes, _ = quantizer(z)
    torch.testing.assert_close(vectors, quantizer.codebook[codes])
    upstream = torch.randn_like(vectors)
    gradient, none = torch.autograd.grad(vectors, [z, quantizer.codebook], upstream, allow_unused=True)
    assert torch.equal(gradient, upstream)
    assert none is None


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    z, q = (torch.randn(4, 2, requires_grad=True) for _ in range(2))
    out = straight_through(z, q)
    torch.testing.assert_close(out, q)
    (one,) = torch.autograd.grad(out.sum(), z, retain_graph=True)
    assert torch.equal(one, torch.ones_like(z))
    assert torch.autograd.grad(out.sum(), q, allow_unused=True) == (None,)


@pytest.mark.row("GEN-26")
@pytest.mark.parametrize("beta", [0.25, 1.0, 0.0])
def test_the_commitment_is_beta_times_the_codebook_term(z, beta):
    """d ||sg(z) - q||^2 / dq = -2 (z - q), and the encoder gets 2 beta (z - q): the ratio is -beta."""
    quantizer = VectorQuantizer(11, 3, beta=beta).double()
    _, codes, loss = quantizer(z)
    to_encoder, to_codebook = torch.autograd.grad(loss.sum(), [z, quantizer.codebook])
    pull = 2 * (z - quantizer.codebook[codes]).detach()
    torch.testing.assert_close(to_encoder, beta * pull)
    expected = torch.zeros_like(to_codebook).index_add_(0, codes.flatten(), -pull.flatten(0, 1))
    torch.testing.assert_close(to_codebook, expected)
    torch.testing.assert_close(loss, (1 + beta) * pull.square().sum(-1) / 4)


@pytest.mark.row("GEN-26")
def test_the_averaged_codebook_follows_its_closed_form(z):
    """After t batches n_j = gamma^t + (1 - gamma) sum_s gamma^(t - s) n_j^s, and the same of the sums: the code is their quotient."""
    gamma, quantizer = 0.9, AveragedQuantizer(4, 3, decay=0.9).double()
    count, total = torch.ones(4, dtype=torch.float64), quantizer.codebook.clone()
    for _ in range(3):
        batch = torch.randn(6, 5, 3, dtype=torch.float64)
        before = quantizer.codebook.clone()
        vectors, codes, loss = quantizer(batch)
        torch.testing.assert_close(vectors, before[codes])
        torch.testing.assert_close(loss, 0.25 * (batch - before[codes]).square().sum(-1))
        for j in range(4):
            mine = batch[codes == j]
            count[j] = gamma * count[j] + (1 - gamma) * len(mine)
            total[j] = gamma * total[j] + (1 - gamma) * mine.sum(0)
        torch.testing.assert_close(quantizer.codebook, total / count.unsqueeze(1))


def test_the_averaged_codebook_has_no_gradient_and_rests_in_evaluation(z):
    quantizer = AveragedQuantizer(4, 3).double().eval()
    before = quantizer.codebook.clone()
    _, codes, loss = quantizer(z)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    torch.testing.assert_close(gradient, 2 * 0.25 * (z - before[codes]).detach())
    assert torch.equal(quantizer.codebook, before)
    assert not list(quantizer.parameters())


def test_with_full_forgetting_the_averaged_codebook_is_a_step_of_k_means(z):
    quantizer = AveragedQuantizer(2, 3, decay=0.0).double()
    _, codes, _ = quantizer(z)
    for j in codes.unique():
        torch.testing.assert_close(quantizer.codebook[j], z[codes == j].mean(0).detach())


@pytest.mark.parametrize("make", [VectorQuantizer, AveragedQuantizer])
def test_dead_codes_start_anew_at_vectors_of_the_batch(make):
    x = torch.randn(64, 2)
    dead, restarted = make(16, 2), make(16, 2, restart=0.1)
    with torch.no_grad():
        for quantizer in (dead, restarted):
            for codes in [quantizer.codebook, *([quantizer.total] if make is AveragedQuantizer else [])]:
                codes[1:] = 100.0                                                # far from everything: one code takes all
            for _ in range(400):
                quantizer(x)
    assert len(nearest(x, dead.codebook).unique()) == 1
    assert len(nearest(x, restarted.codebook).unique()) > 8
    assert restarted.codebook.abs().max() < 50


@pytest.mark.parametrize(("make", "words"), [
    (lambda: VectorQuantizer(1, 3), "expected 2 codes or more of dimension 1 or more, got 1 of 3"),
    (lambda: AveragedQuantizer(8, 0), "expected 2 codes or more of dimension 1 or more, got 8 of 0"),
    (lambda: AveragedQuantizer(8, 2, decay=1.0), r"expected a decay in \[0, 1\), got 1.0"),
    (lambda: VectorQuantizer(8, 2)(torch.randn(5, 3)), r"expected vectors of the codes' dimension 2, got \(5, 3\)")])
def test_senseless_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_nearest_code_far_from_zero_and_under_autocast():
    codebook = 1000 + torch.rand(16, 4)
    z = codebook[torch.arange(16).repeat(4)] + 0.01 * torch.randn(64, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert nearest(z, codebook).tolist() == list(range(16)) * 4


def test_codes_that_no_vector_is_near_stay_where_they_are():
    quantizer = AveragedQuantizer(2, 1, decay=0.5)
    quantizer.codebook.copy_(torch.tensor([[0.0], [9.0]]))
    quantizer.total.copy_(quantizer.codebook)
    for _ in range(100):
        quantizer(torch.ones(4, 1))
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[1.0], [9.0]]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("make", [VectorQuantizer, AveragedQuantizer])
def test_a_vector_that_is_not_finite_has_no_code_and_its_loss_says_so(make, bad):
    z = torch.randn(5, 3)
    z[2, 1] = bad
    quantizer = make(8, 3)
    with torch.no_grad(), pytest.raises(ValueError, match=r"^expected finite values, got 1 of 15 that are nan or inf$"):
        quantizer(z)
    vectors, _, loss = make(8, 3)(z.requires_grad_())
    assert not loss[2].isfinite()
    assert not vectors[2].isfinite().all()
    assert loss[[0, 1, 3, 4]].isfinite().all()


def test_codes_of_nan_are_refused_by_the_autoencoder():
    method = VQVAE(nn.Linear(4, 3), nn.Linear(3, 4), VectorQuantizer(8, 3))
    with torch.no_grad():
        method.encoder.weight[1] = float("nan")
    with pytest.raises(ValueError, match=r"^expected finite values, got 2 of 6 that are nan or inf$"):
        method.encode(torch.tensor([[0.0, 1, 2, 3], [0, 1, 2, 3]]))
