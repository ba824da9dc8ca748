"""Claims about decoders and their likelihoods: numbers against closed forms, and with a fault put in."""

import math

import pytest
import torch
from torch.distributions import Independent, Laplace

from deepcanon.claims import index
from tests.claims.generative import faulty
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-14", "GEN-18")
def test_a_sharper_flexible_decoder_closes_the_gap_and_a_fixed_one_does_not():
    m = measured("C-145", "confirmed")
    assert m["gap_at_0.5"] > m["gap_at_0.1"] > m["gap_at_0.02"] > -0.002
    assert m["gap_at_0.02"] < 0.005
    assert m["entropy"] == pytest.approx(math.log(2 * math.pi * math.e) / 2, abs=0.01)   # log 2 + log 1/2
    assert m["nll_at_0.02"] == pytest.approx(m["entropy"], abs=0.002)
    assert 0.2 < m["gap_of_fixed_decoder"] < math.log(2)               # two modes alike, and q has one


@pytest.mark.row("GEN-11")
def test_a_gaussian_likelihood_is_a_squared_error():
    m = measured("C-149", "confirmed")
    assert m["constant"] == pytest.approx(12 * (math.log(0.5) + math.log(2 * math.pi) / 2))
    assert m["spread"] < 1e-9


FAULTS = [
    ("C-145", {"refine": lambda vae, x, **options: (torch.zeros_like(x), torch.zeros_like(x))}),
    ("C-149", {"gaussian": lambda mean, sigma: Independent(Laplace(mean, sigma), 1)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
