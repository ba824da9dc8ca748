"""What every method must do, whatever it is."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepcanon.engine import Adam, Trainer, fit, options, players
from tests.contracts.losses import losses
from tests.contracts.presets import PRESETS, Preset


@pytest.fixture(params=PRESETS, name="preset")
def _preset(request) -> Preset:
    torch.manual_seed(0)
    return PRESETS[request.param]


class Fixed:
    """The same batch at every step."""

    def __init__(self, batch):
        self.batch = batch

    def at(self, step: int):
        return self.batch


def test_losses_are_finite_scalars(preset):
    for player, loss in losses(preset.build(), preset.batch()).items():
        assert loss.shape == (), player
        assert loss.isfinite(), player


def test_a_gradient_reaches_every_trainable_parameter_and_no_frozen_one(preset):
    method, batch = preset.build(), preset.batch()
    reached = set()
    for _, loss in players(method, batch):
        method.zero_grad()
        (loss["loss"] if isinstance(loss, dict) else loss).backward()
        reached |= {name for name, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {name for name, p in method.named_parameters() if p.requires_grad}
    assert {name for name, p in method.named_parameters() if not p.requires_grad} == {
        name for name, _ in method.named_parameters() if name.startswith(preset.frozen or "-")}


def test_the_loss_falls_on_a_fixed_batch(preset):
    method, batch = preset.build(), preset.batch()
    others = {name: Adam(0.0) for name in losses(method, batch) if name != preset.learns}
    trainer = Trainer(method, Fixed(batch), {preset.learns: Adam(3e-3)} | others, total=60)
    trainer.run()
    values = [float(v) for v in (row[preset.learns or "loss"] for row in trainer.log.history)]
    assert values[-1] < float(losses(preset.build(), batch)[preset.learns]), values


def test_same_seed_same_loss_and_state_dict_round_trips(preset):
    method, batch = preset.build(), preset.batch()
    twin = preset.build()
    twin.load_state_dict(copy.deepcopy(method.state_dict()))
    method.eval(), twin.eval()
    first = losses(method, batch, seed=1)
    for player, loss in losses(twin, batch, seed=1).items():
        assert torch.equal(loss, first[player])


def test_ten_steps_are_five_and_five_more(preset, tmp_path):
    def run(folder, steps, resume=False):
        torch.manual_seed(0)
        method, batch = preset.build(), preset.batch()
        with options(folder=tmp_path / folder, resume=resume, anyway=resume, quiet=True):   # of another number of steps
            return fit(method, Fixed(batch), Adam(1e-3), steps=steps).method.state_dict()

    whole = run("whole", 10)
    run("halves", 5)
    (tmp_path / "halves" / "result.json").unlink()                 # as if it had been stopped
    for name, value in run("halves", 10, resume=True).items():
        assert torch.equal(value, whole[name]), name


def test_metrics_are_one_number_an_example(preset):
    method, batch = preset.build().eval(), preset.batch()
    if hasattr(method, "metrics"):
        with torch.no_grad():
            for name, value in method.metrics(batch).items():
                assert value.shape == (len(batch[0]),), name
                assert value.isfinite().all(), name


@pytest.mark.parametrize("training", [True, False])
def test_verbs_need_no_gradient_and_leave_the_mode_as_it_was(preset, training):
    method = preset.build().train(training)
    before = copy.deepcopy(method.state_dict())
    for verb, arguments in (preset.verbs or {}).items():
        out = getattr(method, verb)(*arguments)
        assert not out.requires_grad, verb
        assert out.isfinite().all(), verb
        assert all(m.training is training for m in method.modules()), verb
    if not training:
        assert all(torch.equal(v, method.state_dict()[k]) for k, v in before.items())


COVERED = {"ddpm", "realnvp_images", "nice", "iaf", "pixelrnn", "pixelrnn_rows", "pixelcnn_plain",
           "pixelcnn_of_a_class", "pixelcnn_logit_normal", "image_transformer", "wavenet", "vq_vae",
           "conditional_vae_prior"}                                      # by others of the same method
REFUSING = {"score", "unrolled_gan", "progressive_gan", "maml"}          # which differentiate a gradient


def test_compiled_methods_have_the_eager_losses_and_gradients():
    root = Path(__file__).parents[2]
    expected = {f"{name}:aot_eager": "refuses" if name in REFUSING else "agrees"
                for name in PRESETS.keys() - COVERED}
    expected |= {f"{name}:inductor": "agrees" for name in ("vae", "iwae", "lenet")}
    script = [sys.executable, str(Path(__file__).with_name("compiled_script.py")), *sorted(expected)]
    surroundings = {"cwd": root, "env": os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}, "timeout": 600}
    done = subprocess.run(script, capture_output=True, text=True, **surroundings)
    assert dict(line.split(" ", 1) for line in done.stdout.splitlines()) == expected, done.stderr
