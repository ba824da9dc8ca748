"""Claims about diffusion and scores: each number against its closed form, and with a fault put in."""

import pytest
import torch

from deepcanon.claims import generative_diffusion as diffusion, index
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.schedules import linear_schedule, strided
from tests.claims.generative import faulty, reduced
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-36", "GEN-52", "GEN-54")
def test_a_flow_has_a_density_and_a_diffusion_model_a_bound(monkeypatch):
    m = reduced("C-161", "refuted", monkeypatch)
    assert m["flow_integral"] == pytest.approx(1, abs=1e-4)
    assert m["excess_of_10_steps"] > m["excess_of_100_steps"] > 0.01
    assert m["ode_error"] < 1e-3


def test_the_bound_is_tight_where_every_step_is_right(monkeypatch):
    x = (torch.arange(20, 236).repeat(400)[:, None] / 127.5 - 1).double()
    wide = diffusion.bound_excess(10, x)
    monkeypatch.setattr(diffusion, "VARIANCE", 1.0)                    # of which the steps' noise is right
    assert abs(diffusion.bound_excess(10, x)) < 0.01 < wide / 10


@pytest.mark.row("GEN-48")
def test_score_matching_sees_no_constant():
    m = measured("C-169", "confirmed")
    assert m["loss_change"] == m["gradient_change"] == 0
    assert m["energy_change"] == pytest.approx(7)
    assert m["gradient"] > 0.01


@pytest.mark.row("GEN-49", "GEN-52")
def test_noise_is_a_score_in_other_units():
    m = measured("C-170", "confirmed")
    assert max(m["noise_gap"], m["denoised_gap"]) < 1e-4
    abar = linear_schedule(1000)[1:]
    ratios = (((1 - abar) / abar).log() / 2).diff().exp()
    assert (m["least_ratio"], m["largest_ratio"]) == pytest.approx((ratios.min().item(), ratios.max().item()))


@pytest.mark.row("GEN-53")
def test_a_sample_takes_as_many_calls_as_steps(monkeypatch):
    m = reduced("C-261", "confirmed", monkeypatch)
    assert [m[f"calls_{name}"] for name in ("1000", "50", "5", "gan")] == [1000, 50, 5, 1]
    assert max(m["distance_1000"], m["distance_50"], m["distance_of_data"]) < 0.01 < m["distance_5"]


class Doubled(NCSN):
    """A score twice as steep as its net says."""

    def score(self, x, sigma):
        return 2 * super().score(x, sigma)


FAULTS = [
    ("C-161", {"bound_terms": lambda denoise, x, abar: torch.full((1, len(x)), -10.0)}),
    ("C-169", {"score_of": lambda energy: lambda x: -x * energy(x).unsqueeze(1)}),
    ("C-170", {"NCSN": Doubled}),
    ("C-261", {"strided": lambda T, steps: strided(T, 1)}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
