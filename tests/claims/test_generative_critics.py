"""Claims about critics, distances and cycles: numbers against closed forms, and with a fault put in."""

import math

import pytest
import torch
from torch import nn

from deepcanon.claims import generative_critics as critics, index
from deepcanon.layers.spectral import Scale
from tests.claims.generative import faulty, reduced
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-67")
def test_the_wasserstein_distance_is_the_shift_and_the_jensen_shannon_divergence_is_not():
    m = measured("C-176", "confirmed")
    for k in (1, 5, 10):
        assert m[f"distance_at_{k}"] == pytest.approx(k)
        assert m[f"divergence_at_{k}"] == pytest.approx(math.log(2))
    assert m["minimax_slope"] == pytest.approx(1 / (1 + math.exp(20)))
    assert m["wasserstein_slope"] == 1


@pytest.mark.row("GEN-68")
def test_small_clips_lose_gradients_and_large_ones_take_steps(monkeypatch):
    m = reduced("C-177", "confirmed", monkeypatch)
    layer = math.log10(math.sqrt(32 / 2))                              # times c; half of the units are on
    assert m["log10_gradient_at_1"] - m["log10_gradient_at_0.1"] == pytest.approx(9, abs=1)
    assert m["log10_gradient_at_1"] == pytest.approx(8 * layer, abs=1)
    assert m["steps_at_0.01"] <= 2 * 0.01 / 0.005
    assert m["steps_at_0.1"] == pytest.approx(2 * 0.1 / 0.005, abs=8)  # from one limit to the other
    assert m["steps_at_1"] > 200


@pytest.mark.row("GEN-70")
def test_spectral_norms_bound_slopes():
    m = measured("C-178", "confirmed")
    assert 0 < m["smallest_share"] < m["largest_share"] < 1
    assert m["largest_ratio_normalized"] < 1


@pytest.mark.row("GEN-75")
def test_every_turn_fools_the_adversaries_and_only_inverses_close_the_cycle():
    m = measured("C-180", "confirmed")
    assert m["fooling"] == m["pairs_without_cycle_loss"] == m["of_them_inverse"] == 36
    assert (m["least_correlation"], m["largest_correlation"]) == (pytest.approx(-1), pytest.approx(1))


mlp, Rotation = critics.mlp, critics.Rotation

FAULTS = [
    ("C-176", {"jsd": lambda p, q: (p - q).abs() @ torch.arange(11.0).double()}),
    ("C-177", {"clip": lambda c: lambda net: None}),
    ("C-178", {"mlp": lambda *widths: nn.Sequential(*mlp(*widths), Scale(10.0))}),
    ("C-180", {"Rotation": lambda angle: Rotation(0.0)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
