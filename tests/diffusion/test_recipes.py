"""A few steps of the diffusion recipes, on embedded data."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon.data import images
from deepcanon.engine import options
from deepcanon.recipes import scores
from deepcanon.recipes.diffusion import ddpm_cifar10_full


def test_the_full_form_runs_at_a_reduced_size(tmp_path):
    with options(folder=tmp_path / "run", quiet=True):
        run = ddpm_cifar10_full(data="digits", width=8, batch=4, steps=2, levels=5, fast=False)
    assert 0 < run.results["simple_loss"] < 2
    assert run.results["bits_per_dim"] > 0
    assert (tmp_path / "run" / "weights.safetensors").exists()
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    assert run.method.sample(2).shape == (2, 1, 32, 32)


@pytest.fixture
def few(monkeypatch):
    """Recipes that draw few images where they are judged."""
    judge = scores.digits_judge()
    judge.n = 40
    monkeypatch.setattr(scores, "digits_judge", lambda: judge)


@pytest.mark.parametrize(("recipe", "measured"), [
    (scores.ncsn_digits, {"noise_error", "fid"}), (partial(scores.sde_digits, sampling_steps=3, ode_steps=3), {"bits_per_dim", "fid"}),
    (scores.guided_digits, {"named", "class_min"}), (scores.captions_digits, {"named", "class_min"})])
def test_some_steps_on_digits(workplace, few, recipe, measured):
    run = recipe(steps=2, width=16)
    assert measured <= run.results.keys()
    assert all(math.isfinite(value) for value in run.results.values())
    assert list((run.folder / "samples").glob("*.png"))


def test_pictures_of_ones_own_need_no_classes(workplace, tmp_path):
    (tmp_path / "photos").mkdir()
    for i, level in enumerate(np.linspace(20, 230, 60)):
        Image.fromarray(np.full((18, 12, 3), level, np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    run = scores.draw_images(data=str(tmp_path / "photos"), size=8, batch=16, width=8, steps=2, flip=True)
    assert 0 < run.results["simple_loss"] < 10
    drawn = deepcanon.load(run.folder).sample(3)
    assert drawn.shape == (3, 3, 8, 8)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    with pytest.raises(ValueError, match="sides divisible by 8"):
        scores.draw_images(data=str(tmp_path / "photos"), size=12, steps=2)


def test_some_steps_on_a_toy(workplace):
    run = scores.ncsn_toy(steps=2, width=16, levels=3)
    assert 0 <= run.results["weight_error"] <= 1


def test_captions_name_their_digit():
    y = torch.arange(10).repeat(20)
    sentences = [" ".join(scores.WORDS[word] for word in row if word) for row in scores.captions(y).tolist()]
    assert all(scores.NUMBERS[digit] in sentence.split() for digit, sentence in zip(y.tolist(), sentences))
    assert len(set(sentences)) == 50
    assert "a handwritten three" in sentences


def test_captioned_data_are_the_same_whenever_they_are_read():
    data = scores.Captioned(images("digits", batch=16))
    for a, b in zip(data.at(5), data.at(5)):
        assert torch.equal(a, b)
    assert torch.equal(data.at(5)[0], images("digits", batch=16).at(5)[0])
    assert len(data) == len(images("digits", batch=16))
