"""Claims about initial weights: what they do to signals and gradients on their way through many layers."""

import math

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.foundations.initialization import initialize, kaiming, normal, orthogonal, xavier
from deepcanon.nets.perceptron import mlp


def sizes(net: nn.Module, x: Tensor, kind: type[nn.Module]) -> Tensor:
    """E[h^2] after every layer of a kind in a chain of layers."""
    seen = []
    for layer in net.children():
        x = layer(x)
        if isinstance(layer, kind):
            seen.append(x.square().mean())
    return torch.stack(seen).detach()


@claim("C-039", answer="yes")
def small_weights_shrink_signals() -> Finding:
    """With weights from N(0, 0.0001) activations decay exponentially with depth.

    Ten tanh layers of 500 units, five seeds: the slope of the log deviation of the activations against depth
    from the second layer on, log(0.01 sqrt(500)) where tanh is linear, and the correlation of the two.
    """
    def experiment(seed: int) -> dict[str, float]:
        net = initialize(mlp(*[500] * 11, activation=nn.Tanh), normal)
        logs = sizes(net, torch.randn(256, 500), nn.Tanh).double().log()[1:] / 2
        depth = torch.arange(float(len(logs)), dtype=torch.float64)
        pairs = torch.stack([depth, logs])
        covariance, correlation = torch.cov(pairs), torch.corrcoef(pairs)[0, 1].item()
        return {"slope": (covariance[0, 1] / covariance[0, 0]).item(), "correlation": correlation}

    means, ends = over_seeds(experiment)
    decays = every(below(ends["slope"], -1.0), below(ends["correlation"], -0.99))
    return Finding(means, decays, intervals=ends)


@claim("C-040", answer="yes")
def matched_weights_keep_the_variance() -> Finding:
    """Xavier initialization keeps the variance of activations from layer to layer; for ReLU the variance of a
    weight has to be 2/D.

    20 layers of 500 units, five seeds: the log2 of the mean square of the last layer's outputs over the
    first's, for Xavier in a linear net, 2/D and Xavier in a ReLU net, where each of the 19 ReLUs between
    halves it.
    """
    def experiment(seed: int) -> dict[str, float]:
        x, numbers = torch.randn(128, 500), {}
        for name, activation, draw in (("linear_xavier_log2", nn.Identity, xavier),
                                       ("relu_kaiming_log2", nn.ReLU, kaiming),
                                       ("relu_xavier_log2", nn.ReLU, xavier)):
            net = initialize(mlp(*[500] * 21, activation=activation), draw)
            size = sizes(net, x, nn.Linear)
            numbers[name] = (size[-1] / size[0]).log2().item()
        return numbers

    means, ends = over_seeds(experiment)
    matched = ends["linear_xavier_log2"], ends["relu_kaiming_log2"]
    kept = every(*(above(each, -1.0) for each in matched), *(below(each, 1.0) for each in matched))
    return Finding(means, every(kept, below(ends["relu_xavier_log2"], -10.0)), intervals=ends)


@claim("C-041", answer="yes")
def half_of_the_units_rest() -> Finding:
    """With zero biases half of the ReLU units are dead on average.

    4,000 units on 2,000 inputs of 20 numbers, five seeds: the share of pairs in which a unit is active, and
    the share of units that are inactive on all inputs, which is what keeps a unit from learning.
    """
    def experiment(seed: int) -> dict[str, float]:
        layer = initialize(nn.Linear(20, 4000), lambda weight: normal(weight, 0.05))
        active = layer(torch.randn(2000, 20)) > 0
        never = (~active).all(0)
        return {"active": active.float().mean().item(), "never_active": never.float().mean().item()}

    means, ends = over_seeds(experiment)
    return Finding(means, above(ends["never_active"], 0.4),
                   "Half are inactive on a given input, others on the next, hardly one on all inputs.", ends)


@claim("C-042", answer="yes")
def orthogonal_weights_keep_gradients() -> Finding:
    """Orthogonal initialization keeps gradients from exploding and from vanishing.

    50 linear layers of 100 units, five seeds: the norm of the gradient at the input over that at the output,
    and of the output over the input, the largest deviations from 1 over 8 examples; log10 of the first ratio
    for normal weights 1.5 times larger and smaller than Xavier's.
    """
    def ratios(draw) -> tuple[Tensor, Tensor]:
        net = initialize(mlp(*[100] * 51, activation=nn.Identity), draw)
        x = torch.randn(8, 100, requires_grad=True)
        y = net(x)
        downstream = torch.randn_like(y)
        (gradient,) = torch.autograd.grad(y, x, downstream)
        return gradient.norm(dim=1) / downstream.norm(dim=1), (y.norm(dim=1) / x.norm(dim=1)).detach()

    def experiment(seed: int) -> dict[str, float]:
        larger, smaller = (ratios(lambda weight, factor=factor: normal(weight, factor / math.sqrt(100)))[0]
                           for factor in (1.5, 1 / 1.5))
        gradients, signals = (each.sub(1).abs().max().item() for each in ratios(orthogonal))
        return {"gradient_deviation": gradients, "signal_deviation": signals,
                "larger_log10": larger.mean().log10().item(), "smaller_log10": smaller.mean().log10().item()}

    means, ends = over_seeds(experiment)
    return Finding(means, below(ends["gradient_deviation"], 1e-4), intervals=ends)
