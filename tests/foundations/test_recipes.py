"""Runs of the learning basics on data that they cannot tell apart: refused in one line, before a step."""

import numpy as np
import pytest
from PIL import Image

import deepcanon
from deepcanon.engine import options

CLASSIFIERS = ["linear", "mlp", "deep_ensemble", "bagging", "snapshot_ensemble", "weight_average", "normalization", "initialization",
               "optimizer_race", "schedule_race"]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_pictures_of_one_class_are_no_data_for_a_classifier(name, workplace):
    (workplace / "photos").mkdir()
    for i in range(8):
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(workplace / "photos" / f"{i}.png")
    with options(quiet=True), pytest.raises(ValueError, match=r"^photos: this method needs two classes or more, got 1; a class is a folder of its"):
        getattr(deepcanon.recipes, name)("photos", steps=1)
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_pictures_without_classes_are_no_data_for_a_classifier(name, workplace):
    with options(quiet=True), pytest.raises(ValueError, match=r"^<ndarray>: this method needs two classes or more, got 0$"):
        getattr(deepcanon.recipes, name)(np.zeros((20, 8, 8), np.uint8), steps=1)


@pytest.mark.parametrize("name", CLASSIFIERS[2:])
def test_values_are_no_classes(name, workplace):
    with options(quiet=True), pytest.raises(ValueError, match=r"^diabetes: this method needs two classes or more, got 0$"):
        getattr(deepcanon.recipes, name)("diabetes", steps=1)
