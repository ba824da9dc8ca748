"""Claims about convolutional nets: sizes, parameters, depth, and what their last layers are for."""

import torch
from torch import nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.data import arrays, images
from deepcanon.engine import SGD, Adam, fit
from deepcanon.layers.convolution import convolve, output_size, parameter_count
from deepcanon.nets.conv_net import ConvNet
from deepcanon.nets.googlenet import MODULES, Inception
from deepcanon.nets.resnet import Residual, resnet_cifar
from deepcanon.nets.vgg import vgg_net
from deepcanon.vision.classify import Classifier


@claim("C-051", answer="yes")
def a_strided_convolution_halves_the_side() -> Finding:
    """A convolution of 3 to 4 channels, kernel 3, stride 2 and padding 1 takes 15 x 15 pixels to 8 x 8, by
    112 parameters.

    The convolution itself on random pixels, and torch's.
    """
    layer, x = nn.Conv2d(3, 4, 3, 2, 1), torch.rand(1, 3, 15, 15)
    y = convolve(x, layer.weight, layer.bias, stride=2, padding=1)
    measured = {
        "channels": float(y.shape[1]),
        "side": float(y.shape[2]),
        "parameters": float(count(layer)),
        "distance_from_torch": (y - layer(x)).abs().max().item(),
    }
    return Finding(
        measured, (y.shape[1:], count(layer)) == ((4, 8, 8), 112) and measured["distance_from_torch"] < 1e-5
    )


@claim("C-052", answer="yes")
def convolutions_have_few_parameters() -> Finding:
    """Convolutions need far fewer parameters than fully connected layers on images.

    From 224 x 224 x 3 pixels to 64 maps of the same size: a 3 x 3 convolution, and a layer in which every
    number sees every pixel.
    """
    inputs, outputs = 224 * 224 * 3, 224 * 224 * 64
    measured = {
        "convolution": float(parameter_count(3, 64, (3, 3))),
        "connected": float((inputs + 1) * outputs),
    }
    measured["ratio"] = measured["connected"] / measured["convolution"]
    return Finding(measured, measured["ratio"] > 1000)


@claim("C-053", answer="yes")
def vgg_spends_memory_early_and_parameters_late() -> Finding:
    """In VGG most memory is in the early layers, and most parameters are in the first fully connected one.

    VGG-16 on one image of 224 pixels: the share of all numbers in maps and pooled maps that the first two
    convolutions and the first two stages make, and the share of the parameters in the first hidden layer.
    """
    with torch.device("meta"):
        net, values = vgg_net(16), []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                layer.register_forward_hook(lambda _, x, y: values.append(y.numel()))
        net(torch.rand(1, 3, 224, 224))
    first = next(layer for layer in net.hidden if isinstance(layer, nn.Linear))
    measured = {
        "first_two_convolutions": sum(values[:2]) / sum(values),
        "first_two_stages": sum(values[:6]) / sum(values),
        "first_hidden_layer": count(first) / count(net),
        "parameters": float(count(net)),
    }
    return Finding(
        measured,
        measured["first_two_stages"] > 0.5 and measured["first_hidden_layer"] > 0.5,
        "The first two convolutions alone hold 43 % of the activations.",
    )


@claim("C-054", answer="yes")
def hidden_layers_are_not_needed_after_convolutions() -> Finding:
    """Fully connected layers are not really needed after the convolutional ones.

    Two nets with the same convolutions on 1,437 digits of 8 x 8 pixels, 200 steps, five seeds: one ends in
    two hidden layers of 64, the other in the mean over space and a linear layer. Test accuracies and
    parameters.
    """

    def net(pooled: bool) -> ConvNet:
        return ConvNet(
            [[16, 32], [64]],
            10,
            in_channels=1,
            image_size=8,
            hidden=() if pooled else (64, 64),
            dropout=0.0,
            norm=nn.BatchNorm2d,
            global_pool=pooled,
        )

    def experiment(seed: int) -> dict[str, float]:
        numbers = {}
        for name, pooled in (("pooled", True), ("hidden", False)):
            run = fit(
                Classifier(net(pooled)),
                images("digits", batch=64, seed=seed),
                Adam(3e-3),
                steps=200,
                seed=seed,
                evaluate=images("digits", split="test", batch=360),
            )
            numbers[name] = run.results["accuracy"]
        return numbers | {"lost": numbers["hidden"] - numbers["pooled"]}

    means, ends = over_seeds(experiment)
    sizes = {
        f"{name}_parameters": float(count(net(pooled)))
        for name, pooled in (("pooled", True), ("hidden", False))
    }
    return Finding(means | sizes, below(ends["lost"], 0.02), intervals=ends)


@claim("C-055", answer="yes")
def residual_connections_allow_depth() -> Finding:
    """Residual connections keep the Jacobian near the identity and allow deeper networks.

    A block whose branch is small: how far its Jacobian is from the identity, beside that of the branch
    alone. And nets of 50 layers on the digits, with the connections and without, from the same weights, 60
    steps, five seeds: the training loss at the end.
    """
    branch = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3, padding=1)).double()
    with torch.no_grad():
        for parameter in branch[2].parameters():
            parameter.mul_(0.1)
    x = torch.rand(1, 2, 4, 4, dtype=torch.float64)
    identity = torch.eye(x.numel(), dtype=torch.float64)
    distances = {
        name: (jacobian(f, x) - identity).norm(2).item()
        for name, f in (("residual", Residual(branch)), ("plain", branch))
    }

    def experiment(seed: int) -> dict[str, float]:
        residual, plain = resnet_cifar(50, in_channels=1, width=4), resnet_cifar(50, in_channels=1, width=4)
        plain.load_state_dict(residual.state_dict())
        for layer in plain.modules():
            if isinstance(layer, Residual):
                layer.shortcut = Nothing()
        x, y = next(iter(images("digits", batch=359, shuffle=False)))
        numbers = {}
        for name, net in (("residual_loss", residual), ("plain_loss", plain)):
            run = fit(
                Classifier(net),
                arrays(x, y, batch=64, seed=seed),
                SGD(0.05, momentum=0.9),
                steps=60,
                seed=seed,
                evaluate=arrays(x, y, batch=359, shuffle=False),
            )
            numbers[name] = run.results["nll"]
        return numbers | {"gap": numbers["plain_loss"] - numbers["residual_loss"]}

    means, ends = over_seeds(experiment)
    measured = {f"{name}_distance": value for name, value in distances.items()} | means
    return Finding(
        measured,
        every(distances["residual"] < 0.5 < distances["plain"], above(ends["gap"], 0.0)),
        intervals=ends,
    )


class Nothing(nn.Module):
    """No path beside the branch."""

    def forward(self, x: torch.Tensor) -> float:
        return 0.0


def jacobian(f: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """d f / d x as a matrix."""
    return torch.func.jacrev(f)(x).reshape(x.numel(), x.numel())


@claim("C-058", answer="yes")
def bottlenecks_make_inception_cheap() -> Finding:
    """Convolutions of several sizes side by side are expensive, and 1 x 1 bottlenecks reduce their
    parameters.

    From 192 to 32 channels by 5 x 5, at once and through the 16 channels of GoogLeNet's first module.
    """
    direct, module = nn.Conv2d(192, 32, 5, padding=2), Inception(192, *MODULES[0])
    measured = {"direct": float(count(direct)), "through_a_bottleneck": float(count(module.branches[2]))}
    measured["saving"] = measured["direct"] / measured["through_a_bottleneck"]
    return Finding(measured, measured["saving"] > 2)


@claim("C-062", answer="yes")
def alexnet_needs_a_border() -> Finding:
    """AlexNet's first convolution, 11 x 11 of stride 4 without padding, maps 224 pixels to 55.

    Sides after it of 224 pixels without and with a border of two zeros, and of 227 pixels without.
    """
    measured = {
        "side_of_224": float(output_size(224, 11, 4)),
        "side_of_224_with_a_border": float(output_size(224, 11, 4, 2)),
        "side_of_227": float(output_size(227, 11, 4)),
    }
    return Finding(
        measured,
        measured["side_of_224"] == 55,
        "It maps them to 54; 55 takes 227 pixels, or a border of two.",
    )


def count(net: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in net.parameters())
