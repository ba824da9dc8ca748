"""Runs of image classifiers: whether mirror images are learned from, what a run that starts from another changes, which settings are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deepcanon import catalogue, recipes
from deepcanon.data import open_data
from deepcanon.engine import Run, options
from deepcanon.grammar import resolve
from deepcanon.recipes.judge import committed
from deepcanon.recipes.vision import residual
from deepcanon.recipes.vision.distortions import Photograph, distortion, held_out_hits, mirror_keeps_classes


def arrows(n: int = 200, signs: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures with a bright left or right half: the class of signs is the side, that of others is the height of a bright bar."""
    generator = torch.Generator().manual_seed(0)
    x, y = 40 * torch.rand(n, 3, 16, 16, generator=generator), torch.arange(n) % 2
    side = y if signs else torch.randint(2, (n,), generator=generator)
    for i in range(n):
        x[i, :, :, 8 * int(side[i]) : 8 * int(side[i]) + 8] += 90
        if not signs:
            x[i, :, 3 + 8 * int(y[i]) : 6 + 8 * int(y[i])] += 90
    return x, y


def test_mirror_images_are_left_out_where_they_are_another_class():
    assert not mirror_keeps_classes(*arrows(signs=True))
    assert mirror_keeps_classes(*arrows(signs=False))


def test_held_out_hits_are_of_pictures_that_were_not_learned():
    x, y = arrows(100)
    assert held_out_hits(x, y, mirrored=False).float().mean() > 0.95
    shuffled = y[torch.randperm(100, generator=torch.Generator().manual_seed(1))]
    assert held_out_hits(x, shuffled, mirrored=False).float().mean() < 0.7       # by heart, all would be right


@pytest.mark.parametrize("signs", [True, False])
def test_a_photographs_change_follows_the_decision(signs, capsys):
    x, y = arrows(signs=signs)
    source = open_data((x.to(torch.uint8).numpy().transpose(0, 2, 3, 1), y.numpy()), "images")
    change = Photograph(source)
    batch = torch.zeros(200, 3, 16, 16)
    batch[..., 10:] = 1
    changed = change(batch, torch.Generator().manual_seed(0))
    turned = (changed[..., :6].mean((1, 2, 3)) > 0.5).float().mean()
    assert turned == 0 if signs else 0.35 < turned < 0.65
    assert ("without mirror images" if signs else "also from mirror images") in capsys.readouterr().err


def test_an_unknown_distortion_is_refused():
    with pytest.raises(ValueError, match="expected distort as one of none, shift, flip, crop, affine, elastic, erase, photo, got 'phtoo'"):
        distortion("phtoo", open_data("digits", "images"))


@pytest.mark.parametrize(("name", "settings", "message"), [
    ("resnet", {"form": "larg"}, "expected form as photo, resnet18 or cifar with its depth, such as cifar20, got 'larg'"),
    ("resnet", {"schedule": "step"}, "expected schedule as cosine or linear, got 'step'"),
    ("convnet", {"scale": 1.5}, r"expected a scale as a share of the paper's widths in \(0, 1\], got 1\.5"),
    ("convnet", {"architecture": "alexnet", "size": 12}, "images of 12 pixels are too small for AlexNet's three poolings"),
    ("vit", {"size": 31}, "images of 31 pixels cannot be cut into 2 to 4 patches a side; pass size=28"),
    ("lenet", {"widths": "huge"}, "expected widths as one of paper, wide, wider, got 'huge'"),
    ("lenet", {"size": 8}, "LeNet needs images of 12 pixels or more")])
def test_settings_that_are_none_are_refused(workplace, name, settings, message):
    with options(quiet=True), pytest.raises(ValueError, match=message):
        getattr(recipes, name)("digits", steps=1, **settings)


def test_a_run_from_another_takes_fewer_steps_at_a_lower_rate(workplace, monkeypatch):
    seen = []

    def fit(method, data, optimizer, **how):
        seen.append((optimizer, how["steps"]))
        return Run(method)

    monkeypatch.setattr(residual, "fit", fit)
    for start, lr in ((None, None), ("runs/x", None), (None, 0.0)):
        with options(start_from=start):
            recipes.resnet("digits", form="photo", weight_decay=None, lr=lr, steps=None, schedule="cosine")
    (scratch, long), (tuned, short), (still, _) = seen
    assert still.lr == 0
    assert (scratch.lr, scratch.options["weight_decay"], long) == (0.1, 5e-3, 1_500)
    assert (tuned.lr, tuned.options["weight_decay"], short) == (0.01, 5e-4, 300)


@pytest.mark.parametrize("side", [24, 32, 40, 41, 48, 64, 96, 200])
def test_large_pictures_are_made_small_before_the_costly_layers(side):
    source = SimpleNamespace(name="x", shape=(3, side, side), num_classes=2, mean=0.5, std=0.2)
    net = residual.net_of(source, "photo")
    assert 11 <= net.stem(torch.zeros(1, 3, side, side)).shape[-1] <= 20


@pytest.mark.row("VIS-08")
@pytest.mark.parametrize("name", ["digits", "mnist", "fashion"])
def test_the_judges_are_the_nets_of_their_presets(name):
    form = catalogue.recipe("lenet").form
    widths = resolve(form, {"data": name}).arguments["widths"]
    assert committed(name).maps[0].out_channels == {"paper": 6, "wide": 16}[widths]


@pytest.mark.row("VIS-12")
def test_few_photographs_are_learned_in_a_moment(workplace):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (90, 24, 24, 3), dtype=np.uint8), np.arange(90) % 3
    for i in range(90):
        x[i, 4 + 6 * y[i] : 9 + 6 * y[i], :, y[i]] = 255                              # a bar whose height and colour are the class
    with options(quiet=True):
        run = recipes.resnet((x, y), steps=60, batch=32)
    assert run.results["accuracy"] > 0.9
