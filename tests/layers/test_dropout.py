"""Both forms of dropout: their means by enumeration and by sampling, torch's masks, and the forms that are wrong."""

import itertools

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


def mean_by_enumeration(scale: float, p: float, x: float, units: int = 3) -> float:
    """The mean over all masks of `units` equal inputs, kept with probability 1 - p, summed with weights 1 / units."""
    masks = itertools.product([0, 1], repeat=units)
    return sum((1 - p) ** sum(d) * p ** (units - sum(d)) * scale * x * sum(d) / units for d in masks)


@pytest.mark.row("FND-39")
def test_which_scalings_agree_between_training_and_use():
    """Worked example "Dropout scaling options": x = 10 is dropped with probability 0.2. That D and E are right was claimed, and is true."""
    p, x = 0.2, 10.0

    def mask(scale):
        return mean_by_enumeration(scale, p, x)

    ways = {"A": (mask(1 / (1 - p)), mask(1 / (1 - p))), "B": (mask(1 / p), mask(1 / p)), "C": (p * x, mask(1 / p)),
            "D": (mask(1 / (1 - p)), x), "E": (mask(1), (1 - p) * x)}
    assert ways["D"] == pytest.approx((10.0, 10.0))
    assert ways["E"] == pytest.approx((8.0, 8.0))
    noisy_in_use = {"A", "B", "C"}                                                # and B's and C's means are off besides
    assert ways.keys() - noisy_in_use == {"D", "E"}
    assert ways["B"][1] != pytest.approx(x)
    assert ways["C"][0] != pytest.approx(ways["C"][1])
    for name, inverted in [("D", True), ("E", False)]:
        layer = Dropout(p, inverted=inverted)
        assert layer.eval()(torch.full((3,), x)).mean().item() == pytest.approx(ways[name][1])


@pytest.mark.row("FND-39")
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8])
def test_weights_are_multiplied_by_the_probability_to_keep(keep):
    """The claim that they are multiplied by 1 / keep at test time: false, by keep."""
    trained = mean_by_enumeration(1.0, 1 - keep, 10.0)
    assert trained == pytest.approx(keep * 10.0)
    assert trained != pytest.approx(10.0 / keep)
    assert Dropout(1 - keep, inverted=False).eval()(torch.tensor([10.0])).item() == pytest.approx(trained)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_probabilities_that_cannot_be_are_refused(p):
    with pytest.raises(ValueError, match=r"expected a probability to drop in \[0, 1\), got"):
        Dropout(p)
