"""Some steps of every run of autoregressive models, on digits, own pictures and sounds; a law of sounds."""

import math

import numpy as np
import pytest
import torch

from deepcanon.autoregressive.mu_law import compand, expand
from deepcanon.autoregressive.pixels import LogisticMixture, Softmax
from deepcanon.data import open_data
from deepcanon.nets.pixelrnn import DiagonalBiLSTM, RowLSTM
from deepcanon.recipes import densities, sounds
from deepcanon.recipes.autoregressive import pixels
from deepcanon.recipes.sounds import resonance
from tests.own_pictures import JUDGED, hurried, photos, short

SHORT = {
    "pixelcnn": {"width": 4}, "conditional_pixelcnn": {"width": 4}, "pixelrnn": {"width": 4, "layers": 1},
    "image_transformer": {"width": 8, "layers": 1}, "made": {"width": 16},
}
VARIANTS = [("pixelcnn", "likelihood", "logistic"), ("pixelrnn", "cells", "row"),
            ("image_transformer", "attention", "local_1d")]


@pytest.fixture(autouse=True)
def quick(monkeypatch, workplace, embedded_only):
    hurried(monkeypatch, workplace / "cache")


def expected(name: str) -> set[str]:
    """The numbers of a run."""
    conditional = {"conditional_accuracy"} if name == "conditional_pixelcnn" else set()
    return JUDGED | {"nll" if name == "made" else "bits_per_dim"} | conditional


@pytest.mark.parametrize("name", SHORT)
def test_some_steps_on_digits_give_the_numbers(name):
    run = short(name, **SHORT[name], steps=2)
    assert set(run.results) >= expected(name)
    conditional = name == "conditional_pixelcnn"
    assert run.method.sample(2, *[torch.tensor([3, 7])] * conditional).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("name", SHORT)
def test_some_steps_on_the_users_own_pictures_give_the_same_numbers(name, colour, workplace):
    run = short(name, data=photos(workplace / "photos", colour=colour, size=8), **SHORT[name], steps=2)
    assert set(run.results) >= expected(name)
    assert run.method.shape == (3 if colour else 1, 8, 8)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(("name", "variant", "value"), VARIANTS)
def test_variants_on_the_users_own_pictures(name, variant, value, colour, workplace):
    data = photos(workplace / "photos", colour=colour, size=8)
    run = short(name, data=data, **{variant: value}, **SHORT[name], steps=2)
    assert set(run.results) >= expected(name)
    kinds = {type(module) for module in run.method.modules()}
    assert value == "local_1d" or {"logistic": LogisticMixture, "row": RowLSTM}[value] in kinds
    assert {"logistic": Softmax, "row": DiagonalBiLSTM}.get(value, int) not in kinds


def test_the_reach_of_a_pixelcnn_follows_from_the_size_of_its_pictures():
    def reach(side, layers):
        source = open_data(torch.randint(0, 256, (10, 1, side, side), dtype=torch.uint8), "images")
        net = pixels.pixel_net(source, Softmax(1, 256), 4, layers)
        return [layer.above.dilation[0] for layer in net.layers], net.layers[0].above.kernel_size[1]

    assert reach(8, 4) == ([1, 1, 2, 1, 2], 5)
    assert reach(28, 7) == ([1, 1, 2, 1, 4, 1, 2, 1], 7)
    assert reach(2, 2)[0] == [1, 1, 1]


def test_draws_are_made_in_parts_that_fit_in_memory(monkeypatch):
    method = short("conditional_pixelcnn", width=4, steps=1).method
    parts, sample = [], method.sample
    monkeypatch.setattr(method, "sample", lambda n, y=None: parts.append((n, y.tolist())) or sample(n, y))
    monkeypatch.setattr(densities, "DRAWN", 20 * 64)
    y = torch.arange(50) % 10
    assert densities.drawn(method, 50, y).shape == (50, 1, 8, 8)
    assert [n for n, _ in parts] == [20, 20, 10]
    assert [label for _, labels in parts for label in labels] == y.tolist()


def test_a_conditional_model_of_one_class_is_refused(workplace):
    with pytest.raises(ValueError, match="needs two classes or more"):
        short("conditional_pixelcnn", data=photos(workplace / "photos", classes="a"), steps=1)


# sounds


def test_wavenet_of_the_resonance_measures_its_excess():
    run = short("wavenet", width=4, length=8, steps=2)
    assert {"bits_per_dim", "excess_bits", "true_bits"} <= set(run.results)
    excess = run.results["bits_per_dim"] - run.results["true_bits"]
    assert run.results["excess_bits"] == pytest.approx(excess, abs=1e-5)
    assert run.method.sample(2).shape == (2, 1, 8)


@pytest.mark.parametrize(("shape", "channels", "pieces"), [((20, 50), 1, 16), ((20, 2, 12), 2, 12)])
def test_wavenet_of_the_users_own_sounds(shape, channels, pieces, workplace):
    np.save(workplace / "sounds.npy", np.sin(np.arange(math.prod(shape)).reshape(shape)).astype("float32"))
    run = short("wavenet", data="sounds.npy", width=4, length=16, steps=2)
    assert "bits_per_dim" in run.results
    assert run.method.sample(2).shape == (2, channels, pieces)


@pytest.mark.parametrize(("x", "levels"), [
    (torch.tensor([-1.0, 0.5, 1.0]), compand(torch.tensor([-1.0, 0.5, 1.0]))),
    (torch.tensor([-32_768.0, 16_384.0, 0.0]), compand(torch.tensor([-1.0, 0.5, 0.0]))),
    (torch.tensor([0.0, 255.0, 51.0]), torch.tensor([0.0, 1.0, 0.2])),
    (torch.tensor([0, 255, 51], dtype=torch.uint8), torch.tensor([0.0, 1.0, 0.2]))])
def test_sounds_become_levels_by_their_range(x, levels):
    source = open_data(x.repeat(10, 1), "arrays")
    shape, cut = sounds.pieces(source, 3)
    assert shape == (1, 3)
    torch.testing.assert_close(cut(source.train(batch=2).at(0)[0], torch.Generator()), levels.expand(2, 1, 3))


def test_pieces_lie_at_random_places_and_all_of_a_sound_is_read():
    source = open_data(torch.linspace(-1, 1, 40).repeat(10, 1), "arrays")
    shape, cut = sounds.pieces(source, 30)
    generator = torch.Generator().manual_seed(0)
    first = {cut(torch.arange(40.0)[None] / 40, generator)[0, 0, 0].item() for _ in range(200)}
    assert shape == (1, 30)
    assert first == {compand(torch.tensor(start / 40)).item() for start in range(11)}


def test_what_is_no_sound_is_refused():
    with pytest.raises(ValueError, match=r"or in levels 0 to 255, got values from 0 to 1e\+06"):
        short("wavenet", data=torch.tensor([0.0, 1e6]).repeat(10, 4), width=4, steps=1)
    with pytest.raises(ValueError, match=r"\(N, T\) or \(N, channels, T\), got shape \(N, 2, 3, 4\)"):
        short("wavenet", data=torch.zeros(10, 2, 3, 4), steps=1)


def test_the_true_law_of_the_sounds_has_the_entropy_of_its_noise_in_levels():
    """bits = entropy of the noise - mean log2 of a level's width, for noise that spans many levels."""
    levels, bits = resonance(2_000, 64, seed=0)
    sound = expand(levels)
    sigma = 0.2 * math.sqrt((1 - 0.9025) * (1.9025**2 - (1.9 * math.cos(math.pi / 6)) ** 2) / 1.9025)
    width = (expand(levels + 0.5 / 255) - expand(levels - 0.5 / 255)).log2().mean()
    entropy = 0.5 * math.log2(2 * math.pi * math.e * sigma**2)
    assert levels.shape == (2_000, 1, 64)
    torch.testing.assert_close(compand(sound), levels)
    assert abs(sound.std().item() - 0.2) < 0.01
    assert abs(bits.item() - (entropy - width.item())) < 0.02
