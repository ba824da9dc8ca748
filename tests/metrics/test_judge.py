"""The judges of generated images: those of known sets, which are part of the package, and those that are trained for a user's own."""

import hashlib
import re
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepcanon.data import open_data
from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.recipes import judge as judges
from deepcanon.recipes.evaluation import image_quality
from deepcanon.recipes.judge import DRAWN, WEIGHTS, committed, judge_of


def drawn(x: torch.Tensor, n: int) -> torch.Tensor:
    """n of these images, as a generator would draw them."""
    return x[torch.randint(len(x), (n,))]


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", "images")


@pytest.fixture
def judge(digits):
    return judge_of(digits)


@pytest.fixture
def real(digits) -> tuple[torch.Tensor, torch.Tensor]:
    """All training images, and their classes."""
    return digits.train(batch=2_000, shuffle=False).at(0)


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """An empty cache, and judges that learn for a few steps."""
    monkeypatch.setattr(judges, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(judges, "STEPS", 60)
    return tmp_path / "judges"


def stripes(n: int = 60, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of two classes: stripes that lie, and stripes that stand, with noise."""
    y = np.arange(n) % 2
    lying = np.broadcast_to((np.arange(size) % 4 < 2)[:, None], (size, size))
    x = np.where(y[:, None, None] == 1, lying.T, lying) * 180 + np.random.default_rng(0).integers(0, 60, (n, size, size))
    return x.astype(np.uint8), y


def test_weights_are_the_recorded_ones():
    recorded = dict(re.findall(r"\| (\w+\.safetensors) .*\| ([0-9a-f]{64}) \|", (WEIGHTS / "README.md").read_text()))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.glob("*.safetensors")}
    assert recorded == files
    assert {f"lenet_{name}.safetensors" for name in DRAWN} == files.keys()
    assert all(committed(name).head.out_features == 10 for name in DRAWN)


def test_it_reads_digits(judge, digits):
    x, y = digits.test().at(0)
    assert (judge.predict(x) == y).float().mean() >= 0.95


def test_real_images_are_near_and_noise_is_far(judge, real):
    near, far = judge(partial(drawn, real[0])), judge(partial(drawn, torch.rand(500, 1, 8, 8)))
    assert near["frechet_distance"] < 0.05 * far["frechet_distance"]
    assert 0.07 < near["class_min"] < near["class_max"] < 0.13
    assert min(near["precision"], near["recall"]) > 0.7
    assert far["recall"] < 0.05


def test_the_distance_alone_is_that_of_the_whole_verdict(judge, real):
    def first(n):
        return real[0][:n]

    assert judge.frechet(first) == judge(first)["frechet_distance"]


def test_few_kinds_of_image_have_precision_without_recall(judge, real):
    x, y = real
    zeros = judge(partial(drawn, x[y == 0]))
    assert zeros["precision"] > 0.7
    assert zeros["recall"] < 0.15
    assert zeros["class_max"] > 0.95


def test_the_reference_is_the_test_part_and_of_few_images_everything(judge):
    def part(name, count):
        images = {n: [(torch.rand(n, 1, 8, 8), None)] for n in (count, 4_000)}
        return SimpleNamespace(name=name, test_count=count, test=lambda: images[count], train=lambda **how: images[4_000])

    assert len(judge.reference) == 360
    for name, count, reference in (("digits", 300, 300), ("own", 600, 600), ("own", 300, 4_300)):
        assert len(judges.Judge(committed("digits"), part(name, count), 10).reference) == reference


def test_images_of_another_size_are_brought_to_the_judges(judge, digits):
    x, y = digits.test().at(0)
    large = nn.functional.interpolate(x, (32, 32), mode="bilinear")
    assert (judge.predict(large) == y).float().mean() >= 0.9


def test_conditional_accuracy_is_the_share_that_shows_its_condition(judge, real):
    x, y = real
    of_each = torch.stack([x[y == k][:50] for k in range(10)])                    # (10, 50, 1, 8, 8)
    at = nn.Linear(1, 1)

    def draw(classes):
        wrong = torch.where(classes < 3, 9 - classes, classes)                    # three classes of ten are taken for others
        return of_each[wrong, torch.randint(50, (len(classes),))]

    assert judge.conditional_accuracy(at, draw) == pytest.approx(0.7, abs=0.03)


def test_time_of_sampling_is_a_thousand_images(judge):
    slow = judge(lambda n: time.sleep(0.1) or torch.rand(n, 1, 8, 8))
    assert slow["seconds_per_1000"] == pytest.approx(0.1, abs=0.08)


def test_a_generator_is_compared_with_what_it_was(digits, real):
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.zeros(()))

        def sample(self, n):
            return torch.rand(n, 1, 8, 8) * (1 - self.level) + drawn(real[0], n) * self.level

    method = Generator()
    measure = image_quality(method, digits, lambda m, n: m.sample(n), True)
    with torch.no_grad():
        assert measure(method)["frechet_ratio"] == pytest.approx(1, rel=0.2)      # other draws of the same generator
        method.level.fill_(1)
        assert measure(method)["frechet_ratio"] < 0.05


def test_the_first_evaluation_draws_what_the_second_does(digits):
    method, seen = nn.Linear(1, 1), []
    committed.cache_clear()
    measure = image_quality(method, digits, lambda m, n: torch.rand(n, 1, 8, 8), False)
    for _ in range(2):
        with evaluation_mode(method):
            seen.append(measure(method)["frechet_distance"])
    assert seen[0] == seen[1]


@pytest.mark.row("MET-10")
def test_a_judge_of_own_images_is_trained_once_even_inside_an_evaluation(cached, monkeypatch):
    source = open_data(stripes(), "images")
    with evaluation_mode(nn.Linear(1, 1)):
        first = judge_of(source)
        x, y = source.test().at(0)
        assert (first.predict(x) == y).float().mean() == 1
    assert first.classes
    assert len(list(cached.iterdir())) == 1
    monkeypatch.setattr(judges, "fit", None)                                      # the second comes from the cache
    again = judge_of(source)
    assert all(torch.equal(a, b) for a, b in zip(first.net.state_dict().values(), again.net.state_dict().values()))


def test_training_a_judge_changes_no_random_stream(cached):
    source = open_data(stripes(), "images")
    torch.manual_seed(0)
    judge_of(source)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))


def test_images_of_one_class_are_judged_by_four_rotations(cached):
    x, _ = stripes()
    source = open_data(np.triu(x), "images")                                      # upper right corners: a turn can be seen
    judge = judge_of(source)
    assert not judge.classes
    assert judge.net.head.out_features == 4
    shown = judge(partial(drawn, source.train(batch=48).at(0)[0]))
    assert shown["frechet_distance"] < 0.2 * judge(lambda n: torch.rand(n, 1, 12, 12))["frechet_distance"]
    assert not {"class_min", "class_max"} & shown.keys()
    images = source.test().at(0)[0]
    turns = torch.arange(len(images)) % 4
    turned = torch.stack([image.rot90(int(k), (1, 2)) for image, k in zip(images, turns)])
    assert (judge.predict(turned) == turns).float().mean() > 0.9


def test_files_brought_to_two_sizes_have_two_judges(cached, workplace):
    for i, (x, y) in enumerate(zip(*stripes())):
        Path(f"photos/{y}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(x).save(f"photos/{y}/{i}.png")
    for size in (12, 16):
        judge_of(open_data("./photos", "images", size=size))
    assert len(list(cached.iterdir())) == 2
