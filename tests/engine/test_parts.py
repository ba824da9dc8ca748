"""A deep-learning system is made of parts that are exchanged one at a time."""

import pytest
import torch

from deepcanon.data import images
from deepcanon.diffusion import DDPM
from deepcanon.diffusion.samplers import ancestral, ddim
from deepcanon.engine import SGD, Adam, fit, options
from deepcanon.engine.checkpoint import read_json
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.perceptron import mlp
from deepcanon.vision import Classifier
from tests.contracts.presets import PRESETS


class Margin(Classifier):
    """Another loss on the same net."""

    def loss(self, batch):
        x, y = batch
        return torch.nn.functional.multi_margin_loss(self.net(x), y)


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
