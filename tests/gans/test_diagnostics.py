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


@pytest.mark.row("GEN-84")
def test_the_spread_by_hand():
    assert spread(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).item() == pytest.approx(5)
    assert spread(torch.tensor([[0.0], [1.0], [3.0]])).item() == pytest.approx((1 + 3 + 2) / 3)


@pytest.mark.row("GEN-84")
def test_a_mode_needs_its_share_of_points_within_the_radius():
    """Of 40 points 2 make a tenth of a half; those at the radius are not within it."""
    centres = torch.tensor([[0.0], [10.0]])

    def at(*places):
        return torch.tensor(places).repeat_interleave(torch.tensor([38, 1, 1])).view(40, 1)

    assert coverage(at(0.5, 9.5, 10.5), centres, 1.0) == (2, 1.0)
    assert coverage(at(0.5, 9.5, 11.0), centres, 1.0) == (1, 0.975)
    assert coverage(at(0.5, 9.5, 11.0), centres, 1.0, least=0.05) == (2, 0.975)
    assert coverage(at(5.0, 5.0, 5.0), centres, 1.0, least=0.0) == (0, 0.0)


class Told(nn.Module):
    """Generated points as they are set."""

    def __init__(self, *points):
        super().__init__()
        self.points = list(points)

    def sample(self, n):
        return torch.tensor(self.points.pop(0)).view(n, 1)


@pytest.mark.row("GEN-84")
def test_what_a_look_notes_by_hand():
    """Data 0 and 4, 4 apart; points 1 apart about 0.5, then 2 apart about 3, then 2 apart about 0."""
    callback, method = (
        Watch(torch.tensor([[0.0], [4.0]]), patience=2, least=0.5, most=0.6),
        Told([0.0, 1.0], [2.0, 4.0], [-1.0, 1.0]),
    )
    signs = []
    for _ in range(3):
        callback.look(method)
        signs.append(callback.sign())
    assert callback.diversity == [0.25, 0.5, 0.5]
    assert callback.drift == [0.0, 0.625, 0.75]
    assert signs[:2] == ["", ""]  # one look, then one that is not below 0.5
    moved = "the mean of the generated points moved by 0.75 of the spread of the data since the last look"
    assert signs[2] == f"instability: {moved}"


@pytest.mark.row("GEN-84")
def test_it_looks_at_every_so_many_steps_only():
    callback = Watch(torch.tensor([[0.0], [4.0]]), every=3)
    for step in range(1, 8):
        callback.step(SimpleNamespace(step=step, stop="", method=Told([0.0, 1.0])))
    assert len(callback.diversity) == 2


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


@pytest.mark.row("GEN-84")
def test_nothing_is_said_when_all_is_well():
    trainer, callback = watch(stop=True)
    assert not trainer.stop
    assert len(callback.diversity) == 9


@pytest.mark.row("GEN-84")
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

    method, callback = Normed(2), Watch(torch.randn(50, 2))
    callback.look(method)
    assert method.running_mean.eq(0).all()
    assert method.training
    assert not callback.mean.requires_grad
