"""Initial weights against torch's, and what each of them does to a signal on its way through many layers."""

import math

import pytest
import torch
from torch import nn

from deepcanon.foundations.initialization import fans, glorot, identity, initialize, kaiming, normal, orthogonal, xavier, zero_residual
from deepcanon.nets.mlp import mlp
from deepcanon.nets.resnet import Residual, resnet18, resnet_cifar


def moments(net: nn.Sequential, x: torch.Tensor, kind: type[nn.Module]) -> torch.Tensor:
    """E[h^2] after every layer of a kind, and of x before them."""
    seen = [x.square().mean()]
    for layer in net:
        x = layer(x)
        if isinstance(layer, kind):
            seen.append(x.square().mean())
    return torch.stack(seen).detach()


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
@pytest.mark.parametrize("seed", range(5))
def test_small_weights_shrink_a_tanh_signal_by_the_same_factor_a_layer(seed):
    """Claim: with N(0, 1e-4) activations decay exponentially with depth. True."""
    torch.manual_seed(seed)
    net = initialize(mlp(*[500] * 11, activation=nn.Tanh), normal)
    std = moments(net, torch.randn(256, 500), nn.Tanh).sqrt()
    ratios = std[2:] / std[1:-1]                                                 # the first tanh still saturates a little
    torch.testing.assert_close(ratios, torch.full_like(ratios, 0.01 * math.sqrt(500)), atol=0, rtol=0.05)


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


@pytest.mark.row("FND-32")
@pytest.mark.parametrize("seed", range(5))
def test_xavier_keeps_the_variance_of_a_linear_net(seed):
    torch.manual_seed(seed)
    net = initialize(mlp(*[1_000] * 21, activation=nn.Identity), xavier)
    size = moments(net, torch.randn(128, 1_000), nn.Linear)
    assert 1 / 1.5 < size[-1] / size[0] < 1.5


@pytest.mark.row("FND-32", "FND-33")
@pytest.mark.parametrize("seed", range(5))
def test_relu_needs_twice_the_variance(seed):
    """Claim: Xavier keeps the activations' variance; for ReLU the factor is 2 / D. True."""
    torch.manual_seed(seed)
    x = torch.randn(128, 1_000)
    net = mlp(*[1_000] * 21, activation=nn.ReLU)
    matched, unmatched = (moments(initialize(net, draw), x, nn.Linear) for draw in (kaiming, xavier))
    assert 0.5 < matched[-1] / matched[1] < 2
    assert 0.5 < unmatched[-1] / unmatched[1] * 2**19 < 2                       # 19 ReLUs lie between the two


@pytest.mark.row("FND-34")
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_share_of_active_relus(bias):
    """Claim: with zero biases half of the units are dead. They are inactive on an input; hardly any is so on all of them."""
    layer = initialize(nn.Linear(20, 4_000), lambda weight: normal(weight, 0.05), bias=bias)
    active = layer(torch.randn(2_000, 20)) > 0
    spread = 0.05 * math.sqrt(20)
    expected = 0.5 * (1 + math.erf(bias / spread / math.sqrt(2)))               # Phi(bias / std of W x)
    assert active.float().mean().item() == pytest.approx(expected, abs=0.02)
    assert (~active).all(0).float().mean() < 0.001


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


@pytest.mark.row("FND-35")
@pytest.mark.parametrize("seed", range(5))
def test_fifty_orthogonal_layers_keep_norms_forward_and_backward(seed):
    """Claim: orthogonal initialisation keeps gradients from exploding or vanishing. True."""
    torch.manual_seed(seed)
    net = initialize(mlp(*[100] * 51, activation=nn.Identity), orthogonal)
    x = torch.randn(8, 100, requires_grad=True)
    y = net(x)
    torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1), atol=0, rtol=1e-4)
    downstream = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, x, downstream)
    torch.testing.assert_close(gradient.norm(dim=1), downstream.norm(dim=1), atol=0, rtol=1e-4)


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


def test_xavier_changes_the_start_and_not_the_loss():
    """Claim: Xavier initialisation regularises the parameters, as dropout and an L2 penalty do. False: the minimum is where it was."""
    x = torch.randn(100, 5, dtype=torch.float64)
    y = x @ torch.randn(5, 1, dtype=torch.float64) + 0.1 * torch.randn(100, 1, dtype=torch.float64)

    def minimiser(draw, penalty: float = 0.0) -> torch.Tensor:
        layer = initialize(nn.Linear(5, 1, bias=False).double(), draw)
        optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=0)

        def closure():
            optimizer.zero_grad()
            loss = (layer(x) - y).square().mean() + penalty * layer.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return layer.weight.detach()

    torch.testing.assert_close(minimiser(xavier), minimiser(normal), atol=1e-6, rtol=0)
    assert (minimiser(xavier, penalty=0.1) - minimiser(xavier)).abs().max() > 0.01


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
