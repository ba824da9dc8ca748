"""What every transform of a flow must do: both maps undo each other, and each knows its own determinant."""

import pytest
import torch
from torch import Tensor, nn

from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.flow import Chain, Flatten, Flow, Logit, Reverse
from deepcanon.flows.glow_flow import Conv1x1, Conv1x1LU, glow
from deepcanon.flows.iaf_flow import InverseAutoregressive, iaf
from deepcanon.flows.maf_flow import MaskedAutoregressive, maf
from deepcanon.flows.multiscale_flow import OnHalf, Squeezed
from deepcanon.flows.nice_flow import AdditiveCoupling, Scaling, nice
from deepcanon.flows.realnvp_flow import AffineCoupling, MaskedCoupling, checkerboard, realnvp, realnvp_images
from deepcanon.nets.made import MADE
from deepcanon.nets.perceptron import mlp


def kinked(*dims: int) -> nn.Sequential:
    """A net with ReLU, which no one can invert."""
    return mlp(*dims)


def conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1)


TRANSFORMS = {
    "reverse": (Reverse, (5,)),
    "flatten": (lambda: Flatten((2, 3)), (2, 3)),
    "logit": (lambda: Logit(0.05), (5,)),
    "actnorm": (lambda: ActNorm(3), (3, 2, 2)),
    "scaling": (lambda: Scaling((5,)), (5,)),
    "additive coupling": (lambda: AdditiveCoupling(kinked(3, 8, 2)), (5,)),
    "affine coupling": (lambda: AffineCoupling(kinked(2, 8, 6), swap=True), (5,)),
    "affine coupling of images": (lambda: AffineCoupling(conv(2, 2)), (3, 2, 4)),
    "checkerboard coupling": (lambda: MaskedCoupling(conv(2, 4), checkerboard(3, 4)), (2, 3, 4)),
    "1x1 convolution": (lambda: Conv1x1(torch.randn(3, 3)), (3, 2, 4)),
    "1x1 convolution, LU": (lambda: Conv1x1LU(torch.randn(3, 3)), (3, 2, 4)),
    "squeezed": (lambda: Squeezed(Conv1x1(torch.randn(4, 4))), (1, 4, 2)),
    "on half": (lambda: OnHalf(Conv1x1(torch.randn(2, 2)), AffineCoupling(conv(2, 4), swap=True)), (4, 2, 2)),
    "masked autoregressive": (lambda: MaskedAutoregressive(MADE(5, (16, 16), num_params=2), 5), (5,)),
    "inverse autoregressive": (lambda: InverseAutoregressive(MADE(5, (16, 16), num_params=2), 5), (5,)),
    "nice": (lambda: nice(5, hidden=(8,)), (5,)),
    "realnvp": (lambda: realnvp(5, hidden=(8,)), (5,)),
    "maf": (lambda: maf(5, hidden=(16,), num_layers=2), (5,)),
    "iaf": (lambda: iaf(5, hidden=(16,), num_layers=2), (5,)),
    "realnvp of images": (lambda: realnvp_images((1, 4, 4), width=4), (1, 4, 4)),
    "glow": (lambda: glow((1, 4, 4), num_steps=2, width=4), (1, 4, 4)),
}


@pytest.fixture(params=TRANSFORMS, name="case")
def _case(request) -> tuple[nn.Module, Tensor]:
    """A transform whose parameters have all moved, in double precision, and eight points inside (0, 1)."""
    make, shape = TRANSFORMS[request.param]
    torch.manual_seed(1)
    transform = make().double().eval()
    with torch.no_grad():
        for p in transform.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return transform, torch.rand(8, *shape, dtype=torch.float64)


@pytest.mark.row("GEN-36", "GEN-37", "GEN-38", "GEN-39", "GEN-40", "GEN-41")
@pytest.mark.parametrize("gradients", [True, False])
def test_the_two_maps_undo_each_other(case, gradients):
    transform, x = case
    with torch.set_grad_enabled(gradients):
        z, log_det = transform(x)
        back, log_det_back = transform.inverse(z)
    torch.testing.assert_close(back, x, atol=1e-6, rtol=0)
    torch.testing.assert_close(log_det_back, -log_det, atol=1e-6, rtol=0)
    assert z[0].numel() == x[0].numel()


@pytest.mark.row("GEN-36", "GEN-37", "GEN-38", "GEN-39", "GEN-40", "GEN-41")
def test_the_log_determinant_is_that_of_the_jacobian(case):
    transform, x = case
    _, log_det = transform(x)
    for point, expected in zip(x[:3], log_det):
        jacobian = torch.autograd.functional.jacobian(lambda p: transform(p[None])[0].flatten(), point).flatten(1)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], expected, atol=1e-6, rtol=0)


@pytest.mark.row("GEN-36")
def test_log_determinants_of_a_chain_add_up():
    first, second = realnvp(4, hidden=(8,)).double(), maf(4, hidden=(8,), num_layers=1).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    y, a = first(x)
    z, b = second(y)
    both, total = Chain(first, second)(x)
    torch.testing.assert_close((both, total), (z, a + b))


PLANAR = {
    "nice": lambda: nice(2, hidden=(16,)),
    "realnvp": lambda: realnvp(2, hidden=(16,), num_layers=4),
    "maf": lambda: maf(2, hidden=(16,), num_layers=3),
    "iaf": lambda: iaf(2, hidden=(16,), num_layers=3),
}


@pytest.mark.row("GEN-36")
@pytest.mark.parametrize("name", PLANAR)
def test_a_density_in_the_plane_integrates_to_one(name):
    flow = Flow(PLANAR[name]().double(), (2,))
    line = torch.linspace(-12, 12, 401, dtype=torch.float64)
    with torch.no_grad():
        mass = flow.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2
    assert abs(mass - 1) < 1e-2
