"""A few steps of the diffusion recipes, on embedded data."""

from deepcanon.engine import options
from deepcanon.recipes.diffusion import ddpm_cifar10_full


def test_the_full_form_runs_at_a_reduced_size(tmp_path):
    with options(folder=tmp_path / "run", quiet=True):
        run = ddpm_cifar10_full(data="digits", width=8, batch=4, steps=2, levels=5, fast=False)
    assert 0 < run.results["simple_loss"] < 2
    assert run.results["bits_per_dim"] > 0
    assert (tmp_path / "run" / "weights.safetensors").exists()
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    assert run.method.sample(2).shape == (2, 1, 32, 32)
