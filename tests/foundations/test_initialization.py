"""Initial weights against torch's, and their scales; what they do to deep nets is in `tests/claims/`."""

import math

import pytest
import torch
from torch import nn

from deepcanon.foundations.initialization import fans, glorot, identity, initialize, kaiming, normal, orthogonal, xavier, zero_residual
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.resnet import Residual, resnet18, resnet_cifar


@pytest.mark.row("FND-31", "FND-32", "FND-33", "FND-34")
def test_worked_example_scales():
    """Worked example "Initialization scales": fan-in 500."""
    weight = torch.empty(2_000, 500)
    for draw, std in [(normal, 0.01), (xavier, 0.044721), (kaiming, 0.063246)]:
        assert draw(weight).std().item() == pytest.approx(std, rel=0.01)
    assert normal(weight).var().item() == pytest.approx(1e-4, rel=0.02)
    assert 0.01 * math.sqrt(fans(weight)[0]) == pytest.approx(0.223607, abs=1e-6)
    layer = initialize(nn.Linear(500, 2_000), normal, bias=0.1)
    assert (layer.bias == 0.1).all()
    assert layer(torch.randn(64, 500)).std().item() == pytest.approx(0.223607, rel=0.02)


@pytest.mark.row("FND-31")
def test_equal_weights_stay_equal():
    net = initialize(mlp(4, 8, 3), lambda weight: nn.init.constant_(weight, 0.5))
    x, y = torch.randn(64, 4), torch.randint(3, (64,))
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(50):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    assert loss < 1.09                                                           # it has learned something, log 3 = 1.0986 at the start
    first, last = net[0].weight, net[2].weight
    assert torch.equal(first, first[:1].expand_as(first))                        # every hidden unit the same
    assert torch.equal(last, last[:, :1].expand_as(last))


@pytest.mark.row("FND-32", "FND-33")
@pytest.mark.parametrize(("ours", "theirs", "shape"), [
    (xavier, nn.init.xavier_normal_, (600, 600)),
    (glorot, nn.init.xavier_normal_, (400, 700)),
    (glorot, nn.init.xavier_normal_, (64, 32, 5, 5)),
    (kaiming, nn.init.kaiming_normal_, (400, 700)),
    (kaiming, nn.init.kaiming_normal_, (64, 32, 5, 5)),
])
def test_draws_what_torch_draws(ours, theirs, shape):
    torch.manual_seed(1)
    expected = theirs(torch.empty(shape))
    torch.manual_seed(1)
    torch.testing.assert_close(ours(torch.empty(shape)), expected)


@pytest.mark.row("FND-32")
def test_a_convolutions_fan_in_is_its_window():
    weight = torch.empty(256, 32, 5, 3)
    assert fans(weight) == (32 * 5 * 3, 256 * 5 * 3)
    assert xavier(weight).std().item() == pytest.approx((32 * 5 * 3) ** -0.5, rel=0.01)


@pytest.mark.row("FND-34")
def test_a_positive_bias_makes_more_relus_active():
    layer = initialize(nn.Linear(20, 4_000), lambda weight: normal(weight, 0.05), bias=0.1)
    active = layer(torch.randn(2_000, 20)) > 0
    spread = 0.05 * math.sqrt(20)
    expected = 0.5 * (1 + math.erf(0.1 / spread / math.sqrt(2)))                # Phi(bias / std of W x)
    assert active.float().mean().item() == pytest.approx(expected, abs=0.02)


@pytest.mark.row("FND-35")
@pytest.mark.parametrize("shape", [(30, 30), (50, 20), (20, 50), (16, 4, 3, 3)])
def test_orthogonal_factors_are_orthogonal(shape):
    w = orthogonal(torch.empty(shape)).flatten(1)
    product = w.T @ w if w.shape[0] > w.shape[1] else w @ w.T
    torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.svdvals(orthogonal(torch.empty(shape), gain=2.0).flatten(1)), torch.full((len(product),), 2.0))


@pytest.mark.row("FND-35")
def test_orthogonal_draws_are_spread_evenly():
    """A product of two factors of one SVD is uniform over the rotations: every entry has mean 0 and variance 1 / n."""
    entries = torch.stack([orthogonal(torch.empty(8, 8)) for _ in range(2_000)])
    assert entries.mean(0).abs().max() < 5 * (8 * 2_000) ** -0.5
    torch.testing.assert_close(entries.var(0), torch.full((8, 8), 1 / 8), atol=0.02, rtol=0)


@pytest.mark.row("FND-36", "FND-53")
def test_a_zero_residual_net_begins_as_the_identity():
    net = nn.Sequential(*(Residual(mlp(6, 16, 6)) for _ in range(10)))
    x = torch.randn(4, 6)
    assert not net(x).allclose(x, atol=0.1)
    assert torch.equal(zero_residual(net)(x), x)


@pytest.mark.row("FND-36")
def test_zero_residual_blocks_of_a_resnet_pass_what_comes():
    net = zero_residual(resnet_cifar(14, width=8))
    for mode in (True, False):
        maps = net.train(mode).stem(torch.rand(2, 3, 8, 8))
        torch.testing.assert_close(net.stages[0](maps), maps)                    # the first stage keeps the shape: identity shortcuts alone
    zero_residual(resnet18(10))


@pytest.mark.row("FND-36")
@pytest.mark.parametrize("steps", [1, 10, 1_000])
def test_a_linear_rnn_with_the_identity_neither_forgets_nor_explodes(steps):
    w = identity(nn.Linear(5, 5, bias=False).weight)

    def unroll(h):
        for _ in range(steps):
            h = h @ w.T
        return h

    assert torch.equal(torch.autograd.functional.jacobian(unroll, torch.randn(5)), torch.eye(5))


@pytest.mark.parametrize(("build", "message"), [
    (lambda: normal(torch.empty(3, 3), 0.0), "deviation above 0, got 0.0"),
    (lambda: normal(torch.empty(3, 3), -1.0), "deviation above 0, got -1.0"),
    (lambda: kaiming(torch.empty(3)), r"expected a weight \(out, in, \.\.\.\), got \(3,\)"),
    (lambda: orthogonal(torch.empty(3)), "a bias has no fan-in"),
    (lambda: identity(torch.empty(3, 4)), r"expected a square recurrent weight, got \(3, 4\)"),
    (lambda: zero_residual(mlp(3, 3)), "Sequential has no residual block"),
])
def test_refuses_what_has_no_scale(build, message):
    with pytest.raises(ValueError, match=message):
        build()
