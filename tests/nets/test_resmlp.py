"""The residual perceptron of small pictures."""

import pytest
import torch

from deepcanon.nets.resmlp import ResidualMLP


def test_it_starts_as_zero_and_then_answers_by_time():
    net = ResidualMLP((1, 4, 4), width=16, num_layers=2, time_dim=8)
    x, t = torch.randn(3, 1, 4, 4), torch.tensor([1, 50, 100])
    assert torch.equal(net(x, t), torch.zeros_like(x))
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    assert not torch.allclose(net(x, t), net(x, t + 1))


def test_pictures_do_not_mix():
    net = ResidualMLP((2, 4, 4), width=16, time_dim=8)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    x, t = torch.randn(3, 2, 4, 4), torch.tensor([1, 50, 100])
    torch.testing.assert_close(net(x[1:2], t[1:2]), net(x, t)[1:2])


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected pictures \(B, 1, 4, 4\), got \(2, 1, 8, 8\)"):
        ResidualMLP((1, 4, 4), width=8, time_dim=8)(torch.randn(2, 1, 8, 8), torch.tensor([1, 2]))
