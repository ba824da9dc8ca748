"""Claims about discrete codes: each number against its closed form, and with a fault put in."""

import math

import pytest
import torch

from deepcanon.claims import index
from deepcanon.layers.quantize import VectorQuantizer
from deepcanon.metrics.mean_discrepancy import mmd_bound
from tests.claims.generative import faulty, reduced
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-26", "GEN-27")
def test_uniform_codes_are_no_data_and_those_of_a_learned_prior_are(monkeypatch):
    m = reduced("C-155", "refuted", monkeypatch)
    assert m["level"] == mmd_bound(1000)
    assert m["mmd_uniform"] > 2 * m["level"]
    assert max(m["mmd_learned"], m["mmd_reconstructed"]) < m["level"]


@pytest.mark.row("GEN-25", "GEN-26")
def test_a_dictionary_and_a_relaxation_of_many_values(monkeypatch):
    assert index.record("C-156")["verdict"] == index.OPEN
    m = faulty("C-156", monkeypatch).measured
    assert m.keys() == index.record("C-156")["measured"].keys()
    assert m["gain"] == pytest.approx(m["gumbel_error_at_1000"] - m["dictionary_error_at_1000"])
    assert m["dictionary_error_at_1000"] < m["dictionary_error_at_8"] < 1
    assert m["gumbel_error_at_1000"] < 1


@pytest.mark.row("GEN-26")
def test_beta_is_the_ratio_of_both_gradients():
    m = measured("C-157", "confirmed")
    assert [m[f"ratio_at_{beta:g}"] for beta in (0.25, 1, 4)] == pytest.approx([0.25, 1, 4])


@pytest.mark.row("GEN-25")
def test_the_largest_with_gumbel_noise_is_a_draw_of_the_softmax():
    m = measured("C-158", "confirmed")
    assert m["chi_square"] < 45.3 / 5
    assert m["chi_square_normal"] > 100
    assert m["integral"] == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-12)


def free_rows(n: int) -> torch.Tensor:
    """Rows of numbers that do not depend on each other, each near one of two levels."""
    return 2.0 * torch.randint(2, (n, 1, 3)) - 1 + 0.05 * torch.randn(n, 1, 3)


FAULTS = [
    ("C-155", {"level_rows": free_rows, "CODES": 2}),
    ("C-156", {"VectorQuantizer": lambda num_codes, dim: VectorQuantizer(2, dim)}),
    ("C-157", {"VectorQuantizer": lambda num_codes, dim, beta: VectorQuantizer(num_codes, dim, beta=1.0)}),
    ("C-158", {"gumbel_max": lambda logits: (logits + torch.randn_like(logits)).argmax(-1)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict not in (index.record(id)["verdict"], index.OPEN)
