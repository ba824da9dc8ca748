"""Residual networks: the identity in the Jacobian, the published sizes, another library's logits, and depth that trains."""

import jaxtyping
import pytest
import torch
from torch import nn
from torch.func import jacrev
from transformers import ResNetConfig, ResNetForImageClassification

from deepcanon.data import images
from deepcanon.engine import SGD, fit, options
from deepcanon.nets.resnet import Residual, ResNet, basic, bottleneck, large_stem, resnet18, resnet34, resnet50, resnet_cifar
from deepcanon.vision.classify import Classifier


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.row("FND-53", "VIS-12")
def test_jacobian_of_a_residual_connection_is_that_of_f_plus_the_identity():
    torch.manual_seed(0)
    f = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3, padding=1)).double()
    x = torch.rand(2, 5, 5, dtype=torch.float64)
    difference = (jacrev(Residual(f))(x) - jacrev(f)(x)).reshape(x.numel(), x.numel())
    torch.testing.assert_close(difference, torch.eye(x.numel(), dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.row("FND-53")
def test_fifty_residual_blocks_pass_the_gradient_to_the_first_layer():
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(50)]
    x = torch.randn(8, 16)

    def first_gradient(net: nn.Module) -> float:
        (gradient,) = torch.autograd.grad(net(x).square().mean(), layers[0][0].weight)
        return gradient.norm().item()

    assert first_gradient(nn.Sequential(*map(Residual, layers))) > 1e6 * first_gradient(nn.Sequential(*layers))


@pytest.mark.row("VIS-12")
@pytest.mark.parametrize(
    ("build", "parameters"),
    [(resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032), (resnet_cifar, 272_474)],
)
def test_published_sizes(build, parameters):
    with torch.device("meta"):
        assert count(build()) == parameters


@pytest.mark.row("VIS-12")
@pytest.mark.parametrize(("block", "name", "expansion"), [(basic, "basic", 1), (bottleneck, "bottleneck", 4)])
def test_logits_equal_those_of_transformers(block, name, expansion):
    torch.manual_seed(0)
    sizes = [8 * expansion, 16 * expansion]
    config = ResNetConfig(embedding_size=8, hidden_sizes=sizes, depths=[2, 3], layer_type=name, num_labels=5)
    reference = ResNetForImageClassification(config)
    net = ResNet(large_stem(3, 8), 8, (2, 3), (8, 16), 5, block=block)

    def copy(ours: nn.Sequential, theirs: nn.Module) -> None:
        ours[0].load_state_dict(theirs.convolution.state_dict())
        ours[1].load_state_dict(theirs.normalization.state_dict())

    copy(net.stem[0], reference.resnet.embedder.embedder)
    for stage, their_stage in zip(net.stages, reference.resnet.encoder.stages, strict=True):
        for (residual, _), layer in zip(stage, their_stage.layers, strict=True):
            for ours, theirs in zip(residual.residual[::2], layer.layer, strict=True):
                copy(ours, theirs)
            if isinstance(residual.shortcut, nn.Sequential):
                copy(residual.shortcut, layer.shortcut)
    net.head.load_state_dict(reference.classifier[1].state_dict())
    x = torch.rand(2, 3, 64, 64)
    for mode in (True, False):                                                   # batch statistics, then the running ones both have gathered
        torch.testing.assert_close(net.train(mode)(x), reference.train(mode)(x).logits, atol=1e-4, rtol=1e-4)


class Nothing(nn.Module):
    def forward(self, x):
        return 0.0


@pytest.mark.row("VIS-12")
def test_fifty_plain_layers_train_worse_than_fifty_residual_ones():
    torch.manual_seed(0)
    residual, plain = resnet_cifar(50, in_channels=1, width=8), resnet_cifar(50, in_channels=1, width=8)
    plain.load_state_dict(residual.state_dict())
    for layer in plain.modules():
        if isinstance(layer, Residual):
            layer.shortcut = Nothing()

    def final_loss(net: nn.Module) -> float:
        train, again = images("digits", batch=64), images("digits", batch=359, shuffle=False)
        with options(quiet=True):
            return fit(Classifier(net), train, SGD(0.02, momentum=0.9), steps=66, evaluate=again).results["nll"]

    assert final_loss(residual) < 0.5 * final_loss(plain)


@pytest.mark.row("VIS-05")
def test_the_head_averages_over_space():
    net = ResNet(nn.Identity(), 6, (), (), 3)                                    # no stage: pooling and the linear layer alone
    x = torch.rand(2, 6, 4, 5)
    shuffled = x.flatten(2)[..., torch.randperm(20)].view_as(x)
    torch.testing.assert_close(net(x), net(shuffled))
    torch.testing.assert_close(net(x), x.mean((2, 3)) @ net.head.weight.T + net.head.bias)


@pytest.mark.row("VIS-05")
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (33, 47)])
def test_takes_images_of_any_size(size):
    assert resnet_cifar(8, num_classes=7)(torch.rand(2, 3, *size)).shape == (2, 7)


def test_activations_are_channels_last():
    net = resnet18(num_classes=10)
    maps = net.stages(net.stem(torch.rand(2, 3, 64, 64)))
    assert maps.shape == (2, 512, 2, 2)
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_refuses_a_depth_or_an_image_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)             # as a user meets it
    with pytest.raises(ValueError, match="6n \\+ 2"):
        resnet_cifar(18)
    with pytest.raises(ValueError, match=r"expected images \(B, C, H, W\), got \(3, 32, 32\)"):
        resnet_cifar(8)(torch.rand(3, 32, 32))
