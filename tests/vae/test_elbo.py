"""The ELBO identity with a latent of finitely many values."""

import pytest
import torch

from deepcanon.vae.evidence import elbo, log_evidence, posterior


@pytest.fixture
def log_joint():
    torch.manual_seed(0)
    prior = torch.randn(6, dtype=torch.float64).log_softmax(-1)                  # p(z), six values
    likelihood = torch.randn(6, 4, dtype=torch.float64).log_softmax(-1)          # p(x|z), four values
    return (prior.unsqueeze(1) + likelihood).T                                   # (x, z)


@pytest.mark.row("GEN-13")
def test_evidence_is_bound_plus_divergence(log_joint):
    log_q = torch.randn(4, 6, dtype=torch.float64).log_softmax(-1)
    gap = (log_q.exp() * (log_q - posterior(log_joint))).sum(-1)                 # KL(q || p(z|x))
    torch.testing.assert_close(log_evidence(log_joint), elbo(log_joint, log_q) + gap, atol=1e-9, rtol=0)
    assert (gap > 1e-3).all()
    assert log_evidence(log_joint).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.row("GEN-13")
def test_the_two_forms_of_the_bound_agree(log_joint):
    log_q = torch.randn(4, 6, dtype=torch.float64).log_softmax(-1)
    log_prior = log_joint.logsumexp(0)
    q = log_q.exp()
    entropy = -(q * log_q).sum(-1)
    bound = elbo(log_joint, log_q)
    torch.testing.assert_close(bound, (q * log_joint).sum(-1) + entropy)
    torch.testing.assert_close(bound, (q * (log_joint - log_prior)).sum(-1) - (q * (log_q - log_prior)).sum(-1))


@pytest.mark.row("GEN-13")
def test_the_bound_is_tight_only_at_the_posterior(log_joint):
    exact = posterior(log_joint)
    torch.testing.assert_close(elbo(log_joint, exact), log_evidence(log_joint), atol=1e-12, rtol=0)
    for scale in (0.01, 0.1, 1.0):
        other = (exact + scale * torch.randn_like(exact)).log_softmax(-1)
        assert (elbo(log_joint, other) < log_evidence(log_joint) - 1e-7).all()
