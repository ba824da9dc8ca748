"""Which kind of data an object of the user's is, where a method takes several."""

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon.data.source import kind_of, open_data
from deepcanon.engine import options

COLUMNS = {"size": [1, 2, 3, 4] * 5, "colour": ["red", None] * 10, "sold": ["yes", "no"] * 10}
PICTURE = Image.fromarray(np.zeros((4, 4), np.uint8))
BOTH = ("images", "table")


@pytest.mark.parametrize(("data", "kinds", "kind"), [
    (COLUMNS, BOTH, "table"), ({name: np.array(values) for name, values in COLUMNS.items()}, BOTH, "table"),
    (pd.DataFrame(COLUMNS), BOTH, "table"), (pl.DataFrame(COLUMNS), BOTH, "table"),
    (datasets.Dataset.from_dict(COLUMNS), BOTH, "table"), (datasets.Dataset.from_dict({"a": [1.0, 2.0]}), ("images", "points"), "points"),
    (datasets.Dataset.from_dict({"pixels": [PICTURE] * 3, "label": [0, 1, 0]}), BOTH, "images"),
    (pd.DataFrame({"path": ["a.png"], "label": ["x"]}), BOTH, "images"), (pl.DataFrame({"Image": ["a.png"]}), BOTH, "images"),
    ({"train": ["a.png"], "test": ["b.png"]}, BOTH, "images"), ({"train": np.zeros((3, 4, 4))}, BOTH, "images"),
    (np.zeros((9, 4)), BOTH, "table"), (np.zeros((9, 4, 4)), BOTH, "images"), (torch.zeros(9, 2), ("images", "points"), "points"),
    ((np.zeros((9, 4)), np.zeros(9)), BOTH, "table"), (["a.png", "b.png"], BOTH, "images"),
])
def test_the_kind_of_an_object(data, kinds, kind):
    assert kind_of(data, kinds) == kind


@pytest.mark.parametrize("data", [COLUMNS, datasets.Dataset.from_dict(COLUMNS), pl.DataFrame(COLUMNS)])
def test_columns_are_trained_on(data, workplace):
    with options(quiet=True), pytest.warns(UserWarning, match="column 'colour'"):
        run = deepcanon.recipes.mlp(data, target="sold", width=8, steps=2)
    assert run.method.classes == ["no", "yes"]


def test_a_text_is_no_name():
    with pytest.raises(ValueError, match=r"^expected a name or a path, got a text of 1,100 characters; pass it as a list, \[text\], or as io"):
        open_data("hello there" * 100, "text")
    with pytest.raises(ValueError, match=r"^expected a name or a path, got a text of 3 characters$"):
        open_data("a\nb", *BOTH)
    assert open_data(["hello there " * 100], "text").kind == "text"
