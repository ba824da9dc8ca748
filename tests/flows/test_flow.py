"""The flow as a method: its likelihood, its samples, and what is refused."""

import math

import pytest
import torch
from torch import nn

from deepcanon.flows.flow import Chain, Flatten, Flow, Logit, Reverse
from deepcanon.flows.functional import standard_normal
from deepcanon.flows.maf_flow import maf
from deepcanon.flows.nice_flow import AdditiveCoupling, Scaling
from deepcanon.flows.realnvp_flow import AffineCoupling, realnvp
from deepcanon.nets.perceptron import mlp


@pytest.mark.row("GEN-36")
def test_a_scaled_flow_is_a_gaussian():
    flow = Flow(Scaling((3,)), (3,))
    flow.transform.s.data = torch.tensor([0.5, -1.0, 2.0])
    x = torch.randn(6, 3)
    expected = torch.distributions.Normal(0.0, (-flow.transform.s.data).exp()).log_prob(x).sum(1)
    torch.testing.assert_close(flow.log_prob(x), expected)
    torch.testing.assert_close(flow.loss((x,)), -expected.mean())
    torch.testing.assert_close(flow.metrics((x,)), {"nll": -expected})
    torch.testing.assert_close(flow.sample(20_000).std(0), (-flow.transform.s.data).exp(), rtol=0.03, atol=0)


@pytest.mark.row("GEN-36")
def test_without_the_prior_s_term_the_volume_explodes():
    """One of the notes' claims, log p(z) can be ignored in training a flow: it cannot."""

    def scales(steps: int, *, prior: bool) -> float:
        torch.manual_seed(0)
        flow, x = Flow(Scaling((2,)), (2,)), torch.randn(256, 2)
        optimizer = torch.optim.SGD(flow.parameters(), 0.1)
        for _ in range(steps):
            z, log_det = flow.transform(x)
            optimizer.zero_grad()
            (-log_det - prior * standard_normal(z)).mean().backward()
            optimizer.step()
        return flow.transform.s.max().item()

    assert scales(100, prior=True) < 0.1 < 9 < scales(100, prior=False)


def test_samples_are_mapped_back_to_the_noise_they_came_from():
    flow = Flow(Chain(Logit(), Flatten((1, 2, 2)), realnvp(4, hidden=(8,))), (4,))
    x = flow.sample(5)
    assert x.shape == (5, 1, 2, 2)
    torch.manual_seed(3)
    z = flow.noise(5)
    torch.manual_seed(3)
    torch.testing.assert_close(flow.encode(flow.sample(5)), z, atol=1e-4, rtol=1e-4)


def test_a_temperature_of_zero_draws_the_mode():
    flow = Flow(maf(3, hidden=(8,), num_layers=1), (3,))
    assert flow.sample(4, temperature=0.0).std(0).max() < 1e-6


def test_z_has_the_shape_of_the_flow():
    flow = Flow(maf(3, hidden=(8,)), (4,))
    with pytest.raises(ValueError, match=r"expected data points that become z of shape \(4,\), got shape \(3,\), z \(3,\)"):
        flow.log_prob(torch.randn(2, 3))
    with pytest.raises(ValueError, match=r"expected data points of shape \(1, 2, 2\), got \(4,\)"):
        Flatten((1, 2, 2))(torch.randn(2, 4))


def test_an_overflowing_scale_is_refused():
    flow = Flow(Scaling((3,)), (3,))
    nn.init.constant_(flow.transform.s, -200.0)
    with pytest.raises(ValueError, match=r"a scale exp\(s\) has overflowed"):
        flow.sample(2)
    unbounded = AffineCoupling(mlp(2, 4))
    nn.init.constant_(unbounded.net[0].bias, 1e4)
    assert unbounded.inverse(torch.randn(3, 4))[0].isfinite().all()


def test_a_logit_of_no_margin_is_the_logistic_s():
    x = torch.rand(4, 2, dtype=torch.float64)
    z, log_det = Logit(0.0)(x)
    torch.testing.assert_close(log_det, -(x * (1 - x)).log().sum(1))
    torch.testing.assert_close(z.sigmoid(), x)
    with pytest.raises(ValueError, match=r"expected a margin in \[0, 0.5\), got 0.5"):
        Logit(0.5)


def test_nats_of_a_standard_normal():
    torch.testing.assert_close(standard_normal(torch.zeros(2, 3, 4)), torch.full((2,), -6 * math.log(2 * math.pi)))


@pytest.mark.parametrize("make", [lambda: Flow(nn.Linear(4, 4), (4,)), lambda: Chain(Reverse(), nn.ReLU())])
def test_layers_without_an_inverse_are_refused(make):
    with pytest.raises(ValueError, match=r"made of transforms, which have an inverse.*; (Linear|ReLU) has none"):
        make()


@pytest.mark.parametrize("layer", [AdditiveCoupling(nn.Linear(2, 1)), AffineCoupling(nn.Linear(2, 2)), Scaling((1,))])
def test_layers_that_would_broadcast_are_refused(layer):
    for way in (layer, layer.inverse):
        with pytest.raises(ValueError, match="expected data of shape"):
            way(torch.randn(5, 4))


def test_numbers_without_a_logit_are_refused():
    with pytest.raises(ValueError, match=r"numbers in \[0, 1\], which have a logit, got some from -2 to 0.5"):
        Logit()(torch.tensor([[-2.0, 0.5]]))


class Broadcasting(nn.Module):
    """x + b with b (D,), as a user writes it, whose log-determinant may be of any shape."""

    def __init__(self, shape):
        super().__init__()
        self.b, self.shape = nn.Parameter(torch.zeros(3)), shape

    def forward(self, x):
        return x + self.b, x.new_zeros(self.shape(x))

    inverse = forward


def test_data_that_broadcast_are_refused():
    flow = Flow(Broadcasting(lambda x: (len(x),)), (3,))
    assert flow.log_prob(torch.zeros(5, 3)).shape == (5,)
    for method in (flow.log_prob, flow.encode, lambda x: flow.loss((x,)), lambda x: flow.metrics((x,))):
        with pytest.raises(ValueError, match=r"^expected data points that become z of shape \(3,\), got shape \(1,\), z \(3,\)$"):
            method(torch.zeros(5, 1))


@pytest.mark.parametrize(("shape", "shown"), [(lambda x: (len(x), 1), r"\(5, 1\)"), (lambda x: (5, 5), r"\(5, 5\)")])
@pytest.mark.parametrize("chain", [True, False])
def test_a_log_determinant_that_broadcasts_is_refused(shape, shown, chain, annotations_unchecked):
    transform = Broadcasting(shape)
    flow = Flow(Chain(transform) if chain else transform, (3,))
    with pytest.raises(ValueError, match=rf"^expected one log-determinant for each of 5 data points, got shape {r'[(]5, 5[)]' if chain else shown}$"):
        flow.loss((torch.zeros(5, 3),))
