"""Claims about the evidence lower bound: each number against its closed form, and with a fault put in."""

import pytest
import torch

from deepcanon.claims import index
from deepcanon.vae.evidence import elbo
from deepcanon.vae.likelihoods import gaussian, gaussian_learned
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.vae import VAE
from tests.claims.generative import faulty
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-12")
def test_entropy_keeps_a_posterior_wide():
    m = measured("C-143", "confirmed")
    assert m["deviation_with_entropy"] == pytest.approx(0.7)
    assert m["deviation_without"] < (1 - 0.1) ** 100                   # every step takes 0.1 / 0.49 of it
    assert m["mean_without"] == pytest.approx(m["mean_with_entropy"]) == pytest.approx(0.5)


@pytest.mark.row("GEN-13")
def test_the_evidence_is_bound_plus_divergence():
    m = measured("C-144", "confirmed")
    assert max(m["identity_gap"], m["gap_at_posterior"]) < 1e-12
    assert m["least_divergence"] > 0.01


@pytest.mark.row("GEN-16")
def test_a_vae_is_a_function_of_input_and_noise():
    m = measured("C-150", "refuted")
    assert m["difference"] > 0.1
    assert m["difference_with_same_noise"] == 0
    assert m["slope"] > 0.1


@pytest.mark.row("GEN-15", "GEN-16")
def test_reparameterized_gradients_vary_less():
    m = measured("C-152", "confirmed")
    assert m["variance_ratio"] > m["ratio_with_8_draws"] > 5
    assert m["mean_gap"] < 4
    assert m["categorical_draws_moved"] == 0


@pytest.mark.row("GEN-12")
def test_posteriors_of_their_own_are_counted():
    m = measured("C-153", "confirmed")
    theta = 3 * 16 + 16 + 16 * 8 + 8
    assert (m["theta"], m["of_100_points"], m["of_1000_points"]) == (theta, theta + 600, theta + 6000)
    assert m["with_encoder"] == theta + 8 * 16 + 16 + 16 * 6 + 6


def scored(table, decoder, *, latent_dim, likelihood):
    """A score-function estimate in place of a reparameterized one."""
    return ScoreFunctionVAE(table, decoder, latent_dim=latent_dim, posterior=gaussian_learned, prior=gaussian,
                            samples=1, likelihood=likelihood)


FAULTS = [
    ("C-143", {"gaussian_entropy": torch.zeros_like}),
    ("C-144", {"elbo": lambda log_joint, log_q: elbo(log_joint, log_q) + 0.01}),
    ("C-150", {"reparameterise": lambda mu, log_var: mu}),
    ("C-152", {"VAE": scored}),
    ("C-153", {"PerPointVI": lambda decoder, *, num_points, latent_dim:
               VAE(torch.nn.Linear(8, 6), decoder, latent_dim=latent_dim)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
