"""The recipes that explain and that make pictures."""

import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon import recipes
from deepcanon.engine import options
from deepcanon.explain import background, framed, planted


@pytest.mark.row("EXP-15")
def test_the_explanation_of_a_biased_net_lies_on_the_background(workplace):
    with options(quiet=True):
        biased, unbiased = (recipes.husky_wolf("digits", frame) for frame in ("of_class", "independent"))
    assert biased.results["background_share"] > 0.5
    assert biased.results["accuracy"] < 0.6  # the snow told it everything
    assert unbiased.results["background_share"] < 0.2
    assert unbiased.results["accuracy"] > 0.9


@pytest.mark.row("EXP-15")
def test_backgrounds_are_planted_around_the_picture():
    x, y = torch.rand(200, 3, 8, 10), torch.arange(200) % 5
    frame = framed(x, torch.Generator().manual_seed(0), border=2)
    assert torch.equal(frame[:, :, 2:-2, 2:-2], x)
    outside = background(frame, 2)
    assert outside.sum() == 12 * 14 - 8 * 10
    assert frame[:, :, outside].max() <= 0.4
    for of_class in (True, False):
        seen, label = planted((frame, y), border=2, classes=5, of_class=of_class)
        assert torch.equal(label, (y >= 3).long())  # the second half of the classes
        assert torch.equal(seen[:, :, 2:-2, 2:-2], x)
        bright = seen[:, 0, outside].mean(1) > 0.5
        assert seen.min() >= 0
        assert seen.max() <= 1
        assert (
            torch.equal(bright, label.bool())
            if of_class
            else 0.3 < (bright == label.bool()).float().mean() < 0.7
        )
    assert 0.3 < bright.float().mean() < 0.7


def test_a_style_run_is_judged_by_another_run(workplace):
    with options(quiet=True, folder="look"):
        look = recipes.dream("digits", steps=2, width=4)
    Image.new("RGB", (40, 30), (200, 90, 10)).save("picture.png")
    with options(quiet=True, folder="styled"):
        run = recipes.style("digits", picture="picture.png", look="look", size=16, steps=2, width=2, blocks=1)
    assert run.method.gram_1.shape == (1, 8, 8)
    assert not any(p.requires_grad for p in run.method.stages.parameters())
    for mine, theirs in zip(run.method.stages.parameters(), look.method.net[:3].parameters()):
        assert torch.equal(mine, theirs)
    (workplace / "picture.png").unlink()  # its Gram matrices are in the run
    again = deepcanon.load("styled")
    assert torch.equal(again.gram_1, run.method.gram_1)


def test_settings_that_are_none_are_refused(workplace):
    with options(quiet=True, folder="look"):
        recipes.dream("digits", steps=2, width=4)
    with pytest.raises(ValueError, match="expected stage as 1, 2 or 3, got 4"):
        recipes.dream("digits", stage=4, steps=1)
    colour = (torch.randint(256, (20, 8, 8, 3), dtype=torch.uint8).numpy(), [0, 1] * 10)
    with pytest.raises(ValueError, match="look: expected a run of dream or resnet on images of 3 channels"):
        recipes.style(colour, look="look", steps=1)
    with pytest.raises(
        ValueError, match="expected images whose sides are multiples of 4, got 10 x 10; pass size=8"
    ):
        recipes.style("digits", size=10, steps=1)
