"""Both forms of dropout: their means by sampling, torch's masks; which scalings are right is claim C-021."""


import pytest
import torch
import torch.nn.functional as F

from deepcanon.layers.dropout import Dropout


@pytest.mark.row("FND-39")
@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_the_mean_in_training_is_the_value_in_use(p, inverted):
    n = 100_000
    layer, x = Dropout(p, inverted=inverted), torch.full((n,), 10.0)
    y = layer(x)
    zeros = (y == 0).double().mean()
    assert abs(zeros - p) <= 4 * (p * (1 - p) / n) ** 0.5
    assert abs(y.double().mean() - layer.eval()(x).double().mean()) <= 4 * y.double().std() / n**0.5 + 1e-5
    assert torch.equal(layer(x), x if inverted else (1 - p) * x)


@pytest.mark.row("FND-39")
@pytest.mark.parametrize("p", [0.0, 0.3, 0.8])
def test_the_inverted_form_is_torchs_mask_for_mask(p):
    x = torch.randn(50, 20, requires_grad=True)
    torch.manual_seed(1)
    ours = Dropout(p)(x)
    torch.manual_seed(1)
    theirs = F.dropout(x, p)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(50, 20)
    a, b = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_probabilities_that_cannot_be_are_refused(p):
    with pytest.raises(ValueError, match=r"expected a probability to drop in \[0, 1\), got"):
        Dropout(p)
