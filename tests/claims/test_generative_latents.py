"""Claims about the latents of VAEs: each number against what it must be near, and with a fault put in."""

import math
from functools import cache

import pytest
import torch

from deepcanon.claims import generative_latents as latents, index
from deepcanon.metrics.mean_discrepancy import mmd_bound
from tests.claims.generative import faulty, reduced, untrained


@pytest.mark.row("GEN-08", "GEN-21")
def test_a_vae_without_kl_draws_no_data(monkeypatch):
    m = reduced("C-146", "refuted", monkeypatch)
    assert m["level"] == mmd_bound(1000)
    assert m["mmd_at_0"] > 2 * m["level"]
    assert m["mmd_at_1"] < 1.5 * m["level"]
    assert m["difference"] == pytest.approx(m["mmd_at_0"] - m["mmd_at_1"])


@pytest.mark.row("GEN-23")
def test_masked_training_teaches_inpainting(monkeypatch):
    m = reduced("C-147", "confirmed", monkeypatch)
    assert m["masked_error"] < 0.8
    assert m["masked_error_in_turn"] > m["masked_error"]
    assert m["whole_error_in_turn"] < m["whole_error"]


@pytest.mark.row("GEN-21")
def test_a_larger_beta_aligns_latents_and_factors(monkeypatch):
    monkeypatch.setattr(latents, "MIXTURES", 1)
    m = reduced("C-148", "confirmed", monkeypatch)
    assert m["gap_at_4"] > 0.5
    assert m["gain"] == pytest.approx(m["gap_at_4"] - m["gap_at_0.05"])
    assert m["gap_of_draws_at_4"] < m["gap_at_4"] / 2


def test_the_information_gap_is_one_for_the_factors_and_zero_for_even_mixtures():
    factors = torch.rand(20_000, 2)
    turned = (factors - 0.5) @ torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    assert latents.information_gap(factors, factors) == pytest.approx(1, abs=0.01)
    assert latents.information_gap(factors.flip(1) ** 3, factors) == pytest.approx(1, abs=0.01)
    assert latents.information_gap(turned, factors) == pytest.approx(0, abs=0.01)


@pytest.mark.row("GEN-21")
def test_a_small_kl_empties_the_code_and_a_large_one_spoils_the_samples(monkeypatch):
    m = reduced("C-151", "confirmed", monkeypatch)
    assert m["kl_at_100"] < 0.01 < 1 < m["kl_at_1"] < m["kl_at_0.001"]
    assert m["error_at_100"] == pytest.approx(1, abs=0.02)
    assert m["error_at_0.001"] < m["error_at_1"] < 0.01
    assert m["mmd_at_0.001"] > 2 * m["mmd_at_1"]


trained = cache(latents.trained)

FAULTS = [
    ("C-146", {"trained": lambda beta, seed: trained(1.0, 0), "mmd_bound": lambda n: 0.3}),
    ("C-147", {"train": untrained}),
    ("C-151", {"trained": lambda beta, seed: trained(1.0, 0)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
