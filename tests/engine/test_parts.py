"""A deep-learning system is made of parts that are exchanged one at a time."""

import pytest
import torch

from deepcanon.data import images
from deepcanon.diffusion import DDPM
from deepcanon.diffusion.samplers import ancestral, ddim
from deepcanon.engine import SGD, Adam, fit, options
from deepcanon.engine.checkpoint import read_json, write_json
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.perceptron import mlp
from deepcanon.vision import Classifier
from tests.contracts.presets import PRESETS


class Margin(Classifier):
    """Another loss on the same net, of two terms."""

    def loss(self, batch):
        x, y = batch
        margin, size = torch.nn.functional.multi_margin_loss(self.net(x), y), self.net(x).square().mean()
        return {"loss": margin + 0.01 * size, "margin": margin, "size": size}


class Decision:
    """Evaluates a way from logits to labels, and leaves the labels in the run folder."""

    def __init__(self, decide):
        self.decide, (self.x, self.y) = decide, next(iter(images("digits", split="test", size=28, batch=60)))

    def __call__(self, method):
        return {"accuracy": (self.decide(method.net(self.x)) == self.y).double().mean().item()}

    def write(self, folder, method):
        write_json(folder / "labels.json", {"labels": self.decide(method.net(self.x)).tolist()})


def flat():
    return torch.nn.Sequential(torch.nn.Flatten(), mlp(784, 16, 10))


PARTS = {"data": lambda seed: images("digits", size=28, seed=seed, batch=8), "net": LeNet, "loss": Classifier, "optimizer": lambda: SGD(0.1)}
OTHERS = {"data": lambda seed: images("digits", size=28, seed=seed, batch=8).take(range(100)), "net": flat, "loss": Margin,
          "optimizer": lambda: Adam(0.1)}


def recorded(folder, **changed):
    """What call.json says of each part of a run that is made of these."""
    parts = PARTS | changed
    torch.manual_seed(0)
    method = parts["loss"](parts["net"]())
    with options(quiet=True):
        fit(method, parts["data"](0), parts["optimizer"](), steps=2, folder=folder)
    call = read_json(folder / "call.json")
    net, loss = (call["parameters"], call["code"].get("deepcanon.nets.lenet")), (call["method"], call["code"].get(__name__))
    return {"data": call["data"], "net": net, "loss": loss, "optimizer": call["settings"]["optimizers"]}


@pytest.mark.row("FND-57")
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_exchanged_leaves_the_records_of_the_others(part, workplace):
    before, after = recorded(workplace / "before"), recorded(workplace / "after", **{part: OTHERS[part]})
    assert {name for name in before if before[name] != after[name]} == {part}


@pytest.mark.row("FND-57")
def test_a_loss_of_several_terms_is_recorded_term_by_term(workplace):
    torch.manual_seed(0)
    method, data = Margin(LeNet()), PARTS["data"](0)
    with torch.no_grad():
        expected = method.loss(data.at(0))
    with options(quiet=True):
        (row,) = fit(method, data, SGD(0.1), steps=1).history
    assert [row[name] for name in expected] == pytest.approx([value.item() for value in expected.values()])


@pytest.mark.row("FND-57")
def test_another_inference_procedure_leaves_what_was_learned_and_gives_its_own_results(workplace):
    def best(logits):
        return logits.argmax(1)

    def second(logits):
        return logits.topk(2).indices[:, 1]

    runs = {}
    for decide in (best, second):
        torch.manual_seed(0)
        decision = Decision(decide)
        with options(quiet=True):
            runs[decide] = fit(Classifier(LeNet()), PARTS["data"](0), Adam(1e-3), steps=20, evaluate=decision,
                               folder=workplace / decide.__name__)
        with torch.no_grad():
            labels = decide(runs[decide].method.eval().net(decision.x))
        assert read_json(workplace / decide.__name__ / "labels.json") == {"labels": labels.tolist()}
        recorded_results = read_json(workplace / decide.__name__ / "result.json")["results"]
        assert runs[decide].results["accuracy"] == recorded_results["accuracy"]
        assert recorded_results["accuracy"] == pytest.approx((labels == decision.y).double().mean().item())
    weights, others = (run.method.state_dict() for run in runs.values())
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert runs[best].results["accuracy"] != runs[second].results["accuracy"]


@pytest.mark.row("FND-57")
def test_one_method_is_evaluated_by_two_inference_procedures():
    method: DDPM = PRESETS["ddpm"].build()
    weights = {name: p.clone() for name, p in method.state_dict().items()}
    drawn = {}
    for sampler in (ancestral, ddim):
        method.sampler = sampler
        torch.manual_seed(0)
        drawn[sampler] = method.sample(4)
    assert not torch.equal(drawn[ancestral], drawn[ddim])
    assert all(torch.equal(p, weights[name]) for name, p in method.state_dict().items())
