"""The stages of a VQ-VAE's run, what its evaluation divides, and the label and levels of the runs."""

from pathlib import Path

import pytest
import torch

from deepcanon import load, recipes
from deepcanon.engine import Run, options
from deepcanon.engine.checkpoint import read_weights
from deepcanon.engine.loop import Trainer
from deepcanon.recipes.comparisons import beside_rate_and_error, beside_vae
from deepcanon.recipes.stages import joined
from deepcanon.report import write_report
from deepcanon.runs import resume
from tests.own_pictures import JUDGED, hurried, photos, short
from tests.timing import untimed

SHORT = {"width": 16, "codes": 4, "latent": 1, "steps": 2, "prior_steps": 2}


def test_runs_joined_are_the_last_in_the_folder_of_the_first_with_the_time_of_all():
    first = Run(torch.nn.Linear(1, 1), {"a": 1.0}, [], 2.0, 3, Path("x"))
    last = Run(torch.nn.Linear(2, 2), {"b": 2.0}, [], 0.5, 4, Path("x/stage2"))
    run = joined(first, last)
    assert (run.method, run.results, run.folder) == (last.method, {"b": 2.0}, Path("x"))
    assert (run.seconds, run.steps) == (2.5, 7)


def test_the_stages_of_a_vq_vae_are_kept_and_the_prior_leaves_the_codes_alone(workplace, embedded_only):
    with options(folder=Path("run"), quiet=True):
        run = recipes.vq_vae(**SHORT)
    assert JUDGED | {"mse", "bits", "prior_bits"} <= set(run.results)
    assert run.results["bits"] == 16 * 2
    for ratio, (mine, theirs) in {"mse_ratio": ("mse", "vae_mse"), "bits_ratio": ("prior_bits", "vae_bits"),
                                  "vae_frechet_ratio": ("frechet_distance", "vae_frechet_distance")}.items():
        assert run.results[ratio] == run.results[mine] / run.results[theirs]
    assert (run.steps, run.folder) == (6, Path("run").absolute())
    first, last = (read_weights(f / "weights.safetensors") for f in (Path("run"), Path("run") / "stage3"))
    assert all(torch.equal(value, last[f"autoencoder.{name}"]) for name, value in first.items())
    again = load("run")
    assert all(torch.equal(value, last[name]) for name, value in again.state_dict().items())
    assert again.sample(3).shape == (3, 1, 8, 8)
    assert write_report([run.folder], Path("report.html")).stat().st_size > 10_000


def test_a_resumed_run_ends_with_the_same_bits(workplace, embedded_only):
    def run(folder, **how):
        with options(folder=Path(folder), quiet=True, **how):
            return recipes.vq_vae(**SHORT)

    whole = run("whole")
    run("halves")
    for file in (Path("halves") / "stage3").rglob("*"):              # as if it had been killed there
        if file.is_file() and file.name != "call.json":
            file.unlink()
    again = run("halves", resume=True)
    weights = again.method.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in whole.method.state_dict().items())
    assert untimed(again.results) == untimed(whole.results)
    for file in (Path("halves") / "stage3").rglob("*"):
        if file.is_file() and file.name != "call.json":
            file.unlink()
    with options(quiet=True):
        third = resume("halves/stage3")                                # the folder of a stage means the run
    assert third.folder == Path("halves").absolute()
    assert untimed(third.results) == untimed(whole.results)


def test_a_stage_that_is_interrupted_names_the_folder_of_the_run(workplace, embedded_only, monkeypatch, capfd):
    plain = Trainer.train_step

    def stopped(trainer, batch):
        plain(trainer, batch)
        if (Path("run") / "stage2" / "call.json").exists():
            trainer.stop = "SIGINT"

    monkeypatch.setattr(Trainer, "train_step", stopped)
    with options(folder=Path("run")), pytest.raises(SystemExit):
        recipes.vq_vae(**SHORT)
    assert "continue with: deepcanon resume run\n" in capfd.readouterr().err


@pytest.mark.parametrize("colour", [True, False])
def test_a_vq_vae_of_the_users_own_pictures(colour, workplace, embedded_only, monkeypatch):
    hurried(monkeypatch, workplace / "cache")
    run = short("vq_vae", data=photos(workplace / "photos", colour=colour), **SHORT)
    assert run.method.sample(2).shape == (2, 3 if colour else 1, 32, 32)
    assert run.results["bits"] == 64 * 2                                         # 32 pixels, halved twice


def test_comparisons_say_nothing_of_a_vae_that_was_not_trained_in_this_process():
    net = torch.nn.Linear(1, 1)
    untrained, trained = Run(net), Run(net, {"nll": 5.0})
    assert beside_vae(untrained, lambda method: {"nll": 3.0})(net) == {"nll": 3.0}
    compared = {"nll": 3.0, "vae_nll": 5.0, "nll_gain": 2.0}
    assert beside_vae(trained, lambda method: {"nll": 3.0})(net) == compared
    assert beside_rate_and_error(untrained, None, lambda method: {"recall": 1.0})(net) == {"recall": 1.0}
