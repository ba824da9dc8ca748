"""What stays in float32, and arithmetic with it."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from deepcanon.layers.checks import on_levels
from deepcanon.layers.embedding import rotary, sinusoidal
from deepcanon.layers.instance_noise import InstanceNoise, fade
from deepcanon.layers.likelihoods import DiscretizedLogistic, Kumaraswamy
from deepcanon.layers.norm import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Standardize,
    normalize,
)
from deepcanon.layers.precision import Float32Buffers, narrowed, typed_as, widened
from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer
from deepcanon.layers.spectral import spectral_norm
from deepcanon.nets.unet import TimeEmbedding, TimeFeatures

KINDS = [torch.bfloat16, torch.float16]


class Table(Float32Buffers, nn.Module):
    """A buffer of real numbers, one of integers and none, and a weight."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.tensor([0.9999, 1e-5]))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("nothing", None)
        self.weight = nn.Parameter(torch.ones(2))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("nested", [False, True])
def test_buffers_stay_and_weights_follow(dtype, nested):
    table = Table()
    net = nn.Sequential(nn.Linear(2, 2), table) if nested else table
    for change in (lambda: net.to(dtype), lambda: net.to("cpu", dtype), net.bfloat16, net.half):
        change()
        assert table.table.dtype == torch.float32
        assert torch.equal(table.table, torch.tensor([0.9999, 1e-5]))
        assert table.weight.dtype in KINDS
        assert table.count.dtype == torch.int64
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert {b.dtype for b in again.buffers() if b.is_floating_point()} == {torch.float32}
    assert net.double().state_dict()["1.table" if nested else "table"].dtype == torch.float64
    net.half()
    assert table.table.dtype == torch.float64
    assert net.float().state_dict()["1.table" if nested else "table"].dtype == torch.float32


def test_buffers_go_to_other_devices_with_the_net():
    assert Table().to("meta", torch.bfloat16).table.device.type == "meta"
    assert Table().to("meta").to_empty(device="cpu").bfloat16().table.dtype == torch.float32


@pytest.mark.parametrize("dtype", KINDS)
def test_there_and_back(dtype):
    x = torch.ones(2, dtype=dtype)
    assert widened(x).dtype == torch.float32
    assert narrowed(widened(x), like=x).dtype == dtype
    assert typed_as(nn.Linear(2, 2), x).dtype == torch.float32
    assert typed_as(nn.ReLU(), x) is x
    for other in (torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.int64)):
        assert widened(other) is other
        assert narrowed(torch.ones(2), like=other).dtype == torch.float32


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 3e3])
@pytest.mark.parametrize(
    "norm", [BatchNorm(8), LayerNorm(8), GroupNorm(2, 8), InstanceNorm(), BatchNorm1d(8)],
    ids=lambda norm: type(norm).__name__)
def test_norms_of_small_and_large_numbers(norm, scale, dtype):
    shape = (16, 3, 8) if isinstance(norm, LayerNorm) else (16, 8, 3)
    x = (scale * torch.randn(shape)).to(dtype)
    right = copy.deepcopy(norm)(x.float())
    ours = copy.deepcopy(norm).to(dtype)(x)
    assert ours.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours.float(), right, rtol=2 * eps, atol=eps)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("make", [BatchNorm, BatchNorm2d])
def test_running_averages_follow_small_changes(make, dtype):
    norm = make(1, momentum=0.001).to(dtype)
    x = torch.tensor([0.0, 2.0], dtype=dtype).view(2, 1, 1, 1)
    for _ in range(100):
        norm(x)
    torch.testing.assert_close(norm.running_mean, torch.tensor([1 - 0.999**100]))
    y = norm.eval()(x)
    assert y.dtype == dtype
    expected = (x.float() - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
    torch.testing.assert_close(y.float(), expected, rtol=2 * torch.finfo(dtype).eps, atol=0.01)


@pytest.mark.parametrize("dtype", KINDS)
def test_gains_of_torchs_batch_norm_learn_in_16_bits(dtype):
    norm = BatchNorm2d(2).to(dtype)
    norm(torch.randn(4, 2, 3, 3).to(dtype)).float().square().sum().backward()
    assert norm.weight.grad.dtype == dtype
    assert (norm.weight.grad > 0).all()
    assert int(norm.num_batches_tracked) == 1


def test_batch_norms_are_torchs_in_float32():
    for ours, theirs in ((BatchNorm1d(3), nn.BatchNorm1d(3)), (BatchNorm2d(3), nn.BatchNorm2d(3))):
        x = torch.randn(5, 3, *([4, 4] if isinstance(theirs, nn.BatchNorm2d) else []))
        assert torch.equal(ours(x), theirs(x))
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("dtype", KINDS)
def test_integers_and_doubles_are_normalised_as_before(dtype):
    layer = Standardize(2.0, 4.0, places=0)
    assert torch.equal(layer(torch.full((1, 1), 6.0, dtype=torch.float64)), torch.ones(1, 1).double())
    assert layer.to(dtype)(torch.tensor([[6.0]], dtype=dtype)).dtype == dtype
    assert normalize(torch.randn(4, 4, dtype=torch.float64), [1]).dtype == torch.float64


@pytest.mark.parametrize("dtype", KINDS)
def test_singular_vectors_are_those_of_float32(dtype):
    net = spectral_norm(nn.Sequential(nn.Linear(16, 16)))
    right = copy.deepcopy(net)
    net.to(dtype)
    for _ in range(50):
        w, w_right = net[0].weight, right[0].weight
    assert w.dtype == dtype
    eps = torch.finfo(dtype).eps
    assert float(torch.linalg.matrix_norm(w.detach().float(), 2)) == pytest.approx(1.0, abs=4 * eps)
    torch.testing.assert_close(w.float(), w_right, rtol=2 * eps, atol=eps)
    with torch.autocast("cpu", dtype):
        _ = right[0].weight
    matrix, norm = right[0].parametrizations.weight.original.detach(), right[0].parametrizations.weight[0]
    assert float(norm.u @ matrix @ norm.v) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)))


@pytest.mark.parametrize("dtype", KINDS)
def test_positions_of_hundreds_keep_their_angles(dtype):
    t = torch.arange(300.0, 304.0)
    torch.testing.assert_close(sinusoidal(t.to(dtype), 8), sinusoidal(t.to(dtype).float(), 8).to(dtype))
    x = torch.randn(4, 8).to(dtype)
    assert rotary(x, t).dtype == dtype
    torch.testing.assert_close(rotary(x, t), rotary(x.float(), t).to(dtype))


@pytest.mark.parametrize("dtype", KINDS)
def test_times_of_hundreds_are_told_apart(dtype):
    embed = TimeEmbedding(TimeFeatures(16), nn.Linear(16, 4)).to(dtype)
    for t in (torch.arange(500, 504), torch.arange(500.0, 504.0)):
        y = embed(t)
        assert y.dtype == dtype
        assert len(y.unique(dim=0)) == 4


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("make", [VectorQuantizer, AveragedQuantizer])
def test_quantizers_average_in_float32(make, dtype):
    quantizer = make(4, 2, restart=0.1)
    right = copy.deepcopy(quantizer)
    quantizer.to(dtype)
    for _ in range(20):
        z = torch.randn(8, 2).to(dtype)
        torch.manual_seed(0)
        ours = quantizer(z)
        torch.manual_seed(0)
        theirs = right(z.float())
        assert ours.vectors.dtype == dtype
    if make is AveragedQuantizer:
        assert torch.equal(ours.codes, theirs.codes)
        for name in ("codebook", "share", "count", "total"):
            assert torch.equal(getattr(quantizer, name), getattr(right, name)), name


@pytest.mark.parametrize("dtype", KINDS)
def test_256_levels_are_told_apart_and_other_values_still_refused(dtype):
    levels = torch.arange(256) / 255
    assert torch.equal(on_levels(levels[:, None].to(dtype), 256), levels[:, None])
    with pytest.raises(ValueError, match="expected values on the 4 levels"):
        on_levels(torch.tensor([[0.25]], dtype=dtype), 4)


@pytest.mark.parametrize("dtype", KINDS)
def test_noise_is_drawn_in_float32(dtype):
    """A uniform number of 16 bits is 0 once in 256, or 2048, times: its logit is minus infinity."""
    loc, scale = torch.full((50_000,), 0.5, dtype=dtype), torch.full((50_000,), 0.01, dtype=dtype)
    draws = DiscretizedLogistic(loc, scale).sample()
    assert draws.dtype == dtype
    assert (draws > 0.2).all()
    uniform = Kumaraswamy(torch.ones_like(loc), torch.full_like(loc, 0.1)).sample()
    assert uniform.dtype == dtype
    assert (uniform > 0).float().mean() > 0.999


@pytest.mark.parametrize("dtype", KINDS)
def test_instance_noise_fades_in_16_bits(dtype):
    noise = InstanceNoise(0.1, decay=0.9999).to(dtype)
    for _ in range(100):
        assert noise(torch.zeros(2, dtype=dtype)).dtype == dtype
        fade(noise)
    assert float(noise.sigma) == pytest.approx(0.1 * math.pow(0.9999, 100), rel=1e-5)
