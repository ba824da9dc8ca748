"""Claims about normalization layers."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, below, claim, over_seeds
from deepcanon.data import arrays
from deepcanon.engine import SGD, fit
from deepcanon.layers.norm import BatchNorm, LayerNorm, normalize
from deepcanon.nets.perceptron import mlp
from deepcanon.vision.classify import Classifier


@claim("C-033", answer="no")
def batch_norm_ties_examples() -> Finding:
    """Training with batch normalization on batches of 32 is the same as accumulating the gradients of 16
    batches of 2.

    One step of training of a perceptron from the same start, five seeds: the largest difference between the
    gradients of both, with batch normalization, with layer normalization and without.
    """
    def gradient(method: nn.Module, data, accumulate: int) -> Tensor:
        method = copy.deepcopy(method)
        fit(method, data, SGD(0.1), steps=1, accumulate=accumulate)
        return torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])

    def experiment(seed: int) -> dict[str, float]:
        data = arrays(torch.randn(32, 12), torch.randint(5, (32,)), batch=32, shuffle=False)
        differences = {}
        for name, norm in (("batch_norm", BatchNorm), ("layer_norm", LayerNorm), ("no_norm", None)):
            method = Classifier(mlp(12, 16, 16, 5, norm=norm))
            difference = gradient(method, data, 16) - gradient(method, data, 1)
            differences[f"{name}_log10"] = difference.abs().max().clamp(min=1e-12).log10().item()
        return differences

    means, ends = over_seeds(experiment)
    return Finding(means, below(ends["batch_norm_log10"], -6.0),
                   "The examples of a batch see each other in its statistics; without, the two agree.", ends)


@claim("C-034", answer="no")
def batch_norm_uses_running_averages() -> Finding:
    """In evaluation, batch normalization normalizes by the mean and variance of the batch.

    A layer that has seen 20 batches of mean 3 and deviation 2: by how much the output of one example changes
    when the others of its batch do, in training and in evaluation, and how far the latter is from (x - mean)
    / deviation of its running averages.
    """
    layer, x = BatchNorm(4).double(), torch.randn(1, 4, dtype=torch.float64)
    for _ in range(20):
        layer(2 * torch.randn(64, 4, dtype=torch.float64) + 3)

    def change(layer: BatchNorm) -> float:
        outputs = [layer(torch.cat([x, torch.randn(7, 4, dtype=torch.float64)]))[0] for _ in range(2)]
        return (outputs[0] - outputs[1]).abs().max().item()

    trained, layer = copy.deepcopy(layer), layer.eval()
    expected = (x - layer.running_mean) / (layer.running_var + layer.eps).sqrt()
    measured = {"change_in_training": change(trained), "change_in_evaluation": change(layer),
                "distance_from_running": (layer(x) - expected).abs().max().item(),
                "running_mean": layer.running_mean.mean().item(),
                "running_variance": layer.running_var.mean().item()}
    return Finding(measured, measured["change_in_evaluation"] > 0,
                   "It takes running averages of the training batches: an example is treated for itself.")


@claim("C-035", answer="no")
def batch_and_layer_norm_group_otherwise() -> Finding:
    """With a batch of one, batch normalization and layer normalization are equivalent.

    One vector of 32 numbers: the largest output when each channel is normalized over the batch, whose
    variance is then zero, and mean and deviation of the output of layer normalization.
    """
    x = 3 * torch.randn(1, 32, dtype=torch.float64) + 1
    over_batch, over_features = normalize(x, [0]), LayerNorm(32).double()(x)
    measured = {"batch_norm_largest": over_batch.abs().max().item(),
                "layer_norm_mean": over_features.mean().item(),
                "layer_norm_deviation": over_features.std(correction=0).item(),
                "difference": (over_batch - over_features).abs().max().item()}
    return Finding(measured, measured["difference"] < 1e-6,
                   "Over a batch of one each channel is its own mean, and the output its shift whatever the "
                   "input; the library's layer refuses it.")


@claim("C-036", answer="yes")
def layer_norm_is_the_same_in_use() -> Finding:
    """Layer normalization performs the same operation in training and in inference.

    64 vectors after 20 passes of training: the largest difference between the outputs of the two modes, of
    layer normalization and of batch normalization.
    """
    def difference(make: Callable[[int], nn.Module]) -> float:
        layer, x = make(16), 2 * torch.randn(64, 16) + 3
        for _ in range(20):
            layer(torch.randn(64, 16))
        return (layer.train()(x) - layer.eval()(x)).abs().max().item()

    measured = {"layer_norm_change": difference(LayerNorm), "batch_norm_change": difference(BatchNorm)}
    return Finding(measured, measured["layer_norm_change"] == 0)
