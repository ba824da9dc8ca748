"""What all explanations do with a net: nothing stays changed, and mistakes are one clear line."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from deepcanon import explain
from deepcanon.explain import functional
from tests.explain.nets import ViT, convolutional

EXPLANATIONS = {
    "saliency": explain.saliency,
    "guided": explain.guided_backprop,
    "deconvolution": explain.deconvolution,
    "smooth": partial(explain.smooth_grad, sigma=0.1, samples=2),
    "integrated": partial(explain.integrated_gradients, steps=3),
    "occlusion": partial(explain.occlusion, window=4),
    "grad_cam": lambda net, x, target=None: explain.grad_cam(net, "2", x, target),
    "mask": lambda net, x, target=None: explain.attention_gradient(net, "2", x, target),
}


def dropping() -> nn.Sequential:
    """A net with everything that a mode changes, its rectifiers in place."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(256, 3),
    )


@pytest.mark.parametrize("name", EXPLANATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_a_net_is_left_as_it_was(name, training):
    net, x = dropping().train(training), torch.rand(2, 1, 8, 8)
    net[0].requires_grad_(False)
    net[1].eval()
    for p in net[6].parameters():
        p.grad = torch.ones_like(p)
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    with torch.no_grad():  # as inside an evaluation
        first = EXPLANATIONS[name](net, x, 1)
        assert not torch.is_grad_enabled()
    assert not first.requires_grad
    assert first.isfinite().all()
    assert first.any()
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None for p in net[2].parameters())
    assert all((p.grad == 1).all() for p in net[6].parameters())
    assert all(not m._forward_hooks and not m._backward_hooks for m in net.modules())
    assert not x.requires_grad
    if name != "smooth":  # no dropout, no batch statistics
        torch.testing.assert_close(EXPLANATIONS[name](net, x[:1], 1), first[:1])


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_hooks_and_mode_are_put_back_when_a_net_fails(name):
    net = dropping()
    with pytest.raises(RuntimeError):
        EXPLANATIONS[name](net, torch.rand(2, 1, 5, 5), 1)
    assert all(m.training and not m._forward_hooks for m in net.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_eight_bit_images_and_nets_in_bfloat16(name):
    torch.manual_seed(1)
    net, x = convolutional(classes=3), torch.randint(256, (2, 1, 8, 8), dtype=torch.uint8)
    torch.manual_seed(1)
    exact = EXPLANATIONS[name](net, x, 1)
    torch.manual_seed(1)
    torch.testing.assert_close(EXPLANATIONS[name](net, x.float() / 255, 1), exact)
    torch.manual_seed(1)
    rough = EXPLANATIONS[name](net.bfloat16(), x, 1)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).norm() < 0.35 * exact.norm()


@pytest.mark.parametrize("name", EXPLANATIONS)
@pytest.mark.parametrize(
    ("x", "target", "error", "message"),
    [
        (
            torch.full((1, 1, 8, 8), float("nan")),
            1,
            ValueError,
            r"expected finite values, got 64 of 64 that are nan or inf",
        ),
        (
            torch.ones(1, 1, 8, 8, dtype=torch.int64),
            1,
            TypeError,
            r"expected floating-point or uint8 values, got torch\.int64",
        ),
        (
            torch.rand(0, 1, 8, 8),
            1,
            ValueError,
            r"expected a batch of inputs \(B, \.\.\.\), got \(0, 1, 8, 8\)",
        ),
        (torch.rand(2, 1, 8, 8), 3, ValueError, r"expected classes in 0\.\.2, got 3\.\.3"),
        (torch.rand(2, 1, 8, 8), -1, ValueError, r"expected classes in 0\.\.2, got -1\.\.-1"),
        (
            torch.rand(2, 1, 8, 8),
            torch.tensor([0, 1, 2]),
            ValueError,
            r"one class for each of 2 inputs, got torch\.int64 \(3,\)",
        ),
        (
            torch.rand(2, 1, 8, 8),
            torch.tensor([0.0, 1.0]),
            ValueError,
            r"one class for each of 2 inputs, got torch\.float32 \(2,\)",
        ),
        (
            torch.rand(2, 1, 8, 8),
            lambda o: o,
            ValueError,
            r"expected a score of shape \(2,\), one an input, got \(2, 3\)",
        ),
    ],
)
def test_mistakes_are_one_line(name, x, target, error, message, annotations_unchecked):
    with pytest.raises(error, match=message) as raised:
        EXPLANATIONS[name](convolutional(classes=3), x, target)
    assert "\n" not in str(raised.value)


def test_scores_are_of_the_likeliest_class_by_default():
    logits = torch.tensor([[1.0, 3.0, 2.0], [9.0, 0.0, 1.0]])
    assert functional.score(logits).tolist() == [3, 9]
    assert functional.score(logits, 2).tolist() == [2, 1]
    assert functional.score(logits, torch.tensor([0, 2])).tolist() == [1, 1]
    assert functional.score(logits, lambda o: o.sum(1)).tolist() == [6, 10]
    assert functional.score((logits, "more")).tolist() == [3, 9]
    assert functional.score(logits[:, 0]).tolist() == [1, 9]  # one number an input
    with pytest.raises(ValueError, match=r"expected logits \(B, K\), got \(2, 3, 1\); pass target="):
        functional.score(logits[:, :, None])
    with pytest.raises(TypeError, match="expected a net that returns a tensor, got dict"):
        functional.score({"out": logits})


def test_layers_are_named_or_given():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(functional.activations(net, "2", x), net[:3](x))
    torch.testing.assert_close(functional.activations(net, net[2], x), net[:3](x))
    with pytest.raises(ValueError, match=r"Sequential has no layer '9', only 0, 1, 2, 3, 4, 5, 6$"):
        functional.activations(net, "9", x)
    with pytest.raises(ValueError, match=r"this Conv2d is no layer of Sequential"):
        functional.activations(net, nn.Conv2d(1, 1, 1), x)
    with pytest.raises(
        ValueError, match=r"expected a layer that returns a tensor, MultiheadAttention returns tuple"
    ):
        functional.activations(ViT(), "encoder.layers.0.self_attn", x)
    net.unused = nn.ReLU()
    net.forward = lambda x: net[0](x)
    for explanation in (functional.activations, functional.layer_gradient):
        with pytest.raises(ValueError, match=r"the ReLU is not used when Sequential is applied"):
            explanation(
                net,
                "unused",
                x,
                *([lambda o: o.sum((1, 2, 3))] if explanation is functional.layer_gradient else []),
            )


def test_a_score_without_a_gradient_is_named(annotations_unchecked):
    class Detached(nn.Module):
        def forward(self, x):
            return x.detach().flatten(1)

    with pytest.raises(ValueError, match="the score has no gradient"):
        explain.saliency(Detached(), torch.rand(1, 3), 0)
    with pytest.raises(TypeError, match=r"expected a net, an nn\.Module, got function"):
        functional.pixels(lambda x: x, torch.rand(1, 3))


def test_a_layer_in_place_changes_no_activation():
    """A convolution is followed by a rectifier in place: its own output keeps its negative values."""
    net, x = convolutional(in_place=True), torch.rand(2, 1, 8, 8)
    a, slope = functional.layer_gradient(net, "2", x, 0)
    assert (a < 0).any()
    torch.testing.assert_close(a, functional.activations(net, "2", x))
    assert (slope[a < 0] == 0).all()
