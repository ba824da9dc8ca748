"""The sanity checks of Adebayo et al. on nets that know the digits, and where attribution lies."""

import copy
from functools import partial

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from deepcanon.explain import (
    grad_cam,
    guided_backprop,
    integrated_gradients,
    rank_correlation,
    saliency,
    share_inside,
    smooth_grad,
    weight_randomization,
)
from tests.explain.nets import convolutional, digits, trained


def test_rank_correlation_is_spearmans(annotations_unchecked):
    a, b = torch.randn(3, 50), torch.randn(3, 50).round()  # with ties
    b[0] += 2 * a[0]
    found = rank_correlation(a, b)
    for i in range(3):
        assert found[i].item() == pytest.approx(spearmanr(a[i], b[i]).statistic, abs=1e-9)
    torch.testing.assert_close(rank_correlation(a, a.exp()), torch.ones(3).double())
    torch.testing.assert_close(rank_correlation(a, -a), -torch.ones(3).double())
    assert rank_correlation(a, torch.ones(3, 50)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"expected two tensors \(B, D\), got \(3, 50\) and \(3, 49\)"):
        rank_correlation(a, b[:, 1:])


WAYS = {
    "gradient": saliency,
    "smooth": partial(smooth_grad, sigma=0.1, samples=10),
    "guided": guided_backprop,
    "grad_cam": lambda net, x: grad_cam(net, "3", x),
    "integrated": integrated_gradients,
}


@pytest.mark.parametrize(
    ("name", "absolute", "last", "first"),
    [
        ("gradient", True, (-0.2, 0.4), (-0.3, 0.3)),
        ("smooth", True, (-0.2, 0.5), (-0.3, 0.4)),
        ("grad_cam", True, (-0.3, 0.4), (-0.3, 0.3)),
        ("guided", True, (0.3, 1.0), (-0.2, 0.5)),
        ("integrated", True, (0.8, 1.0), (0.8, 1.0)),
        ("integrated", False, (-0.4, 0.5), (-0.4, 0.4)),
    ],
)
def test_explanations_change_when_the_weights_are_randomised(net, name, absolute, last, first):
    """Gradients and Grad-CAM do. Guided backpropagation keeps much of its picture, and integrated gradients
    the absolute values, in which the input shows more than the net, as the paper found."""
    torch.manual_seed(0)
    x, before = digits("test")[0][:60], copy.deepcopy(net.state_dict())
    found = weight_randomization(net, WAYS[name], x, absolute=absolute)
    assert list(found) == ["6", "2", "0"]  # the last layer first
    assert last[0] < found["6"].mean() < last[1]
    assert first[0] < found["0"].mean() < first[1]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())  # the net itself stays


def test_explanations_change_when_the_labels_are_randomised(net):
    """A net that learned random labels by heart is explained otherwise than nets of true labels, which are
    alike."""
    x, y = digits("train")[0][:200], digits("train")[1][:200]
    memorised, twin = trained(3, shuffled=True, steps=800, width=12), trained(4)
    assert (memorised(x).argmax(1) == y).float().mean() < 0.3
    for name, absolute, least in [
        ("gradient", True, 0.15),
        ("gradient", False, 0.4),
        ("guided", True, 0.15),
        ("integrated", False, 0.3),
    ]:
        explained = [WAYS[name](n, x, y).flatten(1) for n in (net, twin, memorised)]
        explained = [e.abs() for e in explained] if absolute else explained
        true, random = (rank_correlation(explained[0], other).mean() for other in explained[1:])
        assert random < true - least, name


def test_randomisation_goes_on_from_layer_to_layer():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    seen = []
    weight_randomization(
        net, lambda n, x: seen.append([layer.weight.clone() for layer in n]) or n(x), torch.rand(1, 4)
    )
    trained_, second, both = seen
    assert torch.equal(second[0], trained_[0])
    assert not torch.equal(second[1], trained_[1])
    assert torch.equal(both[1], second[1])  # it stays random
    assert not torch.equal(both[0], trained_[0])
    with pytest.raises(ValueError, match=r"ReLU has no layer with reset_parameters\(\)"):
        weight_randomization(nn.ReLU(), lambda n, x: x, torch.rand(1, 4))


def test_shares_of_a_region_by_hand(annotations_unchecked):
    a = torch.tensor([[[1.0, -3.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    region = torch.tensor([[False, True], [True, True]])
    assert share_inside(a, region).tolist() == pytest.approx([5 / 6, 0])
    assert share_inside(a[:, None].expand(-1, 3, -1, -1), region).tolist() == pytest.approx([5 / 6, 0])
    assert share_inside(a.bfloat16(), ~region).tolist() == pytest.approx([1 / 6, 0], abs=1e-3)
    with pytest.raises(ValueError, match=r"expected the region as a mask of booleans, got torch\.float32"):
        share_inside(a, torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"expected a region that broadcasts to \(2, 2, 2\), got \(3,\)"):
        share_inside(a, torch.ones(3, dtype=torch.bool))


def test_convolutional_nets_of_the_tests_learn(net, other_net):
    x, y = digits("test")
    for n in (net, other_net):
        assert (n(x).argmax(1) == y).float().mean() > 0.85
    assert convolutional()(x[:2]).shape == (2, 10)
