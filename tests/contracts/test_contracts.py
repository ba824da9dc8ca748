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


COMPILED = """
import torch
from tests.contracts.presets import PRESETS
from tests.contracts.losses import losses

for name in ("vae", "lenet"):
    torch.manual_seed(0)
    method, batch = PRESETS[name].build(), PRESETS[name].batch()
    eager = losses(method, batch)
    for _, net in method.named_children():
        net.compile()
    for player, loss in losses(method, batch).items():
        torch.testing.assert_close(loss, eager[player], rtol=1e-4, atol=1e-5)
    print(name, "agrees")
"""


def test_compiled_nets_give_the_eager_loss():
    """In a process of its own, since the run-time checks of annotations cannot be compiled."""
    root = Path(__file__).parents[2]
    surroundings = {"cwd": root, "env": os.environ | {"PYTHONPATH": str(root)}, "timeout": 300}
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, **surroundings)
    assert done.stdout.split() == ["vae", "agrees", "lenet", "agrees"], done.stderr
