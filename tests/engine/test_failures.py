"""What can go wrong in a run: one clear line each, and nothing lost."""

import contextlib
import errno
import hashlib
import importlib.util
import io
import os
import pickle
import resource
import signal
import sys
import threading

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from deepcanon.engine import Adam, Samples, fit, options
from deepcanon.engine.checkpoint import MAGIC, load_weights, read_json, read_state, read_weights, write_state, write_weights
from deepcanon.engine.record import read_call
from tests.engine.shapes import VAE, Steps, build, points


class At:
    """Does something after one step."""

    def __init__(self, at: int, act):
        self.at, self.act = at, act

    def step(self, trainer):
        if trainer.step == self.at:
            self.act(trainer)


def train(folder, steps=20, name="vae", callbacks=(), **how):
    method, data = build(name)
    with options(folder=folder, quiet=True, **how):
        return fit(method, data, Adam(1e-3), steps=steps, log_every=5, callbacks=callbacks)


def weights_of(folder):
    return read_weights(folder / "weights.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# losses that are not finite


def poison(part):
    def act(trainer):
        next(trainer.method.get_submodule(part).parameters()).data.fill_(torch.nan)

    return act


@pytest.mark.parametrize(("name", "part", "player"), [("vae", "encoder", "the loss"), ("wgan_gp", "critic", "the loss of 'critic'")])
def test_a_loss_that_is_not_finite_is_named_with_step_player_and_last_values(name, part, player, workplace):
    with pytest.raises(FloatingPointError) as error:
        train(workplace / "run", name=name, callbacks=[At(12, poison(part))])
    said = str(error.value)
    assert said.startswith(f"{player} became nan at step 13 (last finite values: ")
    assert said.count(".") >= 2
    assert said.endswith("try a lower learning rate, clip_norm=1, or a warm-up; the last checkpoint is untouched")


def test_the_last_good_checkpoint_stays(workplace):
    with pytest.raises(FloatingPointError, match=r"encoder.0.weight is not finite after step 12; .* the checkpoint before is untouched"):
        train(workplace / "run", callbacks=[At(12, poison("encoder"))], save_seconds=0)
    train(workplace / "whole", callbacks=[At(12, lambda trainer: None)])
    assert int(max(f.stem for f in (workplace / "run" / "state").glob("*.all"))) == 11
    train(workplace / "run", callbacks=[At(12, lambda trainer: None)], resume=True)
    assert same(weights_of(workplace / "run"), weights_of(workplace / "whole"))


class Root(nn.Module):
    """sqrt |w| x: at w = 0 the loss is finite and its gradient is not."""

    def __init__(self, width=4):
        super().__init__()
        self.norm, self.weight = nn.BatchNorm1d(width), nn.Parameter(torch.ones(width))

    def loss(self, x):
        return (self.norm(x) * self.weight.abs().sqrt()).square().sum()


def test_a_gradient_that_is_not_finite_is_never_used():
    def zero(trainer):
        trainer.method.weight.data[1] = 0
        good.update({k: v.clone() for k, v in trainer.method.state_dict().items()})

    method, good = Root(), {}
    with pytest.raises(FloatingPointError, match=r"the gradient of weight is not finite at step 4, though the loss is"), options(quiet=True):
        fit(method, [torch.randn(8, 4)], Adam(1e-3), steps=9, callbacks=[At(3, zero)])
    assert all(torch.equal(v, good[k]) for k, v in method.state_dict().items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_batch_that_is_not_finite_is_named_and_leaves_nothing_behind(value):
    rows = torch.randn(3, 8, 4)
    rows[2, 5, 1] = value
    method, good = Root(), {}
    note = At(2, lambda trainer: good.update({k: v.clone() for k, v in trainer.method.state_dict().items()}))
    with pytest.raises(FloatingPointError, match=rf"the batch of step 3 is not finite: {value} at \[5, 1\]; the weights are those before the step"), \
            options(quiet=True):
        fit(method, list(rows), Adam(1e-3), steps=9, callbacks=[note])
    assert all(torch.equal(v, good[k]) for k, v in method.state_dict().items())


def test_a_state_of_the_optimizer_that_is_not_finite_is_not_saved(workplace):
    def overflow(trainer):
        optimizer, (weight, *_) = trainer.optimizer("")
        optimizer.state[weight]["exp_avg_sq"].fill_(torch.inf)

    with pytest.raises(FloatingPointError, match=r"the state of the optimizer \(exp_avg_sq\) is not finite after step 9"):
        train(workplace / "run", callbacks=[At(9, overflow)], save_seconds=0)
    assert max(f.stem for f in (workplace / "run" / "state").glob("*.all")) == "000000008"


# signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_saves_and_ends_the_run(number, workplace):
    with pytest.raises(SystemExit) as stopped:
        train(workplace / "run", callbacks=[At(7, lambda trainer: os.kill(os.getpid(), number))])
    assert stopped.value.code == 128 + number
    assert sorted(f.name for f in (workplace / "run" / "state").iterdir()) == ["000000007.all", "000000007.rank0"]


def test_a_signal_that_the_process_ignores_stays_ignored(workplace):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert train(workplace / "run", callbacks=[At(7, lambda trainer: os.kill(os.getpid(), signal.SIGHUP))]).steps == 20
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_saves_and_exits_and_resume_ends_with_the_same_bits(workplace, capfd):
    train(workplace / "whole", callbacks=[At(0, None)])
    method, data = build("vae")
    with options(folder=workplace / "run"), pytest.raises(SystemExit) as stopped:
        fit(method, data, Adam(1e-3), steps=20, log_every=5, callbacks=[At(7, lambda trainer: os.kill(os.getpid(), signal.SIGINT))])
    assert stopped.value.code == 130
    assert capfd.readouterr().err == "stopped by SIGINT at step 7; continue with: deepcanon resume run\n"
    train(workplace / "run", callbacks=[At(0, None)], resume=True)
    assert same(weights_of(workplace / "run"), weights_of(workplace / "whole"))


def test_a_second_ctrl_c_ends_at_once(workplace):
    def twice(trainer):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(workplace / "run", callbacks=[At(7, twice)])
    assert signal.getsignal(signal.SIGINT) is before


def test_runs_in_a_thread_leave_signals_alone(workplace):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(train(None, steps=3)))
    thread.start()
    thread.join()
    assert runs[0].steps == 3


# a full disk


@contextlib.contextmanager
def disk_with(free: int):
    """No file can be longer than `free` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(workplace):
    train(workplace / "whole", callbacks=[At(0, None)])
    with pytest.raises(SystemExit):
        train(workplace / "run", callbacks=[At(9, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))])
    with disk_with(4_000), pytest.raises(OSError, match=r"could not write .*rank0 \(File too large\); what was saved before is untouched"):
        train(workplace / "run", callbacks=[At(0, None)], resume=True)
    assert not [f for f in workplace.rglob("*.part")]
    train(workplace / "run", callbacks=[At(0, None)], resume=True)
    assert same(weights_of(workplace / "run"), weights_of(workplace / "whole"))


@pytest.mark.parametrize("make", [lambda m: torch.rand(64, 3, 32, 32), lambda m: "x" * 10_000], ids=["pictures", "text"])
def test_samples_that_do_not_fit_on_the_disk_are_said(make, workplace):
    with disk_with(4_000), pytest.raises(OSError, match=r"could not write .*samples/0000001.* \(File too large\)"):
        train(workplace / "run", callbacks=[Samples(make, every=1)])


def test_a_row_of_metrics_that_does_not_fit_is_said(workplace, monkeypatch):
    def fill(trainer):
        trainer.log.columns = []                                       # the next row writes the file anew
        monkeypatch.setattr("os.fsync", full)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"could not write .*metrics.csv \(No space left on device\)"):
        train(workplace / "run", callbacks=[At(6, fill)])


# files that are not what they should be


class Payload:
    """A pickle that would make a folder when it is read."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("dress", [
    lambda payload: payload,
    lambda payload: MAGIC + hashlib.sha256(payload).digest() + payload,
], ids=["plain", "with our seal"])
@pytest.mark.parametrize("save", [pickle.dumps, lambda value: _saved(value)], ids=["pickle", "torch.save"])
def test_a_state_that_would_run_code_is_refused_and_does_not_run(dress, save, workplace):
    made = workplace / "made by the pickle"
    file = workplace / "state"
    file.write_bytes(dress(save({"step": 3, "method": Payload(made)})))
    with pytest.raises(ValueError, match="not opened"):
        read_state(file)
    assert not made.exists()


def _saved(value) -> bytes:
    torch.save(value, buffer := io.BytesIO())
    return buffer.getvalue()


def test_weights_that_would_run_code_are_refused_and_do_not_run(workplace):
    made = workplace / "made by the pickle"
    (workplace / "weights.safetensors").write_bytes(_saved({"net": Payload(made)}))
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged: expected safetensors"):
        read_weights(workplace / "weights.safetensors")
    assert not made.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_files_are_refused(share, workplace):
    state, weights = workplace / "state", workplace / "weights"
    write_state(state, {"x": torch.randn(1_000)})
    write_weights(weights, {"x": torch.randn(1_000)})
    for file in (state, weights):
        data = file.read_bytes()
        file.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"state is (damaged: it was truncated or edited after it was saved|not a state saved by deepcanon)"):
        read_state(state)
    with pytest.raises(ValueError, match="weights is damaged"):
        read_weights(weights)


def test_edited_files_are_refused(workplace):
    state, weights = workplace / "state", workplace / "weights"
    write_state(state, {"x": torch.randn(100)})
    write_weights(weights, {"x": torch.randn(100)})
    for file in (state, weights):
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data)
    with pytest.raises(ValueError, match="damaged: it was truncated or edited"):
        read_state(state)
    with pytest.raises(ValueError, match="damaged: its tensors are not the ones that were saved"):
        read_weights(weights)


def test_weights_of_others_are_read_and_what_does_not_fit_is_named(workplace):
    file = workplace / "foreign.safetensors"
    save_file({"weight": torch.eye(3), "bias": torch.ones(3)}, file)
    net = nn.Linear(3, 3)
    load_weights(net, file)
    assert torch.equal(net(torch.eye(3)), torch.eye(3) + 1)
    with pytest.raises(ValueError, match=r"does not fit Linear: bias is \(3,\), expected \(2,\)"):
        load_weights(nn.Linear(3, 2), file)
    with pytest.raises(ValueError, match=r"does not fit Linear: missing nothing, unknown \['bias'\]"):
        load_weights(nn.Linear(3, 3, bias=False), file)


@pytest.mark.parametrize("part", ["all", "rank0"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], lambda data: b""],
                         ids=["truncated", "a flipped bit", "empty"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_leads_to_the_same_bits(part, damage, workplace):
    train(workplace / "whole", callbacks=[At(0, None)])
    with pytest.raises(SystemExit):
        train(workplace / "run", callbacks=[At(9, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))], save_seconds=0)
    file = workplace / "run" / "state" / f"000000009.{part}"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match=rf"000000009.{part} is .*; going back to the checkpoint before it"):
        train(workplace / "run", callbacks=[At(0, None)], resume=True)
    assert same(weights_of(workplace / "run"), weights_of(workplace / "whole"))


def test_where_no_checkpoint_can_be_read_nothing_is_begun_again(workplace):
    with pytest.raises(SystemExit):
        train(workplace / "run", callbacks=[At(9, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))])
    (workplace / "run" / "state" / "000000009.rank0").unlink()
    with pytest.warns(UserWarning, match="going back"), pytest.raises(ValueError, match=r"no checkpoint in .*state can be read: remove that folder"):
        train(workplace / "run", callbacks=[At(0, None)], resume=True)


def test_the_state_of_another_step_is_not_taken(workplace):
    with pytest.raises(SystemExit):
        train(workplace / "run", callbacks=[At(9, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))], save_seconds=0)
    state = workplace / "run" / "state"
    (state / "000000009.all").write_bytes((state / "000000008.all").read_bytes())
    with pytest.warns(UserWarning, match="holds the state of step 8, not of the step in its name"):
        train(workplace / "run", callbacks=[At(0, None)], resume=True)


# other code, other data, no run


def test_resume_with_other_data_is_refused_unless_wanted(workplace):
    def session(n, **how):
        method, data = VAE(), Steps(points, n=n)
        with options(folder=workplace / "run", quiet=True, **how):
            return fit(method, data, Adam(1e-3), steps=9)

    session(32)
    with pytest.raises(ValueError, match=r"run cannot be continued .*: since it was started, the data have changed; resume with --anyway"):
        session(16, resume=True)
    assert session(16, resume=True, anyway=True).steps == 9
    assert session(32, resume=True).steps == 9


METHOD = "from tests.engine.shapes import VAE\nclass Mine(VAE):\n    weight = {weight}\n"


def test_resume_with_other_code_is_refused_unless_wanted(workplace, monkeypatch):
    def session(weight, **how):
        (workplace / "mine.py").write_text(METHOD.format(weight=weight))
        spec = importlib.util.spec_from_file_location("mine", workplace / "mine.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "mine", module)
        spec.loader.exec_module(module)
        with options(folder=workplace / "run", quiet=True, **how):
            return fit(module.Mine(), Steps(points), Adam(1e-3), steps=9)

    session(1)
    with pytest.raises(ValueError, match=r"since it was started, the code of mine has changed; resume with --anyway"):
        session(2, resume=True)
    assert session(2, resume=True, anyway=True).steps == 9
    assert session(1, resume=True).steps == 9


def test_a_folder_that_holds_a_run_is_not_overwritten(workplace):
    train(workplace / "run", steps=2)
    with pytest.raises(ValueError, match=r"run holds a run already: .* continue it with: deepcanon resume"):
        train(workplace / "run", steps=2)


def test_a_run_is_not_written_among_other_files(workplace):
    hidden, mine, notes = workplace / "hidden", workplace / "mine", workplace / "notes.txt"
    for folder, name in [(hidden, ".DS_Store"), (mine, "cat.jpg")]:
        folder.mkdir()
        (folder / name).write_text("not of a run")
    notes.write_text("mine")
    assert (train(hidden, steps=1).folder / "result.json").exists()
    for folder, message in [(mine, r".*mine is not empty and holds no run \(it has cat.jpg\): name another folder"),
                            (notes, ".*notes.txt is a file, a run needs a folder: name another one"),
                            (notes / "new", ".*notes.txt is a file, a run needs a folder: name another one")]:
        with pytest.raises(ValueError, match=f"^{message}$"):
            train(folder, steps=1)
        with pytest.raises(ValueError, match=f"^{message}$"):
            train(None, steps=1).save(folder)
    assert [path.name for path in mine.iterdir()] == ["cat.jpg"]


def test_a_folder_that_is_no_run_is_refused(workplace):
    with pytest.raises(ValueError, match="there is no run folder"):
        read_call(workplace / "nowhere")
    with pytest.raises(ValueError, match=r"is not a run folder: it has no call\.json"):
        read_call(workplace)
    for text, complaint in [("{", "is damaged: expected JSON"), ("[]", "not the record of a run"), ('{"recipe": "x"}', "not the record of a run")]:
        (workplace / "call.json").write_text(text)
        with pytest.raises(ValueError, match=complaint):
            read_call(workplace)


def test_the_result_says_why_a_run_ended(workplace):
    train(workplace / "run", steps=3)
    assert read_json(workplace / "run" / "result.json")["stopped"] is None
