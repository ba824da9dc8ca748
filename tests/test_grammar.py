"""The grammar of recipes: which values a call gets, which target it is held to, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

import deepcanon
from deepcanon.engine import Run, recipe
from deepcanon.grammar import Form, at_least, at_most, bounds, described, preset, resolve

GAN = Form("gan", {"data": "digits", "objective": "plain", "latent": 8, "lr": 0.1, "steps": 100, "swap": False, "seed": 0},
           {"objective": ("plain", "hinge")}, (
    preset("digits", target={"distance": at_most(0.1)}, seconds=60),
    preset("ring", latent=2, steps=40, target={"modes": at_least(8)}),
    preset("ring", objective="hinge", lr=0.5, expect="drops modes"),
    preset("ring", "full", steps=9_000, target={"modes": at_least(9)})))


def shown(call):
    return {name: str(bound) for name, bound in call.target.items()}


def test_values_are_defaults_then_presets_then_what_is_given():
    assert resolve(GAN, {}).arguments == {"data": "digits", "objective": "plain", "latent": 8, "lr": 0.1, "steps": 100, "swap": False,
                                          "seed": 0}
    assert resolve(GAN, {"data": "ring"}).arguments["latent"] == 2
    assert resolve(GAN, {"data": "ring", "latent": 3}).arguments["latent"] == 3
    hinge = resolve(GAN, {"data": "ring", "objective": "hinge"}).arguments
    assert (hinge["latent"], hinge["lr"], hinge["steps"]) == (2, 0.5, 40)
    assert resolve(GAN, {"data": "ring"}, "full").arguments["steps"] == 9_000
    assert resolve(GAN, {"data": "ring"}).arguments["steps"] == 40
    assert resolve(GAN, {"data": "./photos"}).arguments["steps"] == 100


def test_a_target_belongs_to_the_call_that_it_was_set_for():
    assert shown(resolve(GAN, {})) == {"distance": "<= 0.1"}
    assert shown(resolve(GAN, {"seed": 7})) == {"distance": "<= 0.1"}
    assert shown(resolve(GAN, {"steps": 99})) == {}
    assert shown(resolve(GAN, {"steps": 100})) == {"distance": "<= 0.1"}            # the value that the call has anyway
    assert shown(resolve(GAN, {"data": "ring"})) == {"modes": ">= 8"}
    assert shown(resolve(GAN, {"data": "ring", "lr": 0.2})) == {}
    assert shown(resolve(GAN, {"data": "ring"}, "full")) == {"modes": ">= 9"}
    assert shown(resolve(GAN, {"data": "moons"})) == {}
    failing = resolve(GAN, {"data": "ring", "objective": "hinge"})
    assert (shown(failing), failing.expect) == ({}, "drops modes")
    assert resolve(GAN, {"data": "ring", "objective": "hinge", "lr": 9.0}).expect == ""


def test_a_call_is_named_by_data_variants_and_budget():
    assert resolve(GAN, {}).name == "gan/digits"
    assert resolve(GAN, {"data": "ring", "objective": "hinge"}).name == "gan/ring-hinge"
    assert resolve(GAN, {"data": "ring"}, "full").name == "gan/ring-full"
    assert resolve(GAN, {"data": "./my photos/"}).label == "my_photos"
    assert resolve(GAN, {"data": Path("/tmp/x.csv")}).label == "x.csv"
    assert resolve(GAN, {"data": [1, 2]}).label == "list"
    assert described("CartPole-v1") == "CartPole-v1"


@pytest.mark.parametrize(("given", "budget", "message"), [
    ({"bta": 4}, "", "gan has no argument 'bta'; it takes data, objective"),
    ({"objective": "hing"}, "", "gan: expected objective as one of plain, hinge, got 'hing'"),
    ({"steps": "10"}, "", "^gan: expected steps as a whole number, got '10'$"),
    ({"steps": 10.5}, "", "^gan: expected steps as a whole number, got 10.5$"),
    ({"steps": True}, "", "^gan: expected steps as a whole number, got True$"),
    ({"steps": None}, "", "^gan: expected steps as a whole number, got None$"),
    ({"lr": "fast"}, "", "^gan: expected lr as a number, got 'fast'$"),
    ({"latent": 0}, "", "^gan: expected latent of 1 or more, got 0$"),
    ({"swap": 1}, "", "^gan: expected swap as True or False, got 1$"),
    ({}, "huge", "gan has no budget 'huge'; it has full"),
    ({}, "full", "gan has no budget 'full' for digits; it has one for ring"),
])
def test_what_no_call_can_mean_is_refused(given, budget, message):
    with pytest.raises(ValueError, match=message):
        resolve(GAN, given, budget)


def test_numbers_of_other_libraries_are_numbers():
    call = resolve(GAN, {"steps": np.int64(3), "lr": np.float32(0.5), "swap": True, "data": 3})
    assert (call.arguments["steps"], call.arguments["lr"]) == (3, 0.5)
    assert [type(call.given[name]) for name in ("steps", "lr", "swap")] == [int, float, bool]
    assert resolve(GAN, {"lr": 1}).arguments["lr"] == 1


def test_arguments_without_a_name_are_those_before_the_star():
    for args, kwargs, message in [(("digits", 10), {}, "expected data alone without a name, got 2 such arguments: write name=value"),
                                  (("digits",), {"data": "ring"}, "got two values for data")]:
        with pytest.raises(TypeError, match=f"^{message}$"):
            deepcanon.recipes.mlp(*args, **kwargs)
    with pytest.raises(ValueError, match=r"^mlp has no argument 'step'; it takes data, "):
        deepcanon.recipes.mlp("digits", step=3)


def test_bounds_hold_and_survive_json():
    assert at_least(2).holds(2)
    assert not at_least(2).holds(1.9)
    assert at_most(2).holds(2)
    assert not at_most(2).holds(2.1)
    assert not at_most(2).holds(None)
    assert bounds({"a": at_least(1.5).as_json(), "b": at_most(3).as_json()}) == {"a": at_least(1.5), "b": at_most(3)}


def test_the_decorator_resolves_before_it_calls_and_refuses_presets_of_no_argument(workplace):
    seen = {}

    @recipe(paper="P", systems=["GEN-18"], presets=[preset("ring", latent=2)])
    def toy(data: str = "digits", *, latent: int = 8, seed: int = 0) -> Run:
        seen.update(data=data, latent=latent, seed=seed)
        return Run(torch.nn.Linear(1, 1))

    toy("ring", seed=3)
    assert seen == {"data": "ring", "latent": 2, "seed": 3}
    with pytest.raises(ValueError, match="toy has no budget 'full'"):
        toy(budget="full")
    with pytest.raises(ValueError, match=r"^toy has no argument 'nothing'; it takes data, latent, seed$"):
        toy(nothing=1)
    with pytest.raises(TypeError, match=r"toy: the preset 'ring' sets \['width'\], which are no arguments"):
        recipe(paper="P", systems=[], presets=[preset("ring", width=2)])(toy.__wrapped__)
