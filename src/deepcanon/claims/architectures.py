"""Claims about layers and how they are put together: perceptrons, convolutions, pooling, skips."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.data import arrays, images
from deepcanon.engine import Adam, fit
from deepcanon.foundations.initialization import zero_residual
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.optimizers import Adam as PlainAdam, GradientDescent
from deepcanon.layers.linear_map import Linear
from deepcanon.nets.gpt import Block
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.resnet import Residual, basic, conv_norm
from deepcanon.vision.classify import Classifier


@claim("C-023", answer="no")
def biases_hold_the_class_frequencies() -> Finding:
    """A perceptron layer cannot capture class imbalance.

    A linear classifier trained on inputs that are all zero, with labels of which 70, 20 and 10 % belong to
    three
    classes: the softmax of its bias.
    """
    x, y = torch.zeros(100, 4), torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    net = LinearClassifier(4, 3)
    optimizer = GradientDescent(net.parameters(), 1.0)
    for _ in range(1000):
        optimizer.zero_grad()
        net.loss((x, y)).backward()
        optimizer.step()
    shares = net.bias.detach().softmax(0).tolist()
    gap = max(abs(share - frequency) for share, frequency in zip(shares, (0.7, 0.2, 0.1)))
    measured = {f"share_{i}": share for i, share in enumerate(shares)} | {"largest_gap": gap}
    return Finding(
        measured, gap > 1e-3, "Its bias does: without anything to see, it answers with the frequencies."
    )


@claim("C-024", answer="yes")
def hidden_layers_combine_features() -> Finding:
    """A multi-layer perceptron can take interactions between several input features into account.

    Exclusive or of two inputs: the accuracy of a perceptron with 16 hidden units after 300 steps, five seeds,
    and the best of 2,520 linear classifiers whose lines have any direction and offset.
    """
    x, y = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])

    def experiment(seed: int) -> dict[str, float]:
        method = Classifier(mlp(2, 16, 2, activation=nn.Tanh))
        optimizer = PlainAdam(method.parameters(), 0.05)
        for _ in range(300):
            optimizer.zero_grad()
            method.loss((x, y)).backward()
            optimizer.step()
        return {"mlp_accuracy": method.metrics((x, y))["accuracy"].mean().item()}

    means, ends = over_seeds(experiment)
    linear, best = LinearClassifier(2, 2), 0.0
    with torch.no_grad():
        for angle in torch.arange(0, 6.3, 0.1):
            for offset in torch.arange(-2, 2, 0.1):
                linear.weight[1], linear.bias[1] = torch.stack([angle.cos(), angle.sin()]), offset
                best = max(best, linear.metrics((x, y))["accuracy"].mean().item())
    return Finding(
        means | {"best_linear_accuracy": best}, means["mlp_accuracy"] > 0.99 and best < 1, intervals=ends
    )


@claim("C-025", answer="yes")
def convolutions_need_local_structure() -> Finding:
    """A convolutional layer is best used on inputs with local structure.

    1,400 digits, each somewhere on a field of 12 x 12 pixels; two convolutions and a perceptron of as many
    parameters, 200 steps of each, five seeds: test accuracies, and the lead of the convolutions, with the
    pixels in place and in one fixed random order.
    """

    def convolution() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
                             nn.Flatten(), Linear(144, 10))

    def perceptron() -> nn.Module:
        return nn.Sequential(nn.Flatten(), mlp(144, 25, 10))

    def experiment(seed: int) -> dict[str, float]:
        train, test = scattered("train", 1400), scattered("test", 360)
        orders, numbers = {"": torch.arange(144), "_shuffled": torch.randperm(144)}, {}
        for name, order in orders.items():
            (x, y), (new_x, new_y) = ((x.flatten(1)[:, order].view_as(x), y) for x, y in (train, test))
            for kind, make in (("conv", convolution), ("mlp", perceptron)):
                run = fit(
                    Classifier(make()),
                    arrays(x, y, batch=100, seed=seed),
                    Adam(3e-3),
                    steps=200,
                    seed=seed,
                    evaluate=arrays(new_x, new_y, batch=360, shuffle=False),
                )
                numbers[f"{kind}{name}"] = run.results["accuracy"]
            numbers[f"lead{name}"] = numbers[f"conv{name}"] - numbers[f"mlp{name}"]
        return numbers

    means, ends = over_seeds(experiment)
    sizes = [float(sum(p.numel() for p in make().parameters())) for make in (convolution, perceptron)]
    measured = means | {"conv_parameters": sizes[0], "mlp_parameters": sizes[1]}
    best_in_place = every(above(ends["lead"], 0.0), below(ends["lead_shuffled"], 0.02))
    return Finding(measured, best_in_place, intervals=ends)


def scattered(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Digits, each somewhere on an empty field of 12 x 12 pixels."""
    x, y = next(iter(images("digits", split=split, batch=count, shuffle=False)))
    places = torch.randint(5, (len(x), 2)).tolist()
    fields = [F.pad(digit, (left, 4 - left, top, 4 - top)) for digit, (left, top) in zip(x, places)]
    return torch.stack(fields), y


@claim("C-026", answer="no")
def pooling_works_on_sequences() -> Finding:
    """A pooling layer can only be applied to inputs of two dimensions or more.

    The largest of each two numbers of the sequence 1, 3, 2, 0, and of the 1 x 2 x 2 volume of them.
    """
    x = torch.tensor([1.0, 3.0, 2.0, 0.0])
    first, second = F.max_pool1d(x.view(1, 1, 4), 2).flatten().tolist()
    measured = {
        "first": first,
        "second": second,
        "volume": F.max_pool3d(x.view(1, 1, 1, 2, 2), (1, 2, 2)).item(),
    }
    return Finding(measured, (first, second) != (3.0, 2.0), "It pools over as many dimensions as there are.")


@claim("C-027", answer="yes")
def a_recurrent_cell_is_a_layer() -> Finding:
    """A vanilla recurrent cell is a fully connected layer on the previous output and the input side by side.

    torch's cell of 5 units on 3 inputs and a layer with its weights on the eight numbers: the largest
    difference of their outputs.
    """
    cell, layer = nn.RNNCell(3, 5).double(), Linear(8, 5).double()
    h, x = torch.randn(16, 5, dtype=torch.float64), torch.randn(16, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.cat([cell.weight_hh, cell.weight_ih], 1))
        layer.bias.copy_(cell.bias_hh + cell.bias_ih)
    difference = (cell(x, h) - layer(torch.cat([h, x], 1)).tanh()).abs().max().item()
    return Finding({"difference": difference}, difference < 1e-7)


@claim("C-037", answer="yes")
def skips_are_common() -> Finding:
    """Skip connections are common: residual networks, DenseNets and transformers have them.

    Blocks of each with the last layers of their branches set to zero: how far the Jacobian is from the
    identity, for a dense block in the channels that are copied; and the same for a transformer block that
    normalizes the sum.
    """
    def distance(block, x: Tensor, outputs: int) -> float:
        jacobian = torch.autograd.functional.jacobian(
            lambda flat: block(flat.view_as(x)).flatten()[:outputs], x.flatten()
        )
        return (jacobian - torch.eye(outputs, x.numel())).abs().max().item()

    maps, tokens = torch.rand(1, 4, 3, 3), torch.randn(1, 3, 8)
    residual, convolution = zero_residual(basic(4, 4, 1)[0]).eval(), conv_norm(4, 2, 3).eval()
    transformer = Block(8, 2)
    for projection in (transformer.attention.out, transformer.down):
        nn.init.zeros_(projection.weight)
        nn.init.zeros_(projection.bias)
    post_norm = nn.Sequential(transformer, nn.LayerNorm(8))
    measured = {"residual_distance": distance(residual, maps, 36),
                "dense_distance": distance(lambda x: torch.cat([x, convolution(x)], 1), maps, 36),
                "transformer_distance": distance(transformer, tokens, 24)}
    paths = max(measured.values()) < 1e-6
    measured["post_norm_transformer_distance"] = distance(post_norm, tokens, 24)
    return Finding(measured, paths, "A block that normalizes the sum leaves no gradient as it is.")


@claim("C-038", answer="yes")
def dense_blocks_grow() -> Finding:
    """The layers of a DenseNet receive more information than those of a ResNet, but they get wider and the
    memory grows.

    12 layers on 24 channels of 8 x 8, each adding 12 channels beside its input or adding to it: channels
    after them, numbers that the layers read, and how far the input of the last layer is from holding the
    first input unchanged.
    """
    def passed(x: Tensor, dense: bool) -> dict[str, float]:
        first, read = x, 0
        for _ in range(12):
            layer = conv_norm(x.shape[1], 12 if dense else 24, 3)
            read, before = read + x.numel(), x
            x = torch.cat([x, layer(x).relu()], 1) if dense else Residual(layer)(x)
        loss = (before[:, :24] - first).abs().max().item()
        return {"channels": float(x.shape[1]), "activations": float(read), "loss_of_input": loss}

    x = torch.randn(1, 24, 8, 8)
    measured = {f"{name}_{key}": value for name, dense in (("dense", True), ("residual", False))
                for key, value in passed(x, dense).items()}
    wider = measured["dense_channels"] > measured["residual_channels"]
    grows = wider and measured["dense_activations"] > measured["residual_activations"]
    keeps = measured["dense_loss_of_input"] == 0 < measured["residual_loss_of_input"]
    return Finding(measured, grows and keeps)


@claim("C-048", answer="yes")
def average_pooling_is_linear() -> Finding:
    """Average pooling is linear, max pooling is not.

    Windows of 2 x 2 on random maps a and b: the largest difference between the pooled 2 a - 3 b and 2 and -3
    times the pooled ones.
    """
    a, b = torch.randn(2, 2, 3, 8, 8, dtype=torch.float64)

    def gap(pool) -> float:
        return (pool(2 * a - 3 * b, 2) - 2 * pool(a, 2) + 3 * pool(b, 2)).abs().max().item()

    measured = {"average_gap": gap(F.avg_pool2d), "max_gap": gap(F.max_pool2d)}
    return Finding(measured, measured["average_gap"] < 1e-12 and measured["max_gap"] > 1)
