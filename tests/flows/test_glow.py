"""Glow: the 1x1 convolution's determinant, both its parametrisations, activation normalisation's start, and the order of the scales."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from deepcanon.data import arrays
from deepcanon.engine import Adam, fit, options
from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.dequantize import Dequantized, UniformNoise
from deepcanon.flows.flow import Chain, Flow
from deepcanon.flows.glow_flow import Conv1x1, Conv1x1LU, glow, rotation
from deepcanon.flows.multiscale_flow import OnHalf, Squeezed, squeeze
from deepcanon.flows.nice_flow import Scaling
from tests.engine.ranks import together


@pytest.mark.row("GEN-39")
@pytest.mark.parametrize("kind", [Conv1x1, Conv1x1LU])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_determinant_is_that_of_the_whole_jacobian(kind, sign):
    """h w log|det W|, of a reflection too, whose own determinant is negative."""
    weight = torch.randn(3, 3, dtype=torch.float64)
    weight[0] *= sign * torch.linalg.det(weight).sign()
    layer, x = kind(weight), torch.randn(3, 4, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda p: layer(p[None])[0].flatten(), x).flatten(1)         # (24, 24)
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(layer(x[None])[1][0], expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(expected, 8 * torch.linalg.det(weight).abs().log(), atol=1e-9, rtol=0)


@pytest.mark.row("GEN-39")
def test_plain_and_lu_are_the_same_map():
    weight, x = torch.randn(4, 4, dtype=torch.float64), torch.randn(2, 4, 3, 3, dtype=torch.float64)
    plain, lu = Conv1x1(weight), Conv1x1LU(weight)
    torch.testing.assert_close(lu(x), plain(x))
    torch.testing.assert_close(lu.inverse(x), plain.inverse(x))
    torch.testing.assert_close(plain(x)[0][0, :, 1, 2], weight @ x[0, :, 1, 2])


@pytest.mark.row("GEN-39")
@pytest.mark.parametrize("kind", [Conv1x1, Conv1x1LU])
def test_a_rotation_has_log_determinant_zero(kind):
    assert kind(rotation(6).double())(torch.randn(2, 6, 3, 3).double())[1].abs().max() < 1e-5


def test_a_weight_that_cannot_be_inverted_is_refused():
    singular = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    for kind in (Conv1x1, Conv1x1LU):
        with pytest.raises(ValueError, match="needs a square weight that can be inverted, got 2 x 2, which is singular"):
            kind(singular)
        with pytest.raises(ValueError, match=r"needs a square weight that can be inverted, got 2 x 3$"):
            kind(torch.ones(2, 3))
    became = Conv1x1(torch.eye(2))
    became.weight.data.copy_(singular)
    with pytest.raises(ValueError, match="which is singular"):
        became.inverse(torch.randn(1, 2, 3, 3))


def test_the_first_batch_leaves_normalised_and_only_the_first_starts():
    layer, x = ActNorm(3), 5 + torch.tensor([0.1, 1.0, 10.0])[:, None, None] * torch.randn(64, 3, 4, 4)
    untouched = copy.deepcopy(layer).eval()
    assert torch.equal(untouched(x)[0], x)
    assert not untouched.started
    z, log_det = layer(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(3), atol=0.02, rtol=0)
    torch.testing.assert_close(log_det, (16 * layer.s.sum()).expand(64))
    started = copy.deepcopy(layer.state_dict())
    layer(x + 100)
    assert all(torch.equal(value, started[name]) for name, value in layer.state_dict().items())
    again = ActNorm(3)
    again.load_state_dict(started)
    assert torch.equal(again(x + 100)[0], layer(x + 100)[0])


def test_a_resumed_run_does_not_start_anew(tmp_path):
    class Images:
        def at(self, step: int):
            generator = torch.Generator().manual_seed(step)
            return ((torch.rand(8, 1, 4, 4, generator=generator) * (1 + step) / 20 * 3).clamp(max=3).round() / 3,)

    def run(folder, steps, resume=False):
        torch.manual_seed(0)
        method = Dequantized(Flow(glow((1, 4, 4), num_steps=1, width=4), (1, 4, 4)), UniformNoise(), levels=4)
        with options(folder=tmp_path / folder, resume=resume, anyway=resume, quiet=True):
            return fit(method, Images(), Adam(1e-3), steps=steps, ema=0.9).method.state_dict()

    whole = run("whole", 6)
    run("halves", 3)
    (tmp_path / "halves" / "result.json").unlink()
    assert all(torch.equal(value, whole[name]) for name, value in run("halves", 6, resume=True).items())


def trained_weights() -> dict[str, torch.Tensor]:
    """Of a small Glow after three steps, in double precision, whose first batch starts its normalisations."""
    torch.manual_seed(0)
    method, x = Flow(glow((1, 4, 4), num_steps=1, width=4), (1, 4, 4)).double(), torch.randn(32, 1, 4, 4)

    class Doubled:
        """The data's batches in double precision."""

        def __init__(self, data):
            self.data = data

        def at(self, step: int):
            return (self.data.at(step)[0].double(),)

        def shard(self, rank: int, world: int) -> "Doubled":
            return Doubled(self.data.shard(rank, world))

    with options(quiet=True):
        fit(method, Doubled(arrays(x, batch=16)), Adam(1e-2), steps=3)
    return method.state_dict()


def save_weights(folder) -> None:
    torch.save(trained_weights(), folder / f"rank{dist.get_rank()}.pt")


def test_two_ranks_start_from_the_statistics_of_the_joined_batch(tmp_path):
    together(save_weights, 2, tmp_path)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    alone = trained_weights()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, atol=1e-8, rtol=0)


def test_what_is_left_behind_at_a_scale_is_the_first_half_of_its_channels():
    scaled = Scaling((2, 2, 2))
    nn.init.constant_(scaled.s, 1.0)
    transform, x = Squeezed(OnHalf(scaled)), torch.randn(3, 1, 4, 4)
    z, log_det = transform(x)
    factor = squeeze(z) / squeeze(x)
    torch.testing.assert_close(factor[:, :2], torch.ones(3, 2, 2, 2))
    torch.testing.assert_close(factor[:, 2:], torch.full((3, 2, 2, 2), 1.0).exp())
    torch.testing.assert_close(log_det, torch.full((3,), 8.0))


def test_squeezing_makes_channels_of_each_two_by_two_pixels():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert squeeze(x)[0, :, 0, 1].tolist() == [2, 3, 6, 7]
    for bad in (torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 4, 5)):
        with pytest.raises(ValueError, match=r"squeezing needs images .* of even height and width"):
            Squeezed(Chain())(bad)
    with pytest.raises(ValueError, match=r"sides that can be halved as often, got images \(1, 28, 30\)"):
        glow((1, 28, 30), scales=2)


def test_the_inverse_undoes_the_map_under_autocast():
    x = torch.randn(4, 8, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        for layer in (Conv1x1(rotation(8)), Conv1x1LU(rotation(8))):
            torch.testing.assert_close(layer.inverse(layer(x)[0])[0], x, atol=1e-4, rtol=1e-4)


def test_one_value_a_channel_sets_no_scales():
    layer = ActNorm(3)
    with pytest.raises(ValueError, match=r"expected two values a channel or more, got \(1, 3\)"):
        layer(torch.randn(1, 3))
    assert layer(torch.randn(1, 3, 2, 2))[0].isfinite().all()
