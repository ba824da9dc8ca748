"""A few steps of every run, and the law of the sounds."""

import math
from pathlib import Path

import pytest
import torch

from deepcanon.autoregressive.mu_law import compand, expand
from deepcanon.engine import options
from deepcanon.recipes import autoregressive
from deepcanon.recipes.autoregressive import resonance

DIGITS = {"bits_per_dim", "fid", "class_min", "class_max"}
SHORT = {
    "pixelcnn_digits": ({"width": 4}, DIGITS),
    "logistic_pixelcnn_digits": ({"width": 4, "components": 2}, DIGITS),
    "conditional_pixelcnn_digits": ({"width": 4}, {"bits_per_dim", "asked_for"}),
    "pixelrnn_digits": ({"width": 4, "layers": 1, "rows": True}, DIGITS),
    "image_transformer_digits": ({"width": 8, "layers": 1}, DIGITS),
    "wavenet_resonance": ({"width": 4, "moments": 8}, {"bits_per_dim", "excess_bits", "true_bits"}),
}


@pytest.mark.parametrize("name", SHORT)
def test_two_steps_of_each_run_give_its_numbers(name, workplace, embedded_only):
    sizes, expected = SHORT[name]
    with options(folder=Path("run"), quiet=True):
        run = getattr(autoregressive, name)(**sizes, steps=2)
    assert expected <= set(run.results)
    assert all(math.isfinite(value) for value in run.results.values())
    assert run.method.sample(2, *[torch.tensor([3, 7])] * run.method.conditional).shape == (2, *run.method.shape)


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
