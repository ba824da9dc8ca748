"""Some steps of every run of autoencoders and VAEs, on digits and own pictures; what they compare with."""

import json

import pytest
import torch
from torch import nn

from deepcanon.data import images, open_data
from deepcanon.recipes import comparisons, inputs, semi_supervised
from deepcanon.recipes.vaes.gaussian import image_vae
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.denoising import gaussian_noise
from tests.own_pictures import JUDGED, hurried, photos, short

SHORT = {
    "vae": ({"hidden": 8, "importance_samples": 2}, {"elbo", "nll"} | JUDGED),
    "iwae": ({"hidden": 8, "samples": 2, "vae_steps": 2}, {"elbo", "bound", "nll", "vae_nll", "nll_gain"}),
    "conv_vae": ({"width": 4}, {"elbo", "bits_per_dim"} | JUDGED),
    "autoencoder": ({"hidden": 8, "latent": 2}, {"mse", "pca_mse", "pca_ratio"}),
    "denoising_autoencoder": ({"hidden": 8}, {"mse", "restored_mse", "wiener_mse", "wiener_ratio"}),
    "sparse_autoencoder": ({"units": 8, "k": 2}, {"mse", "active", "pca_mse", "pca_ratio"}),
    "conditional_vae": ({"hidden": 8}, {"elbo", "conditional_accuracy"} | JUDGED),
    "semi_supervised_vae": ({"hidden": 8}, {"elbo", "accuracy", "supervised_accuracy", "accuracy_gain"}),
    "gumbel_vae": ({"hidden": 8, "codes": 2, "values": 3}, {"elbo"} | JUDGED),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch, workplace, embedded_only):
    hurried(monkeypatch, workplace / "cache")


@pytest.mark.parametrize("name", SHORT)
def test_some_steps_on_digits_give_the_numbers(name):
    sizes, expected = SHORT[name]
    run = short(name, **sizes, steps=3)
    assert set(run.results) >= expected
    assert [path.name for path in run.folder.rglob("*.png")]


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("name", SHORT)
def test_some_steps_on_the_users_own_pictures_give_the_same_numbers(name, colour, workplace):
    sizes, expected = SHORT[name]
    run = short(name, data=photos(workplace / "photos", colour=colour), **sizes, steps=3)
    assert set(run.results) >= expected
    source = json.loads((run.folder / "call.json").read_text())["sources"][0]
    assert source["shape"] == [3 if colour else 1] + ([32, 32] if name == "conv_vae" else [12, 12])


def test_a_likelihood_has_the_levels_of_its_pictures(workplace):
    for data, latent, levels in (("digits", 12, 17), (photos(workplace / "photos"), 64, 256)):
        method = short("conv_vae", data=data, width=4, steps=1).method
        assert method.decode(torch.zeros(1, latent)).base_dist.levels == levels


def test_a_vae_starts_at_the_mean_pixel_and_black_pictures_have_one_too(workplace):
    source = open_data("digits", "images")
    assert abs(image_vae(source, 8, latent=2).decode(torch.zeros(1, 2)).mean.mean() - source.mean) < 0.05
    source.metadata["mean"] = 0.0
    assert image_vae(source, 8, latent=2).decode(torch.zeros(1, 2)).mean.isfinite().all()


class Projection(nn.Module):
    """Onto the first principal components of given rows, as an encoder and a decoder in one."""

    def __init__(self, x: torch.Tensor, components: int):
        super().__init__()
        v = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2]
        self.mean, self.v = nn.Parameter(x.mean(0)), nn.Parameter(v[:components])

    def forward(self, x):
        rows = x.flatten(1)
        return (self.mean + (rows - self.mean) @ self.v.T @ self.v).view_as(x)


def test_principal_components_have_the_ratio_one_to_themselves():
    source = open_data("digits", "images")
    x = source.train(batch=2_000, shuffle=False).at(0)[0].flatten(1)
    method = Autoencoder(Projection(x, 5), nn.Identity())
    assert comparisons.beside_pca(source, 5)(method)["pca_ratio"] == pytest.approx(1, abs=1e-4)
    assert comparisons.beside_pca(source, 2)(method)["pca_ratio"] < 0.9
    assert comparisons.beside_pca(source, 10_000)(method)["pca_mse"] < 1e-8      # no more than there are


class Wiener(nn.Module):
    """m + S (S + s^2 I)^-1 (y - m), by the covariance of given rows."""

    def __init__(self, x: torch.Tensor, sigma: float):
        super().__init__()
        covariance = x.T.cov()
        noisy = covariance + sigma**2 * torch.eye(x.shape[1])
        self.mean, self.gain = nn.Parameter(x.mean(0)), nn.Parameter(torch.linalg.solve(noisy, covariance))

    def forward(self, y):
        return ((y.flatten(1) - self.mean) @ self.gain + self.mean).view_as(y)


def test_the_wiener_filter_has_the_ratio_one_to_itself():
    source = open_data("digits", "images")
    x = source.train(batch=2_000, shuffle=False).at(0)[0].flatten(1)
    method = Autoencoder(Wiener(x, 0.4), nn.Identity(), corrupt=gaussian_noise(0.4))
    measured = comparisons.beside_wiener(source, 0.4)(method)
    assert measured["wiener_ratio"] == pytest.approx(1, abs=0.03)                # two draws of the noise
    assert measured["wiener_mse"] == pytest.approx(0.031, abs=0.002)


def test_activity_counts_the_units_that_are_on():
    source = open_data("digits", "images")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1), nn.Threshold(0.2, 0.0))
    with torch.no_grad():
        encoder[1].weight.zero_()
        encoder[1].bias.copy_(torch.tensor([9.0, 9.0, 9.0] + [-9.0] * 7))
    decoder = nn.Sequential(nn.Linear(10, 64), nn.Unflatten(1, (1, 8, 8)))
    measured = comparisons.activity(source)(Autoencoder(encoder, decoder))
    assert measured["active"] == pytest.approx(0.3)
    assert measured["pca_mse"] == comparisons.beside_pca(source, 3)(Autoencoder(encoder, decoder))["pca_mse"]


def test_few_labelled_are_the_first_of_each_class_and_are_not_read_before_they_are_needed():
    every = images("digits", batch=1_000)
    few = semi_supervised.few_labelled(every, 4)
    assert every._content is None
    assert few._content is None
    y = every.content.y
    assert few.count == 40
    assert torch.equal(few.content.y.bincount(), torch.full((10,), 4))
    assert torch.equal(few.content.x[:4], every.content.x[(y == 0).nonzero().flatten()[:4]])
    assert few.classes == every.classes


def test_the_labels_of_the_rest_are_withheld():
    every = images("digits", batch=20)
    few = semi_supervised.few_labelled(every, 3)
    x, y = semi_supervised.with_unlabelled(few, every).at(5)
    assert torch.equal(x, torch.cat([few.at(5)[0], every.at(5)[0]]))
    assert torch.equal(y, torch.cat([few.at(5)[1], torch.full((20,), -1)]))


@pytest.mark.parametrize("name", ["conditional_vae", "semi_supervised_vae"])
def test_one_class_is_refused_in_a_line(name, workplace):
    with pytest.raises(ValueError, match=r"^\./photos: this method needs two classes or more, got \d"):
        short(name, data=photos(workplace / "photos", classes="a"))


def test_sides_that_cannot_be_halved_are_refused_with_a_size_that_can(workplace):
    source = open_data(photos(workplace / "photos"), "images", size=30)
    with pytest.raises(ValueError, match="multiples of 4, got 30 x 30; pass size=28"):
        inputs.halved(source, 2)
    assert inputs.halved(source, 1) == (3, 30, 30)


def test_own_images_take_the_side_that_a_method_asks_for_and_known_sets_their_own(workplace):
    folder = photos(workplace / "photos")
    assert open_data(folder, "images", size=None, side=32).shape == (3, 32, 32)
    assert open_data(folder, "images", size=16, side=32).shape == (3, 16, 16)
    assert open_data("digits", "images", size=None, side=32).shape == (1, 8, 8)


def test_a_side_is_refused_for_points():
    with pytest.raises(ValueError, match="'moons' is read as points, to which size= does not apply; it is of images"):
        open_data("moons", "images", "points", size=16)
