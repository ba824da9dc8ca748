"""Claims about autoencoders: each number against its closed form, and with a fault put in."""

import pytest
import torch
from torch import nn

from deepcanon.claims import index
from deepcanon.engine import SGD
from deepcanon.foundations.optimizers import GradientDescent
from deepcanon.metrics.mean_discrepancy import mmd_bound
from tests.claims.generative import faulty, reduced, untrained
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-02")
def test_a_linear_autoencoder_finds_the_plane_and_not_the_axes(monkeypatch):
    m = reduced("C-141", "confirmed", monkeypatch)
    assert m["plane_angle"] < 0.01
    assert m["excess_error"] == pytest.approx(0, abs=1e-5)
    assert m["column_angle"] > 5


@pytest.mark.row("GEN-08")
def test_gaussian_codes_of_an_autoencoder_decode_to_no_data(monkeypatch):
    m = reduced("C-142", "refuted", monkeypatch)
    assert m["level"] == mmd_bound(1000)
    assert m["from_data"] < m["level"] / 2
    assert min(m["from_standard"], m["from_fitted"]) > 2 * m["from_data"]


@pytest.mark.row("GEN-11")
def test_independent_pixels_end_at_the_average():
    m = measured("C-154", "confirmed")
    assert m["bernoulli_pixel"] == pytest.approx(0.5) == pytest.approx(m["gaussian_pixel"])
    assert (m["error"], m["error_of_a_sharp_guess"]) == (pytest.approx(1 / 4), pytest.approx(1 / 2))
    assert m["unequal_pixels"] == pytest.approx(1 / 2)
    assert m["unequal_with_one_softmax"] < 0.01


@pytest.mark.row("GEN-07")
def test_modern_parts_need_no_pretraining(monkeypatch):
    m = reduced("C-186", "confirmed", monkeypatch)
    assert m["sigmoid"] == pytest.approx(0.1, abs=0.1)                 # chance
    assert m["pretrained"] > 0.4
    assert m["modern"] > 0.85
    assert m["gain"] == pytest.approx(m["modern"] - m["pretrained"])


FAULTS = [
    ("C-141", {"train": untrained}),
    ("C-142", {"train": untrained, "mlp": lambda *widths: nn.Identity(),
               "points": lambda name, n: torch.randn(n, 2)}),
    ("C-154", {"GradientDescent": lambda params, lr: GradientDescent(params, 0.0)}),
    ("C-186", {"Adam": lambda lr, schedule: SGD(0.0)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
