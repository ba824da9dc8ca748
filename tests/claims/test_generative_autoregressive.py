"""Claims about models that make one part after another: numbers against closed forms, and a fault put in."""

import math

import pytest

from deepcanon.autoregressive.pixels import LogisticMixture, Softmax
from deepcanon.claims import generative_autoregressive as models, index
from deepcanon.foundations.optimizers import Adam
from tests.claims.generative import faulty, reduced


@pytest.mark.row("GEN-33")
def test_logistics_learn_from_neighbours_and_a_softmax_does_not(monkeypatch):
    m = reduced("C-182", "confirmed", monkeypatch)
    best = math.log(2) + math.log(12) + math.log(2 * math.pi * math.e) / 2
    assert best - 0.1 < m["logistics"] < m["softmax"] < math.log(256) + 0.1
    assert m["softmax_renamed"] == pytest.approx(m["softmax"], abs=0.05)
    assert m["logistics_renamed"] > m["logistics"] + 0.5


@pytest.mark.row("GEN-18", "GEN-28")
def test_an_autoregressive_model_is_likelier_than_a_vae_and_takes_its_steps(monkeypatch):
    m = reduced("C-183", "confirmed", monkeypatch)
    assert m["autoregressive_nll"] < m["vae_nll"] < 0.7 * 64 * math.log(2)
    assert (m["autoregressive_steps"], m["vae_calls"]) == (64, 1)


@pytest.mark.row("GEN-30")
def test_far_pixels_tell_of_each_other_though_no_slope_joins_them(monkeypatch):
    m = reduced("C-184", "confirmed", monkeypatch)
    assert (m["likelihood_calls"], m["sample_calls"]) == (1, 6)
    assert m["slope_in_first"] == 0 < m["slope_in_third"]
    same = (1 + 0.8**3) / 2                                            # after three pixels
    exact = math.log(2) + same * math.log(same) + (1 - same) * math.log(1 - same)
    assert m["information"] == pytest.approx(exact, abs=0.06)
    assert m["information_shuffled"] < 0.005


def test_a_masked_autoencoder_generates_in_turn_and_not_at_once(monkeypatch):
    m = reduced("C-260", "confirmed", monkeypatch)
    assert m["distance_at_once"] == pytest.approx(0.4, abs=0.02)
    assert m["distance_in_turn"] < 0.01


GatedPixelCNN, train = models.GatedPixelCNN, models.train


def train_vae(method, *args, **options):
    """The training of the VAE alone."""
    return train(method, *args, **options) if isinstance(method, models.VAE) else method


FAULTS = [
    ("C-182", {"Softmax": lambda channels, levels: LogisticMixture(channels, 5, levels),
               "LogisticMixture": lambda channels, components, levels: Softmax(channels, levels)}),
    ("C-183", {"train": train_vae}),
    ("C-184", {"GatedPixelCNN": lambda *sizes, **options: GatedPixelCNN(*sizes, **options | {"first": 7})}),
    ("C-260", {"Adam": lambda params, lr: Adam(params, 0.0)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
