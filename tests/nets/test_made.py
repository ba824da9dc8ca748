"""MADE: its masks, its unrolled form, and the check of any net that claims to be autoregressive."""

import pytest
import torch
from torch import nn

from deepcanon.nets.made import MADE, MaskedLinear, check_causal, hidden_degrees


@pytest.mark.parametrize(("dim", "hidden", "num_params"), [(6, (16, 16), 2), (5, (3,), 1), (1, (4,), 2), (9, (32, 8, 16), 3)])
def test_parameters_see_the_numbers_before_theirs_and_no_others(dim, hidden, num_params):
    net = MADE(dim, hidden, num_params=num_params, activation=nn.Tanh).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: net(x[None])[0], torch.randn(dim).double())    # (P, D, D)
    sees = jacobian.abs().amax(0) > 0
    assert not sees.triu().any()
    if min(hidden) >= dim - 1:
        assert sees.equal(torch.ones(dim, dim).tril(-1) > 0)


def test_degrees_are_sorted_and_shared_out_equally():
    assert hidden_degrees(8, 5).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert hidden_degrees(3, 7).tolist() == [1, 3, 5]
    assert hidden_degrees(2, 1).tolist() == [1, 1]


@pytest.mark.parametrize(("dim", "hidden"), [(6, (16, 16)), (5, (3,)), (1, (4,)), (9, (32, 8, 16))])
def test_unrolled_it_gives_the_parameters_of_the_whole_pass(dim, hidden):
    net, x = MADE(dim, hidden, num_params=2).double(), torch.randn(4, dim).double()
    unrolled, expected = net.unroll(4), net(x).detach()                         # (B, P, D)
    with torch.inference_mode():
        for i in range(dim):
            torch.testing.assert_close(unrolled.params(i), expected[:, :, i].T, atol=1e-12, rtol=0)
            unrolled.known[i] = x[:, i]


def test_unrolled_each_hidden_unit_is_computed_once(monkeypatch):
    net, rows = MADE(8, (32, 32)), []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda weight, x, **out: rows.append(len(weight)) or mm(weight, x, **out))
    unrolled = net.unroll(2)
    with torch.inference_mode():
        for i in range(8):
            unrolled.params(i)
    assert sum(rows) == 32 + 32 + 8


def test_a_net_that_breaks_causality_is_refused():
    check_causal(MADE(5, (16, 16)), 5)

    class Leaking(nn.Module):
        """A MADE whose output 2 has been given number 3."""

        def __init__(self):
            super().__init__()
            self.made = MADE(5, (16, 16))

        def forward(self, x):
            y = self.made(x)
            return torch.cat([y[..., :2], y[..., 2:3] + 0.1 * x[:, None, 3:4], y[..., 3:]], -1)

    leaking = Leaking()
    with pytest.raises(ValueError, match="not autoregressive: its output of number 2 changes with number 3"):
        check_causal(leaking, 5)
    assert leaking.training
    with pytest.raises(ValueError, match=r"expected an output \(B, P, 5\), got \(B, 5\)"):
        check_causal(nn.Linear(5, 5), 5)


def test_masked_out_weights_get_no_gradient():
    layer = MaskedLinear(torch.tensor([[True, False, True], [False, True, True]]))
    layer(torch.randn(4, 3)).square().sum().backward()
    assert (layer.weight.grad == 0).equal(layer.mask == 0)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="expected one number, parameter and hidden layer or more, got 3, 1 and"):
        MADE(3, ())
    with pytest.raises(ValueError, match=r"expected rows of 3 numbers, got \(2, 4\)"):
        MADE(3)(torch.randn(2, 4))
