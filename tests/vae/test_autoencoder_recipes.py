"""Two steps of every run of autoencoders and VAEs on digits."""

import math
from pathlib import Path

import pytest

from deepcanon.engine import options
from deepcanon.recipes import autoencoders

SHORT = {
    "autoencoder_digits": ({"hidden": 8, "latent": 2}, {"mse", "pca_mse", "pca_ratio"}),
    "denoising_digits": ({"hidden": 8}, {"mse", "restored_mse", "damaged_mse", "wiener_mse", "wiener_ratio"}),
    "sparse_digits": ({"units": 8, "k": 2}, {"mse", "active", "pca_mse", "pca_ratio"}),
    "conditional_vae_digits": ({"hidden": 8}, {"elbo", "class_accuracy"}),
    "conv_vae_digits": ({"width": 4}, {"elbo", "bits_per_dim"}),
    "gumbel_vae_digits": ({"hidden": 8, "codes": 2, "values": 3}, {"elbo", "fid", "class_min", "class_max"}),
    "semi_supervised_vae_digits": ({"hidden": 8}, {"elbo", "accuracy", "supervised", "gain"}),
    "iwae_digits": ({"hidden": 8, "samples": 2}, {"elbo", "bound", "nll", "vae_nll", "gain"}),
}


@pytest.mark.parametrize("name", SHORT)
def test_two_steps_of_each_run_give_its_numbers(name, workplace, embedded_only):
    sizes, expected = SHORT[name]
    with options(folder=Path("run"), quiet=True):
        run = getattr(autoencoders, name)(**sizes, steps=3 if name.startswith("semi") else 2)
    assert set(run.results) >= expected
    assert all(math.isfinite(value) for value in run.results.values())
    assert [path.name for path in run.folder.rglob("*.png")]
