"""Autoregressive flows, forwards and backwards: the triangular Jacobian, which direction is fast, and that both forms of the slow one agree."""

import math

import pytest
import torch
from torch import nn

from deepcanon.flows.flow import Flow
from deepcanon.flows.iaf_flow import InverseAutoregressive, draw, iaf
from deepcanon.flows.maf_flow import MaskedAutoregressive, maf, plain_inverse, unrolled_inverse
from deepcanon.nets.made import MADE


class Counted(nn.Module):
    """A net that counts its passes."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x):
        self.calls += 1
        return self.net(x)


@pytest.fixture
def made() -> MADE:
    return MADE(6, (24, 24), num_params=2, activation=nn.Tanh).double()


@pytest.mark.row("GEN-40")
def test_the_jacobian_is_triangular_with_the_scales_on_its_diagonal(made):
    layer, x = MaskedAutoregressive(made, 6), torch.randn(6).double()
    jacobian = torch.autograd.functional.jacobian(lambda p: layer(p[None])[0][0], x)
    m, alpha = made(x[None])[0]
    assert jacobian.triu(1).abs().max() == 0
    torch.testing.assert_close(jacobian.diagonal(), (-alpha).exp())
    torch.testing.assert_close(layer(x[None])[0][0], x * (-alpha).exp() - m)
    torch.testing.assert_close(layer(x[None])[0][0], (x - m * alpha.exp()) * (-alpha).exp())      # the paper's, mu = m exp(alpha)


@pytest.mark.row("GEN-40")
def test_the_density_takes_one_pass_and_a_sample_one_for_each_number(made):
    counted = Counted(made)
    layer = MaskedAutoregressive(counted, 6)
    counted.calls = 0
    z, _ = layer(torch.randn(5, 6).double())
    assert counted.calls == 1
    layer.inverse(z)
    assert counted.calls == 1 + 6


@pytest.mark.row("GEN-41")
def test_a_sample_of_the_inverse_flow_takes_one_pass_and_a_density_one_for_each_number(made):
    counted = Counted(made)
    layer = InverseAutoregressive(counted, 6)
    counted.calls = 0
    x, _ = layer.inverse(torch.randn(5, 6).double())
    assert counted.calls == 1
    layer(x)
    assert counted.calls == 1 + 6


@pytest.mark.row("GEN-41")
def test_the_inverse_flow_is_the_flow_of_the_same_net_turned_around(made):
    forwards, backwards, x = MaskedAutoregressive(made, 6), InverseAutoregressive(made, 6), torch.randn(5, 6).double()
    torch.testing.assert_close(backwards.inverse(x), forwards(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(backwards(x), forwards.inverse(x), atol=1e-6, rtol=0)


@pytest.mark.row("GEN-41")
def test_a_draw_carries_its_own_density_without_the_slow_direction():
    flow = Flow(iaf(4, hidden=(16,), num_layers=3).double(), (4,))
    x, log_prob = draw(flow, 7)
    torch.testing.assert_close(log_prob, flow.log_prob(x), atol=1e-6, rtol=0)
    log_prob.sum().backward()
    assert all(p.grad is not None for p in flow.parameters())


@pytest.mark.parametrize("bound", [math.inf, 0.1])
@pytest.mark.parametrize("dim", [1, 2, 6, 64])
def test_unrolled_and_plain_inverse_agree(dim, bound):
    net, z = MADE(dim, (128, 128), num_params=2), torch.randn(8, dim)
    plain, unrolled = plain_inverse(net, z, bound), unrolled_inverse(net.unroll(8), z, bound)
    torch.testing.assert_close(unrolled, plain, atol=1e-5, rtol=1e-5)
    layer = MaskedAutoregressive(net, dim, bound=bound)
    with torch.no_grad():
        torch.testing.assert_close(layer.inverse(z), unrolled)
        torch.testing.assert_close(layer(plain[0]), (z, -plain[1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("dim", [1, 3])
def test_samples_of_the_unrolled_net_may_be_trained_on(n, dim):
    with torch.no_grad():
        drawn = MaskedAutoregressive(MADE(dim, (8,), num_params=2), dim).inverse(torch.randn(n, dim))
    assert not any(t.is_inference() for t in drawn)


def test_bounded_scales_keep_densities_finite_far_away():
    net, far = MADE(4, (64, 64), num_params=2), torch.full((3, 4), 1e4)
    assert not MaskedAutoregressive(net, 4)(far)[0].isfinite().all()
    z, log_det = MaskedAutoregressive(net, 4, bound=5.0)(far)
    assert z.isfinite().all()
    assert (log_det.abs() <= 4 * 5).all()


def test_gradients_pass_through_the_slow_direction(made):
    layer, z = MaskedAutoregressive(made, 6), torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: layer.inverse(z), (z,), atol=1e-6)


def test_a_net_that_sees_ahead_is_refused():
    with pytest.raises(ValueError, match="not autoregressive: its output of number 0 changes with number 0"):
        MaskedAutoregressive(nn.Sequential(nn.Linear(3, 6), nn.Unflatten(1, (2, 3))), 3)
    with pytest.raises(ValueError, match="not autoregressive"):
        InverseAutoregressive(nn.Sequential(nn.Linear(3, 6), nn.Unflatten(1, (2, 3))), 3)


def test_maf_learns_what_coordinates_say_of_each_other():
    """x_2 = x_1^2 + noise: the truth's entropy is log(2 pi e) + log 0.1 nats a point, a Gaussian's fit is far above."""
    flow = Flow(maf(2, hidden=(32, 32), num_layers=2), (2,))
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)

    def points(n: int) -> torch.Tensor:
        first, noise = torch.randn(2, n)
        return torch.stack([first, first.square() + 0.1 * noise], 1)

    for step in range(400):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 400)
        optimizer.zero_grad()
        flow.loss((points(128),)).backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 1.0)                         # far points have large gradients
        optimizer.step()
    nll = flow.loss((points(4_000),)).item()
    truth = torch.distributions.Normal(0.0, torch.tensor([1.0, 0.1])).entropy().sum().item()
    gaussian = torch.distributions.MultivariateNormal(torch.zeros(2), points(100_000).T.cov()).entropy().item()
    assert truth - 0.05 < nll < truth + 0.25 < gaussian - 0.5


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("make", [maf, iaf])
def test_data_of_another_width_are_refused_both_ways(make, width, grad):
    """The unrolled inverse stops at the shorter of the two: without the check it read the first numbers and left the rest."""
    flow = Flow(make(3, hidden=(8,), num_layers=2), (3,))
    with torch.set_grad_enabled(grad):
        for map_ in (flow.transform, flow.transform.inverse, flow.encode, flow.log_prob):
            with pytest.raises(ValueError, match=rf"^expected data of shape \(B, 3\), got \(5, {width}\)$"):
                map_(torch.randn(5, width))
