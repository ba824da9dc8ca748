"""Critics in one batched product are so many nets."""

import numpy as np
import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp
from deepcanon.rl.critics import Critics


def test_equals_separate_nets():
    critics, s, a = Critics(3, 2, 16, 8, count=3), torch.randn(5, 3), torch.randn(5, 2)
    for k, values in enumerate(critics(s, a)):
        net = mlp(5, 16, 8, 1)
        for layer, weight, bias in zip(net[::2], critics.weights, critics.biases, strict=True):
            layer.load_state_dict({"weight": weight[k].T, "bias": bias[k, 0]})
        torch.testing.assert_close(values, net(torch.cat([s, a], -1))[:, 0])


def test_starts_as_linear_layers_do():
    critics, layer = Critics(3, 1, 256, 256), nn.Linear(256, 256)
    assert critics.weights[1].std().item() == pytest.approx(layer.weight.std().item(), rel=0.02)
    assert critics.weights[1].abs().max() <= 1 / 16
    assert not torch.equal(critics.weights[1][0], critics.weights[1][1])


@pytest.mark.row("RL-33")
def test_both_forms_of_q_hold_the_same_table():
    """One pass of Q(s) gives the greatest value over the A actions, Q(s, a) needs a row for each."""
    S, A = 4, 3
    table = torch.randn(S, A)
    by_state = nn.Linear(S, A, bias=False)
    by_pair = Critics(S, A, S * A, count=1)                                      # a hidden unit a pair: relu(s_i + a_j - 1)
    with torch.no_grad():
        by_state.weight.copy_(table.T)
        by_pair.weights[0].copy_(torch.cat([torch.eye(S).repeat_interleave(A, 1), torch.eye(A).repeat(1, S)])[None])
        by_pair.biases[0].fill_(-1.0)
        by_pair.weights[1].copy_(table.view(1, S * A, 1))
        by_pair.biases[1].zero_()
    assert torch.equal(by_state(torch.eye(S)), table)
    pairs = [torch.eye(n)[i.flatten()] for n, i in zip((S, A), np.indices((S, A)))]
    assert torch.equal(by_pair(*pairs).view(S, A), table)
    assert torch.equal(by_state(torch.eye(S)).amax(1), by_pair(*pairs).view(S, A).amax(1))
