"""`deepcanon explain`: the page for runs and for nets of one's own, and what is said of mistakes."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon import cli, recipes
from deepcanon.data import images
from deepcanon.engine import options
from deepcanon.explaining import OF_AN_IMAGE, OF_THE_NET, explain_images
from deepcanon.report.explanations import ABOUT, over, scaled, signed

OWN = """
from torch import nn
import torch

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))

net, number = Net(), 3

class Fixed(nn.Module):
    def forward(self, x):
        return x.flatten(1) @ torch.ones(3 * 20 * 24, 2)
"""


@pytest.fixture
def own(workplace) -> Path:
    """A run on digits, images of a user, and a net in a file."""
    with options(quiet=True, folder="run"):
        recipes.dream("digits", steps=20, width=8)
    rng = np.random.default_rng(0)
    for folder, shape in (("digits", (8, 8)), ("photos", (20, 24, 3))):
        Path(folder).mkdir()
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(f"{folder}/{i}.png")
    Path("own.py").write_text(OWN)
    Path("broken.png").write_bytes(b"nothing")
    return workplace


def test_a_run_is_explained_on_one_page(own, capsys):
    assert cli.main(["explain", "run", "digits", "--class", "7"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"page +run/explanations.html", out)
    assert "left out attention_rollout: no attention was found" in err
    assert "left out map: needs 20 images or more, got 3" in err
    page = Path("run/explanations.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing is loaded from elsewhere
    assert page.count("explained: <strong>7</strong>") == 3
    shown = [m for m in OF_AN_IMAGE if m != "attention_rollout"]
    for name in shown:
        assert page.count(f"<figcaption>{name.replace('_', ' ')}</figcaption>") == 3
    assert page.count("data:image/png") == 3 * (1 + len(shown)) + 2  # first filters and the picture of a 7
    assert len(page) < 200_000


def test_methods_that_are_asked_for_alone_are_shown(own, capsys):
    assert (
        cli.main(
            [
                "explain",
                "run",
                "digits/0.png",
                "digits/1.png",
                "--methods",
                "saliency,grad-cam",
                "--out",
                "here/page.html",
            ]
        )
        == 0
    )
    page = Path("here/page.html").read_text()
    assert page.count("<figcaption>") == 2 * 3
    assert "digits/1.png" in page
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("what", ["own.py:Net", "own.py:net", "own:Net"])
def test_a_net_of_ones_own_is_explained(own, what):
    assert cli.main(["explain", what, "photos", "--mean", "0.5,0.4,0.3", "--std", "0.2,0.2,0.2"]) == 0
    page = Path("explanations.html").read_text()
    assert "guided backprop: " in page  # left out: it has no rectifier
    assert "<figcaption>guided backprop</figcaption>" not in page
    assert "layer of Grad-CAM: 1.1" in page  # behind the normalisation


def test_what_cannot_be_read_is_left_out_when_asked(own, capsys):
    Path("photos/broken.png").write_bytes(b"nothing")
    words = ["explain", "own.py:net", "photos", "--methods", "saliency"]
    assert cli.main(words) == 1
    assert "broken.png" in capsys.readouterr().err
    assert cli.main([*words, "--skip-unreadable"]) == 0
    assert "images  3" in capsys.readouterr().out


def test_what_normalises_is_in_front_of_the_net(own):
    plain, normalised = (
        explain_images("own.py:net", ["photos/0.png"], target="2", methods=["integrated_gradients"], **more)
        for more in ({}, {"mean": [0.5] * 3, "std": [0.25] * 3})
    )
    assert (
        not plain.images[0]
        .maps["integrated_gradients"]
        .equal(normalised.images[0].maps["integrated_gradients"])
    )
    assert plain.images[0].target == "2"
    assert sum(p for _, p in plain.images[0].likeliest) <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "digits"], "there is no run folder nowhere"),
        (["photos", "digits"], "photos is not a run folder"),
        (["run", "broken.png"], "broken.png"),
        (["run", "nothing.png"], "nothing.png"),
        (["run", "digits", "--class", "seven"], "no class 'seven'; known: 0, 1, 2"),
        (["run", "digits", "--class", "10"], "no class '10'"),
        (["run", "digits", "--methods", "gradcam"], "no method 'gradcam'; did you mean 'grad_cam'?"),
        (["run", "digits", "--methods", "attention_rollout"], "no attention was found"),
        (["run", "digits", "--layer", "9"], "has no layer '9'"),
        (["run", "digits", "--methods", "map"], "needs 20 images or more, got 3"),
        (["run", "digits", "--mean", "0.5", "--std", "0.5"], "run normalises images itself"),
        (["run", "digits", "--methods", ","], "expected names with commas between"),
        (["own.py:Net", "digits"], "digits is grey, and own.py:Net takes RGB images"),
        (["own.py:Nett", "photos"], "net 'own.py:Nett': 'own.py' has no 'Nett'"),
        (["own.py:number", "photos"], "expected own.py:number to be an nn.Module or to make one, got int"),
        (["own.py", "photos"], "expected the name of a net after the file, such as 'own.py:net'"),
    (["other.py:Net", "photos"], "there is no file 'other.py'"),
        (["own.py:Net", "photos", "--class", "5"], "no class '5'; known: 0, 1, 2, 3, 4"),
        (["own.py:Net", "photos", "--mean", "0.5"], "expected as many means as deviations"),
        (["own.py:Fixed", "photos", "--size", "16"], "own.py:Fixed does not take images of 3 x 16 x 16"),
        (["own.py:Net", "photos", "--size", "0"], "expected pixels above 0, got '0'"),
        (["own.py:Net", "photos", "--mean", "a"], "expected numbers with commas between, got 'a'"),
        (["run"], "IMAGES is missing"),
    ],
)
def test_mistakes_are_one_line(own, words, message, capsys):
    assert cli.main(["explain", *words]) in (1, 2)
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert "bug" not in err


def test_what_is_no_classifier_is_said(own, capsys):
    with options(quiet=True, folder="vae"):
        recipes.vae("digits", steps=2)
    assert cli.main(["explain", "vae", "digits"]) == 1
    assert "vae holds a VAE, which is no classifier of images" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["linear", "deep_ensemble", "acgan"])
def test_classifiers_of_other_methods_are_explained(own, recipe):
    few = {"members": 2} if recipe == "deep_ensemble" else {}
    with options(quiet=True, folder="other"):
        run = getattr(recipes, recipe)("digits", steps=3, **few)
    found = explain_images("other", ["digits"], methods=["saliency", "integrated_gradients"], target="3")
    x = images(Path("digits"), split=None).at(0)[0]
    with torch.no_grad():
        p = run.method.eval().predict(x)
    for i, image in enumerate(found.images):
        assert image.likeliest[0][1] == pytest.approx(p.softmax(1)[i].max().item() if p.min() < 0 else p[i].max().item(), abs=1e-4)
        assert image.maps["saliency"].any()
    gained = torch.stack([image.maps["integrated_gradients"].sum() for image in found.images])
    with torch.no_grad():
        black = run.method.predict(torch.zeros_like(x))
    logs = (p[:, 3] - black[:, 3]) if p.min() < 0 else (p[:, 3] / black[:, 3]).log()
    torch.testing.assert_close(gained, logs, atol=0.1, rtol=0.1)


def test_many_images_are_mapped(own):
    digits = ["digits/0.png", "digits/1.png", "digits/2.png"] * 8
    found = explain_images("run", digits, methods=["map", "regions"])
    points, clusters = found.whole["map"]
    assert points.shape == (24, 2)
    assert clusters.shape == (24,)
    assert len(found.whole["regions"]) == 6
    assert all(len(parts) == 6 for parts in found.whole["regions"].values())


def test_every_method_is_explained_and_maps_have_a_scale():
    assert ABOUT.keys() == OF_AN_IMAGE.keys()
    assert not OF_AN_IMAGE.keys() & OF_THE_NET.keys()
    values = torch.tensor([[0.0, -2.0], [1.0, 2.0]])
    assert scaled(values).abs().max() == 1
    assert (scaled(torch.zeros(2, 2)) == 0).all()
    red, blue, white = signed(values)[1, 1], signed(values)[0, 1], signed(values)[0, 0]
    assert red[0] > red[2] + 0.2
    assert blue[2] > blue[0] + 0.2
    assert white.min() > 0.9
    base = torch.full((2, 2, 3), 0.5)
    assert torch.equal(over(base, torch.zeros(2, 2)), torch.full((2, 2, 3), 0.65))
