"""Collapse is measured and reported."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from deepcanon.data.toys import density
from deepcanon.gans.diagnostics import Watch, coverage, spread

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


class Generator(nn.Module):
    """Points of the ring, in one place or moved away."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = 1.0, 0.0

    def sample(self, n):
        return self.scale * RING.sample(n)[0] + self.shift


def watch(scale=1.0, shift=0.0, until=1_000, **options):
    """All is well until step 200; then the points have another scale, and a shift of changing sign."""
    method = Generator()
    trainer, callback = SimpleNamespace(step=0, stop="", method=method), Watch(RING.sample(300)[0], **options)
    for trainer.step in range(50, until, 50):
        if trainer.step >= 200:
            method.scale, method.shift = scale, shift * (-1) ** (trainer.step // 100)
        callback.step(trainer)
        if trainer.stop:
            break
    return trainer, callback


@pytest.mark.row("GEN-84")
def test_a_collapse_is_told_after_three_looks():
    with pytest.warns(UserWarning, match=r"mode collapse: generated points are spread 0.01 times as far as the data, at step 400"):
        _, callback = watch(scale=0.01, until=450)
    assert callback.diversity[0] == pytest.approx(1, abs=0.15)
    assert callback.diversity[-1] < 0.02


@pytest.mark.row("GEN-84")
def test_a_collapse_ends_the_run():
    trainer, _ = watch(scale=0.01, stop=True)
    assert trainer.step == 400
    assert trainer.stop.startswith("mode collapse")


@pytest.mark.row("GEN-84")
def test_points_that_keep_moving_end_the_run():
    trainer, callback = watch(shift=2.0, stop=True)
    assert trainer.step == 400
    assert trainer.stop.startswith("instability")
    assert callback.drift[0] == 0


def test_nothing_is_said_when_all_is_well():
    trainer, callback = watch(stop=True)
    assert not trainer.stop
    assert len(callback.diversity) == 9


def test_it_leaves_the_random_numbers_alone_and_is_saved():
    callback = Watch(RING.sample(100)[0])
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    callback.step(SimpleNamespace(step=100, stop="", method=Generator()))
    assert torch.equal(torch.rand(3), expected)
    other = Watch(RING.sample(100)[0])
    other.load_state_dict(callback.state_dict())
    assert (other.diversity, other.drift) == (callback.diversity, callback.drift)


def test_a_look_leaves_statistics_and_modes_alone():
    class Normed(nn.BatchNorm1d):
        def sample(self, n):
            return self(5 + torch.randn(n, 2))

    method = Normed(2)
    Watch(torch.randn(50, 2)).look(method)
    assert method.running_mean.eq(0).all()
    assert method.training
