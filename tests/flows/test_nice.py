"""NICE: volume is preserved, whatever the net; only the last layer changes a scale."""

import pytest
import torch
from torch import nn

from deepcanon.flows.flow import Flow
from deepcanon.flows.nice_flow import AdditiveCoupling, nice
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
