"""Collapse is seen, counted and told."""

from types import SimpleNamespace

import pytest
import torch

from deepcanon.data.toys import density
from deepcanon.gans.diagnostics import CollapseWatch, coverage, spread

RING = density("ring")


@pytest.mark.row("GEN-84")
def test_the_data_themselves_are_at_every_mode():
    modes, good = coverage(RING.sample(4_000)[0], RING.centres, 3 * RING.deviation)
    assert modes == 8
    assert good.item() == pytest.approx(1 - torch.tensor(-4.5).exp().item(), abs=0.01)     # of a round Gaussian within three deviations


@pytest.mark.row("GEN-84")
def test_points_at_some_modes_and_between_them():
    x = torch.cat([RING.centres[:3].repeat(100, 1), torch.zeros(100, 2)])
    assert coverage(x, RING.centres, 0.15) == (3, 0.75)
    few = torch.cat([RING.centres[:1].repeat(1_000, 1), RING.centres[1:2]])
    assert coverage(few, RING.centres, 0.15).modes == 1                                     # one point in a thousand is no mode


def test_the_spread_by_hand():
    assert spread(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).item() == pytest.approx(5)


class Generator:
    """Points of the ring, all at one place from step 200 on."""

    def __init__(self):
        self.scale = 1.0

    def sample(self, n):
        return self.scale * RING.sample(n)[0]


def watch(**options):
    method = Generator()
    trainer, callback = SimpleNamespace(step=0, stop="", method=method), CollapseWatch(RING.sample(300)[0], **options)
    for trainer.step in range(50, 1_000, 50):
        method.scale = 1.0 if trainer.step < 200 else 0.01
        callback.step(trainer)
        if trainer.stop:
            break
    return trainer, callback


@pytest.mark.row("GEN-84")
def test_a_collapse_is_told_after_three_looks():
    with pytest.warns(UserWarning, match=r"mode collapse: generated points are spread 0.01 times as far as the data, at step 400"):
        _, callback = watch()
    assert callback.diversity[0] == pytest.approx(1, abs=0.15)
    assert callback.diversity[-1] < 0.02


@pytest.mark.row("GEN-84")
def test_a_collapse_ends_the_run():
    trainer, _ = watch(stop=True)
    assert trainer.step == 400
    assert trainer.stop.startswith("mode collapse")


def test_it_leaves_the_random_numbers_alone_and_is_saved():
    callback = CollapseWatch(RING.sample(100)[0])
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    callback.step(SimpleNamespace(step=100, stop="", method=Generator()))
    assert torch.equal(torch.rand(3), expected)
    other = CollapseWatch(RING.sample(100)[0])
    other.load_state_dict(callback.state_dict())
    assert other.diversity == callback.diversity
