"""The stages of the VQ-VAE's run."""

from pathlib import Path

import torch

from deepcanon import load
from deepcanon.engine import options
from deepcanon.engine.checkpoint import read_weights
from deepcanon.recipes.vae import vq_vae_digits
from deepcanon.report import write_report
from tests.timing import untimed


def test_the_stages_of_a_vq_vae_and_its_prior_are_kept_and_the_prior_leaves_the_codes_alone(workplace, embedded_only):
    with options(folder=Path("run"), quiet=True):
        run = vq_vae_digits(width=16, codes=4, latent=1, steps=2, prior_steps=2)
    assert {"mse", "bits", "prior_bits", "vae_mse", "vae_bits", "mse_ratio", "bits_ratio", "class_min", "class_max", "fid"} <= set(run.results)
    assert run.results["bits"] == 16 * 2
    assert run.results["mse_ratio"] == run.results["mse"] / run.results["vae_mse"]
    assert run.results["bits_ratio"] == run.results["prior_bits"] / run.results["vae_bits"]
    assert (run.steps, run.folder) == (6, Path("run"))
    first, last = read_weights(Path("run") / "weights.safetensors"), read_weights(Path("run") / "stage3" / "weights.safetensors")
    assert all(torch.equal(value, last[f"autoencoder.{name}"]) for name, value in first.items())
    again = load("run")
    assert all(torch.equal(value, last[name]) for name, value in again.state_dict().items())
    assert again.sample(3).shape == (3, 1, 8, 8)
    assert write_report([run.folder], Path("report.html")).stat().st_size > 10_000


def test_a_resumed_run_ends_with_the_same_bits(workplace, embedded_only):
    def run(folder, **how):
        with options(folder=Path(folder), quiet=True, **how):
            return vq_vae_digits(width=16, codes=4, latent=1, steps=2, prior_steps=3)

    whole = run("whole")
    run("halves")
    for file in (Path("halves") / "stage3").rglob("*"):                          # as if it had been killed in the last stage
        if file.is_file() and file.name != "call.json":
            file.unlink()
    again = run("halves", resume=True)
    assert all(torch.equal(value, again.method.state_dict()[name]) for name, value in whole.method.state_dict().items())
    assert untimed(again.results) == untimed(whole.results)
