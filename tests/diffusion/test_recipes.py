"""A few steps of the diffusion recipes, on embedded data and on pictures of a user's own."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon import catalogue, recipes
from deepcanon.data import images
from deepcanon.diffusion.schedules import linear_schedule
from deepcanon.engine import options
from deepcanon.grammar import resolve
from deepcanon.recipes.diffusion import images as of_images
from deepcanon.recipes.diffusion.conditional import NUMBERS, Captioned, Sentences
from tests.own_pictures import hurried

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(autouse=True)
def quick(workplace, monkeypatch):
    """Runs are quiet, and few images are drawn where they are judged."""
    hurried(monkeypatch, workplace / "cache")
    with options(quiet=True):
        yield


@pytest.fixture
def photos(workplace) -> str:
    """Sixty grey pictures of 18 x 12 pixels, in no classes."""
    (workplace / "photos").mkdir()
    for i, level in enumerate(np.linspace(20, 230, 60)):
        Image.fromarray(np.full((18, 12, 3), level, np.uint8)).save(workplace / "photos" / f"{i}.png")
    return "./photos"


def test_the_full_form_is_the_papers():
    call = resolve(catalogue.recipes()["ddpm"].form, {"data": "cifar10"}, "full")
    assert call.target.keys() == {"bits_per_dim"}
    settings = {"net": "paper", "width": 128, "batch": 128, "steps": 800_000, "lr": 2e-4, "ema": 0.9999, "flip": True}
    assert settings.items() <= call.arguments.items()


@pytest.mark.row("GEN-53")
def test_the_papers_net_runs_at_a_reduced_size(photos, monkeypatch):
    """Five levels in place of a thousand, nothing compiled."""
    monkeypatch.setattr(of_images, "linear_schedule", lambda levels: linear_schedule(levels // 200))
    monkeypatch.setattr(of_images, "fit", lambda *args, compile, fit=of_images.fit, **how: fit(*args, **how))
    run = recipes.ddpm(photos, net="paper", size=32, width=8, batch=4, steps=2)
    assert run.results.keys() >= {"simple_loss", "bits_per_dim"}
    assert 0 < run.results["simple_loss"] < 2
    assert run.results["bits_per_dim"] > 0
    assert len(run.method.abar) == 5 + 1                                         # and that of no noise
    assert (run.folder / "weights.safetensors").exists()
    assert list((run.folder / "samples").glob("*.png"))
    assert run.method.sample(2).shape == (2, 3, 32, 32)


@pytest.mark.row("GEN-53")
def test_the_papers_net_has_its_parameters(monkeypatch):
    """35.7 million for three channels."""
    built = []
    monkeypatch.setattr(of_images, "fit", lambda method, *_, **how: built.append((method, how)) or deepcanon.engine.Run(method))
    of_images.as_in_the_paper(ThreeChannels, None, 128, 2e-4, 1, 0.9999, 0)
    method, how = built[0]
    assert sum(p.numel() for p in method.parameters()) == pytest.approx(35.7e6, rel=0.005)
    assert len(method.abar) == 1_000 + 1
    assert (how["compile"], how["bf16"], how["ema"]) == (("net",), True, 0.9999)


class ThreeChannels:
    """What the paper's net must know of its data."""

    kind, name, shape = "images", "three channels", (3, 32, 32)

    @staticmethod
    def test(**how):
        return ()


@pytest.mark.parametrize(("name", "arguments", "measured"), [
    ("ddpm", {"width": 16}, {"simple_loss", "frechet_distance", "class_min"}),
    ("ddpm", {"width": 8, "net": "unet", "sampling_steps": 2}, {"simple_loss", "frechet_distance"}),
    ("ncsn", {"width": 16, "chain_steps": 2}, {"noise_error", "frechet_distance"}),
    ("score_sde", {"sampling_steps": 3, "likelihood_of": 4}, {"bits_per_dim", "frechet_distance"}),
    ("guided_diffusion", {"width": 16}, {"conditional_accuracy", "class_min"}),
    ("text_to_image", {"width": 16}, {"conditional_accuracy", "class_min"})])
def test_some_steps_on_digits(name, arguments, measured):
    run = getattr(recipes, name)("digits", steps=2, **arguments)
    assert measured <= run.results.keys()
    assert all(math.isfinite(value) for value in run.results.values())
    assert list((run.folder / "samples").glob("*.png"))


def test_unknown_nets_are_refused():
    with pytest.raises(ValueError, match=r"^expected net as unet, perceptron or paper, got 'resnet'$"):
        recipes.ddpm("digits", net="resnet")


def test_pictures_of_ones_own_need_no_classes(photos):
    run = recipes.score_sde(photos, size=8, batch=16, width=8, steps=2, flip=True, sampling_steps=2)
    assert 0 < run.results["simple_loss"] < 10
    drawn = deepcanon.load(run.folder).sample(3)
    assert drawn.shape == (3, 3, 8, 8)
    assert 0 <= drawn.min() <= drawn.max() <= 1


@pytest.mark.parametrize(("size", "patch"), [(12, 1), (16, 2), (20, 1), (24, 2)])
def test_a_net_fits_any_side_that_it_can_halve_twice(photos, size, patch):
    run = recipes.score_sde(photos, size=size, batch=4, width=8, steps=1, sampling_steps=1)
    assert run.method.net.patch == patch
    assert run.method.sample(1).shape == (1, 3, size, size)


@pytest.mark.parametrize(("name", "arguments", "multiple"), [
    ("score_sde", {"size": 10}, 4), ("score_sde", {"size": 9, "deep": False}, 2), ("ddpm", {"size": 9}, 2),
    ("ddpm", {"size": 12, "net": "paper"}, 8)])
def test_sides_that_a_net_cannot_halve_are_refused_before_training(photos, name, arguments, multiple):
    with pytest.raises(ValueError, match=rf"^\./photos: expected images whose sides are multiples of {multiple}, got .*; pass size=8$"):
        getattr(recipes, name)(photos, batch=16, width=8, steps=2, **arguments)


@pytest.mark.parametrize("name", ["guided_diffusion", "text_to_image"])
def test_what_is_told_a_class_needs_two(photos, name):
    with pytest.raises(ValueError, match=r"^this method needs images of two classes or more, \./photos has 1$"):
        getattr(recipes, name)(photos, size=8)


@pytest.mark.row("GEN-49")
def test_some_steps_on_a_toy():
    run = recipes.ncsn("two_gaussians", steps=2, width=16, levels=3, chain_steps=2)
    assert 0 <= run.results["weight_error"] <= 1
    assert list((run.folder / "samples").glob("*.png"))


def test_captions_name_their_digit():
    sentences = Sentences(DIGITS)
    y = torch.arange(10).repeat(20)
    drawn = [" ".join(sentences.words[word] for word in row if word) for row in sentences.about(y).tolist()]
    assert all(NUMBERS[digit] in sentence.split() for digit, sentence in zip(y.tolist(), drawn))
    assert len(set(drawn)) == 50
    assert "a handwritten three" in drawn


def test_captions_name_a_class_of_ones_own():
    sentences = Sentences(["polar_bear", "Cat"])
    drawn = {" ".join(sentences.words[word] for word in row if word) for row in sentences.about(torch.tensor([0, 1]).repeat(50)).tolist()}
    assert len(drawn) == 10
    assert {"a picture of a polar bear", "this is a cat"} <= drawn
    assert sentences.longest == 6
    assert sentences.table.shape == (5, 2, 6)


def test_captioned_data_are_the_same_whenever_they_are_read():
    data = Captioned(images("digits", batch=16), Sentences(DIGITS))
    for a, b in zip(data.at(5), data.at(5)):
        assert torch.equal(a, b)
    assert torch.equal(data.at(5)[0], images("digits", batch=16).at(5)[0])
    assert len(data) == len(images("digits", batch=16))
