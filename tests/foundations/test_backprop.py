"""Backpropagation by hand against autograd and differences, on a chain, a graph, and a recurrent net."""

import pytest
import torch

from deepcanon.foundations import backprop
from deepcanon.foundations.backprop import ADD, LINEAR, MULTIPLY, RELU, SIGMOID, SQUARED_ERROR, TANH, Step, backward, forward

THREE_LAYERS = [
    Step("z1", LINEAR, ("x", "w1", "b1")), Step("a1", TANH, ("z1",)),
    Step("z2", LINEAR, ("a1", "w2", "b2")), Step("a2", RELU, ("z2",)),
    Step("z3", LINEAR, ("a2", "w3", "b3")), Step("a3", SIGMOID, ("z3",)),
    Step("loss", SQUARED_ERROR, ("a3", "y")),
]
STEPS = 6


def random(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.randn(*shape, dtype=torch.float64) for name, shape in shapes.items()}


def autograd(program, values) -> dict[str, torch.Tensor]:
    """The gradients of everything the program is given."""
    leaves = {name: v.clone().requires_grad_() for name, v in values.items()}
    forward(program, leaves)[program[-1].output].backward()
    return {name: v.grad for name, v in leaves.items()}


def agree(program, values, atol=1e-6) -> None:
    ours, theirs = backward(program, forward(program, values)), autograd(program, values)
    for name, grad in theirs.items():
        torch.testing.assert_close(ours[name], grad, atol=atol, rtol=0)


def recurrent(tied: bool) -> list[Step]:
    """h_t = tanh(W h_{t-1} + b + x_t), with one W for all steps or one for each."""
    program = []
    for t in range(STEPS):
        program += [Step(f"r{t}", LINEAR, (f"h{t}", "w" if tied else f"w{t}", "b")), Step(f"s{t}", ADD, (f"r{t}", f"x{t}")),
                    Step(f"h{t + 1}", TANH, (f"s{t}",))]
    return [*program, Step("loss", SQUARED_ERROR, (f"h{STEPS}", "y"))]


def unrolled() -> dict[str, torch.Tensor]:
    return random(h0=(3, 4), y=(3, 4), w=(4, 4), b=(4,), **{f"x{t}": (3, 4) for t in range(STEPS)})


@pytest.mark.row("FND-15")
def test_a_three_layer_net_equals_autograd_and_central_differences():
    values = random(x=(5, 4), y=(5, 2), w1=(6, 4), b1=(6,), w2=(3, 6), b2=(3,), w3=(2, 3), b3=(2,))
    agree(THREE_LAYERS, values)
    gradients, h = backward(THREE_LAYERS, forward(THREE_LAYERS, values)), 1e-5
    for name in ("w1", "b1", "w2", "b2", "w3", "b3"):
        numeric = torch.zeros_like(values[name])
        for i in range(numeric.numel()):
            bump = torch.zeros_like(numeric)
            bump.view(-1)[i] = h
            up, down = (forward(THREE_LAYERS, values | {name: values[name] + sign * bump})["loss"] for sign in (1, -1))
            numeric.view(-1)[i] = (up - down) / (2 * h)
        torch.testing.assert_close(gradients[name], numeric, atol=1e-5, rtol=0)


@pytest.mark.row("FND-16")
def test_a_tied_weight_gets_the_sum_of_the_gradients_of_its_uses():
    values = unrolled()
    tied = backward(recurrent(True), forward(recurrent(True), values))
    copies = {name: v for name, v in values.items() if name != "w"} | {f"w{t}": values["w"] for t in range(STEPS)}
    untied = backward(recurrent(False), forward(recurrent(False), copies))
    torch.testing.assert_close(tied["w"], sum(untied[f"w{t}"] for t in range(STEPS)), atol=1e-7, rtol=0)
    agree(recurrent(True), values, atol=1e-7)


@pytest.mark.row("FND-16")
def test_overwriting_instead_of_adding_is_wrong(monkeypatch):
    values = unrolled()

    def overwriting(program, values):
        deltas = {"loss": values["loss"].new_ones(())}
        for output, function, inputs in reversed(program):
            deltas |= zip(inputs, function.pull(deltas[output], *(values[name] for name in inputs)))
        return deltas

    monkeypatch.setattr(backprop, "backward", overwriting)
    wrong = backprop.backward(recurrent(True), forward(recurrent(True), values))["w"]
    assert (wrong - autograd(recurrent(True), values)["w"]).abs().max() > 1e-3


@pytest.mark.row("FND-16")
def test_a_value_with_several_descendants_collects_from_all_of_them():
    program = [
        Step("a", TANH, ("x",)), Step("square", MULTIPLY, ("a", "a")), Step("gate", SIGMOID, ("a",)), Step("unused", RELU, ("a",)),
        Step("gated", MULTIPLY, ("square", "gate")), Step("skip", ADD, ("gated", "a")), Step("loss", SQUARED_ERROR, ("skip", "y")),
    ]
    values = random(x=(5, 4), y=(5, 4))
    agree(program, values)
    assert "unused" not in backward(program, forward(program, values))


def test_refuses_programs_that_make_no_sense():
    values = random(x=(5, 4), y=(5, 4))
    with pytest.raises(ValueError, match=r"z = f\(x, w, b\) is computed already or needs a value that no earlier step gives"):
        forward([Step("z", LINEAR, ("x", "w", "b"))], values)
    with pytest.raises(ValueError, match=r"x = f\(y\) is computed already"):
        forward([Step("x", TANH, ("y",))], values)
    program = [Step("sum", ADD, ("x", "row")), Step("loss", SQUARED_ERROR, ("sum", "y"))]
    with pytest.raises(ValueError, match=r"the delta of row is \(5, 4\), its value \(4,\): nothing is broadcast here"):
        backward(program, forward(program, values | random(row=(4,))))
    with pytest.raises(ValueError, match=r"ends with a number, but a is \(5, 4\)"):
        backward([Step("a", TANH, ("x",))], forward([Step("a", TANH, ("x",))], values))
