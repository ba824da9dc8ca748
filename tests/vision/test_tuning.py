"""Fine-tuning: which parts rest, which learn at which rate, and runs that start from another."""

import shutil

import pytest
import torch

import deepcanon
from deepcanon import recipes
from deepcanon.engine import SGD, AdamW, fit, options
from deepcanon.engine.optimizers import Factory, described
from deepcanon.foundations.transfer import rates as transfer_rates
from deepcanon.nets.alexnet import AlexNet
from deepcanon.nets.densenet import densenet_cifar
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.nets.vit import ViT
from deepcanon.recipes.vision.tuning import classifier, rates
from deepcanon.vision.classify import Classifier
from deepcanon.vision.tuning import frozen_parts, parts


def net():
    torch.manual_seed(0)
    return resnet_cifar(8, 4, in_channels=1, width=4)


def batch():
    torch.manual_seed(1)
    return torch.rand(12, 1, 8, 8), torch.arange(12) % 4


def test_parts_from_input_to_output():
    vit = ViT(3, image_size=8, patch=4, embed_dim=8, num_layers=2, num_heads=2)
    assert parts(net()) == [["stem"], ["stages.0"], ["stages.1"], ["stages.2"], ["head"]]
    assert parts(vit) == [
        ["class_token", "positions", "patches"],
        ["blocks.0"],
        ["blocks.1"],
        ["norm", "head"],
    ]
    assert parts(densenet_cifar(10, 4))[-1] == ["norm", "head"]
    alex = parts(AlexNet(3, image_size=16, widths=(4, 4, 4, 4, 4), hidden=(8, 8)))
    assert alex[-1] == ["hidden", "head"]
    assert all(group for group in alex[1:])


@pytest.mark.parametrize(
    ("tune", "learns"),
    [
        ("all", ["stem", "stages.0", "stages.1", "stages.2", "head"]),
        ("last", ["stages.2", "head"]),
        ("head", ["head"]),
        ("0.5", ["stem", "stages.0", "stages.1", "stages.2", "head"]),
    ],
)
def test_only_what_is_tuned_changes(tune, learns):
    with options(start_from="a run"):
        method = classifier(net(), tune, smoothing=0.0)
    assert method.frozen == tuple(frozen_parts(net(), tune))
    before = {k: v.clone() for k, v in method.net.state_dict().items()}
    with options(quiet=True):
        fit(method, [batch()], rates(SGD(0.1), method.net, tune), steps=2)
    after = method.net.state_dict()
    changed = {
        next(p for p in ("stem", "stages.0", "stages.1", "stages.2", "head") if k.startswith(p))
        for k, v in after.items()
        if not torch.equal(v, before[k])
    }
    assert changed == set(learns)  # statistics of normalisation rest with the weights
    assert all(
        p.requires_grad == any(name.startswith(part) for part in learns)
        for name, p in method.net.named_parameters()
    )


def test_parameters_may_rest_by_themselves():
    vit = ViT(3, image_size=8, patch=4, in_channels=1, embed_dim=8, num_layers=1, num_heads=2)
    method = Classifier(vit, frozen=("positions", "blocks"))
    assert not vit.positions.requires_grad
    method.loss((torch.rand(2, 1, 8, 8), torch.tensor([0, 2]))).backward()
    assert vit.positions.grad is None
    assert vit.patches.weight.grad is not None
    with pytest.raises(
        ValueError, match="ViT has no part 'stem'; it has standardize, patches, dropout, blocks, norm, head"
    ):
        Classifier(vit, frozen=("stem",))


@pytest.mark.parametrize("build", [SGD, AdamW])
def test_rates_fall_from_the_head_to_the_input(build):
    method, seen = Classifier(net()), {}
    factory = rates(build(0.2), method.net, "0.5")
    names = {id(p): name for name, p in method.named_parameters()}
    for group in factory(method.parameters(), names).param_groups:
        seen |= {names[id(p)]: group["lr"] for p in group["params"]}
    assert len(seen) == len(list(method.parameters()))
    assert described(factory, 10)["slower"] == {f"net.{part}": 0.5**k for k, part in enumerate(
        ("head", "stages.2", "stages.1", "stages.0", "stem"))}
    assert "slower" not in described(build(0.2), 10)
    expected = {"head": 0.2, "stages.2": 0.1, "stages.1": 0.05, "stages.0": 0.025, "stem": 0.0125}
    assert all(
        rate == pytest.approx(next(v for part, v in expected.items() if name.startswith(f"net.{part}")))
        for name, rate in seen.items()
    )


def test_a_step_moves_each_part_by_its_rate():
    moved = {}
    for factor in ("all", "0.5"):
        method = Classifier(net())
        before = {name: p.detach().clone() for name, p in method.named_parameters()}
        with options(quiet=True):
            fit(method, [batch()], rates(SGD(0.1), method.net, factor), steps=1)
        moved[factor] = {name: p.detach() - before[name] for name, p in method.named_parameters()}
    for part, share in (
        ("head.weight", 1.0),
        ("stages.2.0.0.residual.0.0.weight", 0.5),
        ("stem.0.0.weight", 0.0625),
    ):
        torch.testing.assert_close(moved["0.5"][f"net.{part}"], share * moved["all"][f"net.{part}"])


def test_the_groups_are_those_of_transfer_learning():
    method, slower = Classifier(net()), {"net.stem": 0.1, "net.stages": 0.5, "net.stages.2": 1.0}
    names = {id(p): name for name, p in method.named_parameters()}
    ours = Factory(torch.optim.SGD, 0.3, slower=slower)(method.parameters(), names).param_groups
    reference = {id(p): group["lr"] for group in transfer_rates(method, 0.3, slower) for p in group["params"]}
    assert {id(p): group["lr"] for group in ours for p in group["params"]} == reference


def test_rates_that_mean_nothing_are_refused():
    method = Classifier(net())
    names = {id(p): name for name, p in method.named_parameters()}
    with pytest.raises(
        ValueError, match=r"no parameter is in 'net\.stemm', whose part of the rate was given"
    ):
        Factory(torch.optim.SGD, 0.1, slower={"net.stemm": 0.1})(method.parameters(), names)
    with pytest.raises(ValueError, match="expected a part of the rate of 0 or more for 'net', got -1"):
        Factory(torch.optim.SGD, 0.1, slower={"net": -1})
    with pytest.raises(ValueError, match="rates by part need the names of the parameters"):
        Factory(torch.optim.SGD, 0.1, slower={"net": 0.1})(method.parameters())
    for tune in ("some", "1.5", "0", "nan"):
        with pytest.raises(ValueError, match=r"expected tune as all, last, head or a factor such as 0\.7"):
            frozen_parts(net(), tune)
    with pytest.raises(
        ValueError, match="tune=head is of a run that starts from the weights of another: --from RUN"
    ):
        classifier(net(), "head", smoothing=0.0)
    with pytest.raises(ValueError, match="expected a label smoothing from 0 to below 1, got 1"):
        Classifier(net(), label_smoothing=1.0)


def test_a_run_that_tunes_the_head_of_another_is_loaded_without_it(workplace):
    with options(quiet=True):
        first = recipes.vit("digits", steps=3, depth=1)
        with options(start_from=first.folder):
            second = recipes.vit("digits", steps=3, depth=1, tune="head")
    weights = [run.method.state_dict() for run in (first, second)]
    assert [k for k in weights[0] if not torch.equal(weights[0][k], weights[1][k])] == [
        "net.head.weight",
        "net.head.bias",
    ]
    shutil.rmtree(first.folder)
    again = deepcanon.load(second.folder).state_dict()
    assert all(torch.equal(again[k], v) for k, v in weights[1].items())
