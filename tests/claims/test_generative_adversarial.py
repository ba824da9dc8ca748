"""Claims about the adversarial game: each number against its closed form, and with a fault put in."""

import math

import pytest
import torch

from deepcanon.claims import index
from deepcanon.foundations.information import kl
from deepcanon.gans.objectives import minimax
from deepcanon.vae.vae import VAE
from tests.claims.generative import faulty, reduced, untrained
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-56", "GEN-57")
def test_a_converged_discriminator_leaves_no_gradient(monkeypatch):
    m = reduced("C-171", "refuted", monkeypatch)
    assert m["left_after_1000"] < m["left_after_100"] < 0.2
    assert m["left_after_1000"] < 0.01
    assert m["left_non_saturating"] > 10


def test_the_jensen_shannon_divergence_collapses_to_one_of_far_modes():
    m = measured("C-172", "refuted")
    at_3, at_5 = ([m[f"{start}_at_{a}"] for start in ("wide", "one_mode")] for a in (3, 5))
    assert at_3 == pytest.approx([0.1284, 0.2141], abs=1e-4)
    assert at_5 == pytest.approx([0.2554, 0.2158], abs=1e-4)
    assert [m["best_mean_at_3"], m["best_mean_at_5"]] == pytest.approx([0, 5], abs=0.01)


@pytest.mark.row("GEN-58")
def test_the_best_discriminator_is_the_ratio():
    m = measured("C-173", "confirmed")
    assert max(m["distance"], m["value_gap"], m["distance_from_half"]) < 1e-9
    assert m["value_at_optimum"] == pytest.approx(-math.log(4))


@pytest.mark.row("GEN-58")
def test_the_best_generator_is_the_distribution_of_the_data():
    m = measured("C-174", "confirmed")
    assert max(m["distance"], abs(m["value_gap"])) < 1e-9
    assert 0 < m["next_value"] < 1e-3


@pytest.mark.row("GEN-57")
def test_the_slopes_of_both_generator_losses():
    m = measured("C-175", "confirmed")
    for d in (0.01, 0.5, 0.99):
        assert m[f"minimax_at_{d:g}"] == pytest.approx(d)
        assert m[f"non_saturating_at_{d:g}"] == pytest.approx(1 - d)


def test_gans_have_no_likelihood_and_frechet_distances_depend_on_the_sample():
    m = measured("C-179", "confirmed")
    assert (m["gans_with_likelihood"], m["others_with_likelihood"]) == (0, 5)
    assert m["distance_of_1000"] < 0.1 < m["distance_of_50"] < m["distance_of_copies"]


@pytest.mark.row("GEN-58", "GEN-84")
def test_a_missed_mode_is_called_real_and_the_others_fake():
    m = measured("C-181", "confirmed")
    assert (m["at_missed_mode"], m["at_other_modes"]) == (1, pytest.approx((1 / 4) / (1 / 4 + 1 / 3)))
    mixed = 1 / 8 * math.log(8) + 3 * (7 / 24) * math.log(24 / 7)      # entropy of the mean of both
    assert m["excess_value"] == pytest.approx(2 * mixed - math.log(4) - math.log(3))


FAULTS = [
    ("C-171", {"play": untrained}),
    ("C-172", {"jsd": lambda p, q: kl(p, 0.999 * q + 0.001 * p)}),
    ("C-173", {"optimal_discriminator": lambda p, q: q / (p + q)}),
    ("C-174", {"value": lambda d, p, q: -(torch.xlogy(p, d) + torch.xlogy(q, 1 - d)).sum()}),
    ("C-175", {"non_saturating": minimax}),
    ("C-179", {"GAN": VAE}),
    ("C-181", {"optimal_discriminator": lambda p, q: torch.full_like(p, 0.5)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
