"""What the runs of adversarial networks measure, and some steps of each kind, on embedded data."""

from types import SimpleNamespace

import pytest
import torch

from deepcanon.data.toys import density
from deepcanon.recipes import gan_classes, gan_toys, gans, translation
from deepcanon.recipes.joint import Joint

STEPS = {
    "minimax": lambda: gan_toys.gan_minimax_ring(steps=2), "clipped": lambda: gan_toys.gan_wgan_grid(steps=2),
    "penalised": lambda: gan_toys.gan_wgangp_ring(steps=2), "normalised": lambda: gan_toys.gan_sn_ring(steps=2),
    "r3": lambda: gan_toys.gan_r3_grid(steps=2), "unrolled": lambda: gan_toys.gan_unrolled_ring(steps=2, unroll=2),
    "minibatch": lambda: gan_toys.gan_minibatch_ring(steps=2), "joined": lambda: gan_toys.conditional_gan_ring(steps=2),
    "projected": lambda: gan_toys.projection_gan_ring(steps=2), "acgan": lambda: gan_toys.acgan_ring(steps=2),
    "infogan": lambda: gan_toys.infogan_ring(steps=2), "bigan": lambda: gan_toys.bigan_toy(steps=2),
    "smoothed": lambda: gans.gan_smoothed_digits(steps=2, hidden=16), "sn_images": lambda: gans.gan_sn_digits(steps=2, hidden=16),
    "dcgan": lambda: gans.dcgan_digits(steps=2, width=4), "progressive": lambda: gans.progressive_digits(steps=4, stage_steps=2, width=4),
    "biggan": lambda: gan_classes.biggan_digits(steps=2, width=8), "told": lambda: gan_classes.conditional_gan_digits(steps=2, hidden=16),
    "semi_supervised": lambda: gan_classes.semi_supervised_gan_digits(steps=5, hidden=16),
    "pix2pix": lambda: translation.pix2pix_digits(steps=2, width=4), "cyclegan": lambda: translation.cyclegan_digits(steps=2, width=4),
}


@pytest.mark.parametrize("run", STEPS.values(), ids=STEPS)
def test_a_few_steps(run, workplace):
    results = run().results
    assert results
    assert all(torch.isfinite(torch.tensor(value)) for value in results.values())


def test_points_drawn_from_the_toy_are_at_all_of_its_modes():
    sample = SimpleNamespace(sample=lambda n: density("grid").sample(n)[0])
    measured = gan_toys.found("grid")(sample)
    assert measured["modes"] == 25
    assert measured["high_quality"] == pytest.approx(0.989, abs=0.01)


class Coded(torch.nn.Module):
    """Points at the Gaussian of their code, or anywhere."""

    num_codes = 10

    def __init__(self, sure: bool):
        super().__init__()
        self.sure, self.scale = sure, torch.nn.Parameter(torch.ones(1))

    def sample(self, n, c=None):
        k = c.flip(0) if self.sure and c is not None else torch.randint(10, (n,))
        return density("ten_gaussians").centres[k] + 0.05 * torch.randn(n, 2)


@pytest.mark.row("GEN-74")
def test_the_mutual_information_is_one_for_a_code_that_names_the_mode_and_zero_for_none():
    assert gan_toys.code_information(Coded(True))["nmi"] == pytest.approx(1, abs=1e-9)
    assert gan_toys.code_information(Coded(False))["nmi"] < 0.02


def test_the_picture_shows_where_the_points_are():
    method = SimpleNamespace(sample=lambda n: torch.tensor([[3.9, 3.9]]).expand(n, 2))
    image = gan_toys.picture(method)
    assert image.shape == (1, 1, 128, 128)
    assert image[0, 0, 1, 126] == 1                                                  # up and to the right
    assert image.sum() == 1


@pytest.mark.row("GEN-83")
def test_the_true_map_keeps_every_class_and_the_untrained_one_does_not():
    judge, test = translation.JUDGES["digits"](), translation.images("digits", split="test", batch=1_000)

    class Known(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def translate(self, x):
            return translation.turned_negative(x, 20.0)

        def translate_back(self, y):
            return translation.turned(1 - y, -20.0)

    measured = translation.classes_kept(judge, test, 20.0)(Known())
    assert measured["l1"] == 0
    assert min(measured["class_there"], measured["class_back"]) > 0.9


def test_joint_batches_and_labels_withheld():
    every = translation.images("digits", batch=20)
    few = every.take(gan_classes.some_of_each(every.content.y, 2))
    assert few.count == 20
    joint = Joint(gan_classes.partly_labelled, few, every)
    x, y = joint.at(3)
    assert x.shape == (40, 1, 8, 8)
    assert torch.equal(y[:20].sort().values, torch.arange(10).repeat_interleave(2))
    assert (y[20:] == -1).all()
    assert len(joint) == len(list(joint)) == 1
    assert torch.equal(joint.shard(0, 2).to("cpu").at(3)[0], torch.cat([few.shard(0, 2).at(3)[0], every.shard(0, 2).at(3)[0]]))
