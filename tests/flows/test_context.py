"""Every flow with a context: p(x | c) is a density for each c, its maps undo each other, and it learns what c says of x."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from deepcanon.engine import Adam, fit, options
from deepcanon.flows import Dequantized, Flow, UniformNoise, glow, iaf, maf, nice, realnvp, realnvp_images
from deepcanon.flows.maf_flow import MaskedAutoregressive, plain_inverse
from deepcanon.nets import MADE

K = 3
VECTORS = {"nice": nice, "realnvp": realnvp, "maf": maf, "iaf": iaf}
IMAGES = {"glow": lambda **how: glow((2, 4, 4), num_steps=2, width=4, **how),
          "realnvp_images": lambda **how: realnvp_images((2, 4, 4), width=4, **how)}


def made(name: str, dim: int = 2, noise: float = 0.1) -> Flow:
    """A flow with random weights, in float64."""
    torch.manual_seed(0)
    vector = name in VECTORS
    transform = VECTORS[name](dim, hidden=(16,), num_layers=3, context_dim=K) if vector else IMAGES[name](context_dim=K)
    flow = Flow(transform, (dim,) if vector else (2, 4, 4), context_dim=K).double()
    for p in flow.parameters():
        p.data.add_(noise * torch.randn_like(p))
    return flow.eval()


@pytest.mark.parametrize("name", [*VECTORS, *IMAGES])
def test_the_maps_undo_each_other_and_the_context_changes_them(name):
    flow, c = made(name), torch.randn(5, K, dtype=torch.float64)
    x = torch.randn(5, *flow.shape, dtype=torch.float64)
    with torch.no_grad():
        z, log_det = flow.mapped(x, c)
        back, back_log_det = flow.transform.inverse(z, c)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(back_log_det, -log_det)
    assert (flow.log_prob(x, c) - flow.log_prob(x, c.flip(0)))[[0, 1, 3, 4]].abs().min() > 1e-3


@pytest.mark.parametrize("name", [*VECTORS, *IMAGES])
def test_log_determinants_are_those_of_the_jacobian(name):
    flow, c = made(name), torch.randn(1, K, dtype=torch.float64)
    x = torch.randn(1, *flow.shape, dtype=torch.float64)
    matrix = jacobian(lambda x: flow.transform(x, c)[0].flatten(), x).flatten(1)
    torch.testing.assert_close(flow.mapped(x, c)[1], torch.linalg.slogdet(matrix)[1].reshape(1))


@pytest.mark.parametrize("name", VECTORS)
def test_for_each_context_it_integrates_to_one(name):
    flow, side = made(name, noise=0.0), torch.linspace(-40, 40, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        for c in torch.randn(2, 1, K, dtype=torch.float64):
            mass = flow.log_prob(grid, c.expand(len(grid), -1)).exp().sum() * (side[1] - side[0]) ** 2
            assert mass.item() == pytest.approx(1, abs=2e-3)


def test_the_unrolled_inverse_is_the_plain_one():
    torch.manual_seed(0)
    layer = MaskedAutoregressive(MADE(6, (20, 20), num_params=2, context_dim=K), 6, bound=6.9).double()
    z, c = torch.randn(7, 6, dtype=torch.float64), torch.randn(7, K, dtype=torch.float64)
    with torch.no_grad():
        unrolled, plain = layer.inverse(z, c), plain_inverse(layer.net, z, 6.9, c)
    for a, b in zip(unrolled, plain):
        torch.testing.assert_close(a, b)


def test_the_first_number_sees_the_context_and_none_sees_itself():
    net = MADE(4, (8,), num_params=1, context_dim=K).double()
    x, c = torch.randn(1, 4, dtype=torch.float64), torch.randn(1, K, dtype=torch.float64)
    by_x = jacobian(lambda x: net(x, c)[0, 0], x)[:, 0]
    by_c = jacobian(lambda c: net(x, c)[0, 0], c)[:, 0]
    assert not by_x.triu().any()
    assert (by_c.abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", ["realnvp", "maf"])
def test_it_learns_a_mean_and_a_scale_for_each_class(name):
    torch.manual_seed(0)
    y = torch.randint(K, (600,))
    centre, scale = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -3.0]]), torch.tensor([0.3, 0.6, 1.0])
    x = centre[y] + scale[y, None] * torch.randn(600, 2)
    flow = Flow(VECTORS[name](2, hidden=(32,), num_layers=2, context_dim=K), (2,), context_dim=K)
    with options(quiet=True):
        fit(flow, [(x, y)], Adam(1e-2), steps=250)
    truth = -((x - centre[y]) / scale[y, None]).square().sum(1) / 2 - 2 * scale[y].log() - math.log(2 * math.pi)
    with torch.no_grad():
        assert flow.log_prob(x, y).mean().item() == pytest.approx(truth.mean().item(), abs=0.1)
        for k in range(K):
            drawn = flow.sample(2_000, context=torch.full((2_000,), k))
            torch.testing.assert_close(drawn.mean(0), centre[k], atol=0.25, rtol=0)
            torch.testing.assert_close(drawn.std(0), scale[k].expand(2), atol=0.25, rtol=0)
        by_class = torch.stack([flow.log_prob(x, torch.full_like(y, k)) for k in range(K)], 1)
    assert (by_class.argmax(1) == y).double().mean() > 0.98                      # Bayes' rule


def test_images_of_levels_take_a_context():
    torch.manual_seed(0)
    flow = Dequantized(Flow(glow((1, 4, 4), num_steps=1, width=4, context_dim=K), (1, 4, 4), context_dim=K), UniformNoise(), levels=4)
    x, y = torch.randint(4, (6, 1, 4, 4)) / 3, torch.arange(6) % K
    assert flow.loss((x, y)).isfinite()
    assert flow.metrics((x, y))["bits_per_dim"].shape == (6,)
    assert flow.sample(3, context=torch.arange(3)).shape == (3, 1, 4, 4)
    with pytest.raises(ValueError, match="a context of 3 numbers for each data point, got none"):
        flow.bits_per_dim(x)


def test_contexts_that_are_none_are_refused():
    flow, plain = made("maf").float(), Flow(maf(2, hidden=(8,), num_layers=1), (2,))
    x = torch.randn(4, 2)
    for call, message in [
        (lambda: flow.log_prob(x), "expected a context of 3 numbers for each data point, got none"),
        (lambda: plain.log_prob(x, torch.randn(4, 3)), "expected no context, this density has none"),
        (lambda: flow.log_prob(x, torch.randn(4, 2)), r"expected a context of shape \(4, 3\), got \(4, 2\)"),
        (lambda: flow.log_prob(x, torch.tensor([0, 1, 2, 3])), r"expected labels in 0 ... 2, got 0 to 3"),
        (lambda: MADE(2, (4,), context_dim=-1), "expected a context of 0 numbers or more, got -1"),
        (lambda: MADE(2, (4,), context_dim=2)(x), r"expected a context of shape \(4, 2\), got none"),
        (lambda: MADE(2, (4,))(x, x), r"expected a context of shape \(4, 0\), got \(4, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
