"""NICE: volume is preserved, whatever the net; only the last layer changes a scale."""

import math

import pytest
import torch
from torch import nn

from deepcanon.flows.flow import Flow
from deepcanon.flows.nice_flow import AdditiveCoupling, Scaling, nice
from deepcanon.flows.realnvp_flow import realnvp
from deepcanon.nets.perceptron import mlp


@pytest.mark.row("GEN-37")
@pytest.mark.parametrize("swap", [False, True])
def test_an_additive_coupling_shifts_one_half_and_preserves_volume(swap):
    net = mlp(2, 8, 2)                                                          # ReLU: of rank one at many points, never invertible
    layer, x = AdditiveCoupling(net, swap=swap), torch.randn(6, 4)
    z, log_det = layer(x)
    kept, changed = (slice(2, 4), slice(0, 2)) if swap else (slice(0, 2), slice(2, 4))
    assert torch.equal(log_det, torch.zeros(6))
    assert torch.equal(z[:, kept], x[:, kept])
    assert torch.equal(z[:, changed], x[:, changed] + net(x[:, kept]))
    torch.testing.assert_close(layer.inverse(z)[0], x, atol=1e-6, rtol=0)


@pytest.mark.row("GEN-37")
def test_couplings_of_a_net_that_is_no_bijection_have_determinant_one():
    flow = nice(4, hidden=(16,), num_layers=4, scaling=False).double()
    for net in (layer.net for layer in flow.transforms):
        assert (net(torch.full((1, 2), -9.0).double()) == net(torch.full((1, 2), -9.0).double())).all()
    for x in torch.randn(3, 4, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(lambda p: flow(p[None])[0][0], x)
        assert abs(torch.linalg.det(jacobian).abs() - 1) < 1e-9


@pytest.mark.row("GEN-37")
def test_the_last_layer_scales_every_number_and_its_determinant_is_the_product():
    layer, x = Scaling((3,)).double(), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.s.copy_(torch.tensor([0.5, -1.0, 2.0]))
    factors = torch.tensor([math.exp(0.5), math.exp(-1), math.exp(2)], dtype=torch.float64)
    z, log_det = layer(x)
    torch.testing.assert_close(z, x * factors)
    torch.testing.assert_close(log_det, torch.full((5,), 1.5, dtype=torch.float64))
    back, log_det = layer.inverse(z)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_det, torch.full((5,), -1.5, dtype=torch.float64))


@pytest.mark.row("GEN-37")
def test_the_halves_of_nice_take_turns_and_the_scaling_is_last():
    assert [getattr(layer, "swap", None) for layer in nice(5).transforms] == [False, True, False, True, None]
    assert [
        (layer.net[0].in_features, layer.net[-1].out_features) for layer in nice(5, scaling=False).transforms
    ] == 2 * [(3, 2), (2, 3)]


@pytest.mark.row("GEN-37")
def test_partitions_are_swapped_so_that_every_number_changes():
    x = torch.randn(3, 5)
    z, _ = nice(5, hidden=(8,), num_layers=2, scaling=False)(x)
    assert (z != x).all()
    with pytest.raises(ValueError, match="a coupling needs 2 channels or more"):
        nice(1)


def fitted(transform: nn.Module, x: torch.Tensor) -> float:
    """Nats a point after some steps."""
    flow = Flow(transform, (2,))
    optimizer = torch.optim.Adam(flow.parameters(), 5e-2)
    for _ in range(120):
        optimizer.zero_grad()
        loss = flow.loss((x,))
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.row("GEN-37", "GEN-38")
def test_only_what_changes_scale_fits_two_scales():
    """N(0, diag(0.25, 25)): its volume is that of N(0, diag(2.5, 2.5)), not of N(0, I)."""
    x = torch.randn(500, 2) * torch.tensor([0.5, 5.0])
    truth = torch.distributions.Normal(0.0, torch.tensor([0.5, 5.0])).entropy().sum().item()
    assert fitted(nice(2, hidden=(16,), scaling=False), x) > truth + 0.3
    assert fitted(nice(2, hidden=(16,)), x) < truth + 0.15
    assert fitted(realnvp(2, hidden=(16,)), x) < truth + 0.15
