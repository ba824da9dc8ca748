"""Claims about normalizing flows: each number against its closed form, and with a fault put in."""

import math
from functools import partial

import pytest

from deepcanon.claims import index
from deepcanon.flows.flow import Chain
from deepcanon.flows.maf_flow import MaskedAutoregressive
from deepcanon.flows.nice_flow import nice
from deepcanon.flows.realnvp_flow import AffineCoupling
from deepcanon.foundations.optimizers import Adam
from tests.claims.generative import faulty, reduced
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-36")
def test_without_the_prior_the_volume_explodes(monkeypatch):
    m = reduced("C-159", "refuted", monkeypatch)
    for step in (75, 150):                                             # Adam: one rate a step, in both scales
        assert m[f"log_volume_with_{step}"] == pytest.approx(0, abs=0.3)
        assert m[f"log_volume_without_{step}"] == pytest.approx(2 * 0.05 * step, rel=0.01)
    assert 10 ** m["log10_nll_with"] == pytest.approx(math.log(2 * math.pi * math.e), abs=0.3)
    assert m["log10_nll_without"] > 5


@pytest.mark.row("GEN-38")
def test_a_coupling_is_inverted_whatever_its_net():
    m = measured("C-160", "refuted")
    assert max(m["relu_error"], m["relu_determinant_gap"]) < 1e-12
    assert max(m["constant_error"], m["constant_determinant_gap"]) < 1e-12
    assert m["relu_collisions"] > 400


@pytest.mark.row("GEN-37", "GEN-38")
def test_nice_without_scaling_keeps_its_distance_from_stretched_data(monkeypatch):
    m = reduced("C-162", "confirmed", monkeypatch)
    assert m["nice_log_volume"] == 0
    assert m["bound"] == pytest.approx(10 - 1 - math.log(100) / 2)     # E|z|^2 / 2 is 10 at least
    assert m["nice_gap"] > m["bound"]
    assert max(m["nice_with_scaling_gap"], m["realnvp_gap"]) < 0.5
    assert m["realnvp_log_volume"] == pytest.approx(-math.log(10), abs=0.5)


@pytest.mark.row("GEN-36")
def test_a_determinant_takes_more_than_a_square_of_its_size():
    m = measured("C-163", "confirmed")
    assert 2 < m["general_slope"] < 3.5
    assert 0.5 < m["triangular_slope"] < 1.5


@pytest.mark.row("GEN-40", "GEN-41")
def test_each_autoregressive_flow_has_one_direction_of_one_call():
    m = measured("C-164", "confirmed")
    assert (m["autoregressive_likelihood_calls"], m["autoregressive_sample_calls"]) == (1, 8)
    assert (m["inverse_likelihood_calls"], m["inverse_sample_calls"]) == (8, 1)


@pytest.mark.row("GEN-36")
def test_a_flow_refuses_another_number_of_dimensions():
    m = measured("C-185", "confirmed")
    assert (m["rank"], m["numbers_of_z"], m["refused"]) == (3, 3, 1)
    assert m["round_trip_error"] > 1


class Forgetful(AffineCoupling):
    """A coupling that is not inverted."""

    def inverse(self, z):
        return z, z.new_zeros(len(z))


FAULTS = [
    ("C-159", {"Adam": lambda params, lr: Adam(params, 0.0)}),
    ("C-160", {"AffineCoupling": Forgetful}),
    ("C-162", {"realnvp": partial(nice, scaling=False)}),
    ("C-164", {"InverseAutoregressive": MaskedAutoregressive}),
    ("C-185", {"Projection": Chain}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
