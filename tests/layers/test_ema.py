"""The moving average of a net against its closed form."""

import copy

import pytest
import torch
from torch import nn

from deepcanon.layers.ema import ema_


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


@pytest.mark.row("FND-48")
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999, 1.0])
def test_is_its_closed_form(decay):
    source, k = net(), 7
    target = copy.deepcopy(source).requires_grad_(False)
    path = [[p.detach().clone() for p in source.parameters()]]
    for _ in range(k):
        with torch.no_grad():
            for p in source.parameters():
                p += torch.randn_like(p)
        path.append([p.detach().clone() for p in source.parameters()])
        ema_(target, source, decay)
    for i, average in enumerate(target.parameters()):
        closed = decay**k * path[0][i] + (1 - decay) * sum(decay ** (k - j) * path[j][i] for j in range(1, k + 1))
        torch.testing.assert_close(average, closed, atol=1e-7, rtol=0)


@pytest.mark.row("FND-48")
def test_no_gradient_flows_to_the_average():
    source = net()
    target = copy.deepcopy(source).requires_grad_(False)
    x = torch.randn(8, 3, dtype=torch.float64)
    (source(x) - target(x)).square().sum().backward()
    ema_(target, source, 0.9)
    assert all(p.grad is None and p.grad_fn is None and not p.requires_grad for p in target.parameters())
    assert all(p.grad is not None for p in source.parameters())
    ema_(learnt := net(), source, 0.9)
    assert all(p.is_leaf and p.requires_grad and p.grad is None for p in learnt.parameters())


def test_buffers_are_copied():
    source = net()
    target = copy.deepcopy(source)
    source(torch.randn(16, 3, dtype=torch.float64))
    ema_(target, source, 0.9)
    norm, trained = target[1], source[1]
    assert torch.equal(norm.running_mean, trained.running_mean)
    assert norm.num_batches_tracked == 1
    trained.running_mean.zero_()
    assert norm.running_mean.abs().sum() > 0


@pytest.mark.parametrize(("other", "decay", "complaint"), [
    (net(), 1.1, r"expected a decay in \[0, 1\], got 1.1"),
    (net(), -0.1, r"expected a decay in \[0, 1\], got -0.1"),
    (net(), float("nan"), r"expected a decay in \[0, 1\], got nan"),
    (nn.Linear(3, 4), 0.9, "two nets of the same shapes to average, got Linear and Sequential"),
])
def test_what_cannot_be_averaged_is_refused(other, decay, complaint):
    with pytest.raises(ValueError, match=complaint):
        ema_(other, net(), decay)
