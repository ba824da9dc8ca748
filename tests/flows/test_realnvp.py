"""Affine couplings: their two parametrisations, their masks, and two moons."""

import pytest
import torch
from torch import nn

from deepcanon.data.toys import density, toy
from deepcanon.engine import Adam, fit, options
from deepcanon.flows.flow import Flow
from deepcanon.flows.realnvp_flow import AffineCoupling, MaskedCoupling, checkerboard, realnvp, realnvp_images
from deepcanon.nets.perceptron import mlp


class TurnedAround(nn.Module):
    """h = -s and g = -t exp(-s): what the coupling x_b = z_b exp(h) + g needs to be the inverse of z_b = x_b exp(s) + t."""

    def __init__(self, net: nn.Module, bound: float):
        super().__init__()
        self.net, self.bound = net, bound

    def forward(self, a):
        s, t = self.net(a).chunk(2, 1)
        return torch.cat([-s, -t * torch.exp(-self.bound * torch.tanh(s / self.bound))], 1)


@pytest.mark.row("GEN-38")
def test_scaling_the_noise_and_scaling_the_data_are_the_same_family():
    net, x = mlp(2, 8, 4), torch.randn(6, 4)
    data, noise = AffineCoupling(net, bound=3.0), AffineCoupling(TurnedAround(net, 3.0), bound=3.0)
    torch.testing.assert_close(noise.inverse(x), data(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(noise(x), data.inverse(x), atol=1e-5, rtol=0)


@pytest.mark.row("GEN-38")
@pytest.mark.parametrize("swap", [False, True])
def test_halves_are_a_mask(swap):
    net, x = mlp(2, 8, 4), torch.randn(6, 4)
    mask = torch.tensor([0.0, 0.0, 1.0, 1.0] if swap else [1.0, 1.0, 0.0, 0.0])
    kept, changed = (slice(2, 4), slice(0, 2)) if swap else (slice(0, 2), slice(2, 4))

    class OfAll(nn.Module):
        """The net of one half as a net of all numbers."""

        def forward(self, x):
            whole = x.new_zeros(len(x), 2, 4)
            whole[:, :, changed] = net(x[:, kept]).unflatten(1, (2, 2))
            return whole.flatten(1)

    torch.testing.assert_close(MaskedCoupling(OfAll(), mask)(x), AffineCoupling(net, swap=swap)(x))


@pytest.mark.row("GEN-38")
def test_a_checkerboard_keeps_one_colour():
    board = checkerboard(3, 4)
    assert board.tolist() == [[[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]]
    layer, x = MaskedCoupling(nn.Conv2d(1, 2, 3, padding=1), board), torch.randn(2, 1, 3, 4)
    z, log_det = layer(x)
    assert torch.equal((z == x).all(0), board > 0)
    white = torch.where(board > 0, x, 0.0)
    s = 3 * torch.tanh(layer.net(white)[:, :1] / 3)
    torch.testing.assert_close(log_det, (s * (1 - board)).sum((1, 2, 3)))


def test_a_mask_that_is_not_binary_is_refused():
    with pytest.raises(ValueError, match="a coupling's mask is of 0 and 1"):
        MaskedCoupling(nn.Identity(), torch.tensor([0.5, 1.0]))


@pytest.mark.row("GEN-38")
def test_two_moons_are_fitted_better_than_by_any_gaussian():
    with options(quiet=True):
        flow = Flow(realnvp(2, hidden=(32, 32), num_layers=6), (2,))
        run = fit(flow, toy("moons", batch=128), Adam(5e-3), steps=300, evaluate=toy("moons", split="test", batch=10_000))
    mixture = density("moons")
    x, _ = mixture.sample(20_000)
    gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov()).entropy().item()
    truth = -mixture.log_prob(x).mean().item()
    assert truth - 0.05 < run.results["nll"] < gaussian - 0.5


def test_images_of_odd_sides_are_refused():
    with pytest.raises(ValueError, match=r"2 scales need one or more, and sides that can be halved as often, got images \(1, 6, 8\)"):
        realnvp_images((1, 6, 8))
