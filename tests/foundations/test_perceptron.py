"""What a hidden layer adds."""

import pytest
import torch
from torch import nn

from deepcanon.foundations.linear import LinearClassifier
from deepcanon.nets.mlp import mlp

CORNERS, XOR = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])


@pytest.mark.row("FND-10")
@pytest.mark.parametrize("seed", range(5))
def test_two_layers_fit_xor(seed):
    torch.manual_seed(seed)
    net = mlp(2, 16, 2, activation=nn.Tanh)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(CORNERS), XOR).backward()
        optimizer.step()
    assert torch.equal(net(CORNERS).argmax(1), XOR)


@pytest.mark.row("FND-10", "FND-08")
def test_no_linear_classifier_gets_more_than_three_corners_right():
    linear = LinearClassifier(2, 2)
    best = 0
    with torch.no_grad():
        for angle in torch.arange(0, 6.3, 0.1):
            for bias in torch.arange(-2, 2, 0.1):
                linear.weight[1], linear.bias[1] = torch.stack([angle.cos(), angle.sin()]), bias
                best = max(best, int((linear.scores(CORNERS).argmax(1) == XOR).sum()))
    assert best == 3


@pytest.mark.row("FND-10")
def test_forward_is_a_chain_of_products():
    net = mlp(5, 7, 6, 3, activation=nn.Tanh).double()
    a = x = torch.randn(4, 5, dtype=torch.float64)
    for layer in net:
        a = a.tanh() if isinstance(layer, nn.Tanh) else torch.einsum("bi,oi->bo", a, layer.weight) + layer.bias
    torch.testing.assert_close(net(x), a)


@pytest.mark.row("FND-10")
def test_a_recurrent_cell_is_one_layer_on_previous_output_and_input():
    cell, h, x = nn.RNNCell(3, 5).double(), torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    weight = torch.cat([cell.weight_hh, cell.weight_ih], 1)
    layer = (torch.cat([h, x], 1) @ weight.T + cell.bias_hh + cell.bias_ih).tanh()
    torch.testing.assert_close(cell(x, h), layer, atol=1e-7, rtol=0)
