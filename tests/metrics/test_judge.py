"""The committed judges of generated images."""

import hashlib
import re
import time

import pytest
import torch

from deepcanon.data import images
from deepcanon.gans.wgan import WGANGP
from deepcanon.nets.dcgan import critic, generator
from deepcanon.nets.lenet import LeNet
from deepcanon.recipes.judge import WEIGHTS, digits_judge, fashion_judge, mnist_judge


class Source:
    """A 'generator' that gives out fixed images."""

    def __init__(self, x):
        self.x = x

    def sample(self, n):
        return self.x[torch.randint(len(self.x), (n,))]


@pytest.fixture(scope="module")
def judge():
    return digits_judge()


def test_weights_are_the_recorded_ones():
    recorded = dict(re.findall(r"\| (\w+\.safetensors) .*\| ([0-9a-f]{64}) \|", (WEIGHTS / "README.md").read_text()))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.glob("*.safetensors")}
    assert recorded == files
    assert all(isinstance(judge().net, LeNet) for judge in (mnist_judge, fashion_judge))


def test_it_reads_digits(judge):
    x, y = next(iter(images("digits", split="test", batch=360)))
    assert (judge.net.head(judge.features(x)).argmax(1) == y).float().mean() >= 0.95


def test_real_images_are_near_and_noise_is_far(judge):
    torch.manual_seed(0)
    x, _ = next(iter(images("digits", batch=1_437)))
    real, noise = judge(Source(x)), judge(Source(torch.rand(500, 1, 8, 8)))
    assert real["fid"] < 0.05 * noise["fid"]
    assert 0.07 < real["class_min"] < real["class_max"] < 0.13
    assert min(real["precision"], real["recall"]) > 0.7
    assert noise["recall"] < 0.05                                                 # its precision is 0.4: 360 points leave wide balls


def test_few_kinds_of_image_have_precision_without_recall(judge):
    x, y = next(iter(images("digits", batch=1_437)))
    torch.manual_seed(0)
    zeros = judge(Source(x[y == 0]))
    assert zeros["precision"] > 0.7
    assert zeros["recall"] < 0.1
    assert zeros["class_max"] > 0.95


def test_time_of_sampling_is_a_thousand_images(judge):
    assert judge.judge(lambda n: time.sleep(0.1) or torch.rand(n, 1, 8, 8))["seconds_per_1000"] == pytest.approx(0.1, abs=0.08)


def test_a_generator_is_compared_with_what_it_was(judge):
    torch.manual_seed(0)
    method = WGANGP(generator(4, image_size=8, width=2), critic(image_size=8, width=2), latent_dim=4)
    measure = judge.against_untrained(method)
    assert measure(method)["fid_ratio"] == pytest.approx(1, rel=0.2)             # other draws of the same generator
    x, _ = next(iter(images("digits", batch=1_437)))
    assert measure(Source(x))["fid_ratio"] < 0.05
