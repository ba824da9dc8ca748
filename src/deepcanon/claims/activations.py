"""Claims about activation functions and their slopes."""

import torch
from torch import Tensor

from deepcanon.claims.experiment import Finding, claim
from deepcanon.data import arrays
from deepcanon.foundations.activations import gelu_slope, sigmoid, sigmoid_slope, tanh, tanh_slope
from deepcanon.foundations.backprop import LINEAR, RELU, SIGMOID, TANH
from deepcanon.layers.norm import standardize


@claim("C-018", answer="yes")
def activations_keep_the_sign_of_a_gradient() -> Finding:
    """As a gradient flows back through a sigmoid, a tanh or a ReLU, its sign cannot change in any dimension.

    100,000 random inputs and gradients: the least product of the signs of the gradient before and after.
    GELU, which is not monotone, beside them: its least slope.
    """
    x, delta = 3 * torch.randn(2, 100_000, dtype=torch.float64)
    measured = {f"{name}_least_sign": (function.pull(delta, x)[0].sign() * delta.sign()).min().item()
                for name, function in (("sigmoid", SIGMOID), ("tanh", TANH), ("relu", RELU))}
    least_slope = gelu_slope(torch.linspace(-5, 5, 10_001, dtype=torch.float64)).min().item()
    return Finding(measured | {"gelu_least_slope": least_slope}, min(measured.values()) >= 0)


@claim("C-043", answer="yes")
def positive_inputs_give_one_sign() -> Finding:
    """The outputs of a sigmoid are not centred on zero, so that the gradients of all weights of the next
    neuron share one sign.

    1,000 examples of 20 sigmoid outputs, the gradient of a neuron's weights for each: the share of examples
    whose 20 signs are the same, then with the outputs centred, and for tanh.
    """
    x, w, b = torch.randn(1_000, 20), torch.randn(1, 20), torch.zeros(1)

    def shared(inputs: Tensor) -> float:
        """Of one example after another, as every one has a gradient of its own."""
        deltas = torch.randn(len(inputs), 1, 1)
        pulled = [LINEAR.pull(delta, row[None], w, b)[1] for delta, row in zip(deltas, inputs)]
        signs = torch.stack(pulled).sign()
        return (signs == signs[..., :1]).all(-1).float().mean().item()

    hidden = sigmoid(x)
    centred = standardize(arrays(hidden, shuffle=False))(hidden)
    measured = {"sigmoid_shared": shared(hidden), "centred_sigmoid_shared": shared(centred),
                "tanh_shared": shared(tanh(x))}
    centring_helps = max(measured["centred_sigmoid_shared"], measured["tanh_shared"]) < 0.01
    return Finding(measured, measured["sigmoid_shared"] == 1 and centring_helps)


@claim("C-044", answer="yes")
def sigmoids_saturate() -> Finding:
    """Sigmoid and tanh saturate: their derivatives tend to zero as x goes to either infinity.

    The slopes at 0, 10 and -10.
    """
    x = torch.tensor([0.0, 10.0, -10.0], dtype=torch.float64)
    measured = {f"{name}_slope_at_{at:g}": value
                for name, slope in (("sigmoid", sigmoid_slope), ("tanh", tanh_slope))
                for at, value in zip(x.tolist(), slope(x).tolist())}
    far = [value for name, value in measured.items() if "10" in name]
    return Finding(measured, max(far) < 5e-5)
