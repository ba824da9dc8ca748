"""Claims about energy-based models and chains: numbers against closed forms, and with a fault put in."""

import pytest
import torch

from deepcanon.claims import generative_energy as energies, index
from deepcanon.energy.ebm import EBM
from deepcanon.energy.gibbs_sampling import ising
from tests.claims.generative import faulty, reduced
from tests.claims.verdicts import measured


@pytest.mark.row("GEN-44")
def test_the_loss_knows_the_gradient_of_log_z_and_not_z():
    m = measured("C-165", "refuted")
    assert m["gradient_error"] < 0.05
    assert m["loss_change"] < 1e-5
    assert m["log_z_change"] == pytest.approx(-5, abs=1e-5)


@pytest.mark.row("GEN-45", "GEN-46")
def test_gibbs_proposals_have_a_ratio_of_one():
    m = measured("C-166", "confirmed")
    assert max(m["spins"], m["gaussian"]) < 1e-12
    assert m["spins_by_a_coin"] > 1


@pytest.mark.row("GEN-44", "GEN-47")
def test_one_gradient_takes_many_steps_of_a_chain(monkeypatch):
    m = reduced("C-167", "confirmed", monkeypatch)
    for apart in ("2", "6"):
        assert m[f"error_{apart}_apart_after_10"] > m[f"error_{apart}_apart_after_100"]
    assert m["error_2_apart_after_500"] < 0.1 < 0.3 < m["error_6_apart_after_500"]


@pytest.mark.row("GEN-47", "GEN-50")
def test_annealed_chains_find_the_weights_of_far_modes(monkeypatch):
    m = reduced("C-168", "confirmed", monkeypatch)
    assert m["plain_share"] == pytest.approx(0.5, abs=0.1)             # as they began
    assert m["annealed_share"] == pytest.approx(0.8, abs=0.05)


class Normalized(EBM):
    """An energy-based model whose loss has log Z in it."""

    def loss(self, batch):
        terms = super().loss(batch)
        return terms | {"loss": terms["loss"] + (-self.energy(energies.STATES)).logsumexp(0)}


def mixed(energy, x, *, steps, step_size):
    """Chains that have forgotten where they began."""
    half = energy.keywords["half"]
    return torch.where(torch.rand_like(x) < 0.8, -half, half) + torch.randn_like(x)


FAULTS = [
    ("C-165", {"EBM": Normalized}),
    ("C-166", {"ising": lambda coupling, field: ising(0 * coupling, field)}),
    ("C-167", {"langevin": mixed}),
    ("C-168", {"annealed_langevin": lambda denoise, x, sigmas, *, steps: x}),
]


@pytest.mark.parametrize(("id", "faults"), FAULTS, ids=[id for id, _ in FAULTS])
def test_a_verdict_turns_when_the_mechanism_is_taken_away(id, faults, monkeypatch):
    assert faulty(id, monkeypatch, **faults).verdict != index.record(id)["verdict"]
