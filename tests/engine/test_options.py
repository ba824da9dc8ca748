"""Every option of `fit`, against a closed form or the same thing written out by hand."""

import copy
import csv
import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from matplotlib.image import imread
from torch import Tensor, nn

from deepcanon.engine import (
    SGD,
    Adam,
    AdamW,
    EarlyStopping,
    Evaluate,
    Factory,
    Samples,
    TensorBoard,
    Trainer,
    Until,
    WandB,
    at_least,
    checkpoint,
    constant,
    cosine,
    evaluate,
    fit,
    linear,
    loop,
    maximize,
    minimize,
    options,
    step_decay,
    warmup,
)
from deepcanon.engine.checkpoint import read_json, read_weights
from deepcanon.engine.samples import grid
from tests.engine.shapes import D, Steps, build, net, points


class Regression(nn.Module):
    """x -> W x + b, as close to 2 x as it gets."""

    def __init__(self):
        super().__init__()
        self.net = net(D, 16, D)

    def loss(self, x):
        return F.mse_loss(self.net(x), 2 * x)

    def metrics(self, x):
        return {"error": (self.net(x) - 2 * x).square().mean(-1), "mode": torch.full((len(x),), float(self.training)), "noise": torch.rand(len(x))}


def train(optimizers=None, data=None, **settings):
    torch.manual_seed(0)
    method = Regression()
    with options(quiet=True):
        return fit(method, Steps(points) if data is None else data, optimizers or SGD(0.1), **({"steps": 10} | settings))


def by_hand(step: Callable, steps: int = 10, lr: float = 0.1) -> Regression:
    """The same training as a plain loop; `step(method, x)` leaves gradients."""
    torch.manual_seed(0)
    method, data = Regression(), Steps(points)
    optimizer = torch.optim.SGD(method.parameters(), lr=lr)
    for i in range(steps):
        optimizer.zero_grad()
        step(method, data.at(i), optimizer, i)
        optimizer.step()
    return method


def backward(method, x, optimizer, i):
    method.loss(x).backward()


def assert_equal(a: nn.Module, b: nn.Module, atol: float = 0.0):
    for p, q in zip(a.parameters(), b.parameters()):
        torch.testing.assert_close(p, q, atol=atol, rtol=0)


def test_the_loop_is_the_plain_loop():
    assert_equal(train().method, by_hand(backward))


def test_clipping_by_norm_and_by_value_is_torchs():
    def by_norm(method, x, optimizer, i):
        backward(method, x, optimizer, i)
        nn.utils.clip_grad_norm_(method.parameters(), 0.5)

    def by_value(method, x, optimizer, i):
        backward(method, x, optimizer, i)
        nn.utils.clip_grad_value_(method.parameters(), 0.01)

    assert_equal(train(clip_norm=0.5).method, by_hand(by_norm))
    assert_equal(train(clip_value=0.01).method, by_hand(by_value))


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_equals_the_whole_batch(parts):
    assert_equal(train(accumulate=parts).method, train().method, atol=1e-6)


class Pair(NamedTuple):
    x: Tensor
    more: dict


@pytest.mark.parametrize("wrap", [lambda x: (x, x), lambda x: [x, (x, x)], lambda x: {"x": x}, lambda x: Pair(x, {"y": x})],
                         ids=["tuple", "nested", "dict", "named tuple"])
def test_accumulation_cuts_any_batch(wrap):
    class Seen(Regression):
        def loss(self, batch):
            assert type(batch) is type(wrap(torch.zeros(1)))
            x = batch.x if isinstance(batch, Pair) else batch["x"] if isinstance(batch, dict) else batch[0]
            assert len(x) == 8
            return super().loss(x)

    torch.manual_seed(0)
    method = Seen()
    with options(quiet=True):
        fit(method, Steps(lambda n, g: wrap(points(n, g))), SGD(0.1), steps=10, accumulate=4)
    assert_equal(method, train().method, atol=1e-6)


def test_accumulation_that_cannot_be_is_refused():
    method, data = build("wgan_gp")
    with pytest.raises(ValueError, match="accumulate=2 needs a method with one loss; WGANGP makes several updates a step"):
        fit(method, data, Adam(1e-3), steps=3, accumulate=2)


# schedules


@pytest.mark.parametrize(("schedule", "expected"), [
    (constant(), lambda t: 1.0),
    (warmup(10), lambda t: min(1.0, (t + 1) / 10)),
    (warmup(0.1), lambda t: min(1.0, (t + 1) / 10)),
    (linear(), lambda t: 1 - t / 100),
    (linear(final=0.1), lambda t: 1 - 0.9 * t / 100),
    (linear(warmup=20), lambda t: (t + 1) / 20 if t < 20 else 1 - (t - 20) / 80),
    (cosine(), lambda t: (1 + math.cos(math.pi * t / 100)) / 2),
    (cosine(warmup=20, final=0.1), lambda t: (t + 1) / 20 if t < 20 else 0.1 + 0.45 * (1 + math.cos(math.pi * (t - 20) / 80))),
    (step_decay(), lambda t: 0.1 ** ((t >= 50) + (t >= 75))),
    (step_decay((0.25,), gamma=0.5, warmup=20), lambda t: (t + 1) / 20 if t < 20 else 0.5 ** (t >= 40)),
], ids=["constant", "warmup", "warmup part", "linear", "linear final", "linear warmup", "cosine", "cosine warmup final", "step", "step warmup"])
def test_schedules_are_their_closed_forms_and_reach_the_optimizer(schedule, expected):
    assert [schedule(t, 100) for t in range(100)] == pytest.approx([expected(t) for t in range(100)], abs=1e-12)
    rates = []

    class Note:
        def step(self, trainer):
            rates.append(trainer.optimizers[""][0].param_groups[0]["lr"])

    train(SGD(0.3, schedule=schedule), steps=100, callbacks=[Note()])
    assert rates == pytest.approx([0.3 * expected(t) for t in range(100)], abs=1e-12)


@pytest.mark.parametrize("broken", [lambda: warmup(-1), lambda: cosine(warmup=-1), lambda: step_decay((0.0,)), lambda: step_decay((1.0,)),
                                    lambda: step_decay((50,)), lambda: linear(final=-0.1), lambda: cosine(final=-1), lambda: step_decay(gamma=0.0),
                                    lambda: Adam(-1.0), lambda: SGD(math.nan)])
def test_schedules_and_rates_that_cannot_be_are_refused(broken):
    with pytest.raises(ValueError, match="expected"):
        broken()


def test_a_schedule_needs_a_length_longer_than_its_warmup():
    with pytest.raises(ValueError, match="the warm-up of 10 steps leaves nothing of a run of 10 steps"):
        train(SGD(0.1, schedule=cosine(warmup=10)), steps=10)
    with pytest.raises(ValueError, match="needs a run of known length"):
        train(SGD(0.1, schedule=linear()), steps=None, minutes=1)
    assert train(SGD(0.1, schedule=warmup(3)), steps=None, minutes=1e-4).steps > 0


# optimizers


def test_each_player_has_its_own_optimizer_and_rate():
    method, data = build("wgan_gp")
    before = copy.deepcopy(method)
    with options(quiet=True):
        fit(method, data, {"critic": SGD(0.1), "generator": SGD(0.0)}, steps=2)
    assert_equal(method.generator, before.generator)
    assert all(not torch.equal(p, q) for p, q in zip(list(method.critic.parameters())[:3], before.critic.parameters()))


def test_players_that_do_not_fit_are_named():
    method, data = build("wgan_gp")
    with pytest.raises(ValueError, match=r"WGANGP trains the player 'critic'; optimizers were given for \['discriminator'\]"):
        fit(method, data, {"discriminator": SGD(0.1)}, steps=1)

    class Lost(Regression):
        def losses(self, x):
            yield self.player, self.loss(x)

    for player, complaint in [("nets", "has no part 'nets' to train"), ("net.1", "has no trainable parameter")]:
        method = Lost()
        method.player = player
        with pytest.raises(ValueError, match=complaint):
            fit(method, Steps(points), SGD(0.1), steps=1)


def test_adamw_decays_matrices_only():
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    optimizer = AdamW(0.1, weight_decay=0.5)(layer.parameters())
    before = copy.deepcopy(layer)
    layer.weight.grad, layer.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(layer.weight, before.weight * 0.95)
    assert torch.equal(layer.bias, before.bias)
    assert all(group["fused"] for group in optimizer.param_groups)


# budgets


def test_budgets():
    assert train(steps=7).steps == 7
    assert train(steps=None, epochs=1.5).steps == 15                     # ten batches an epoch
    assert train(steps=0).steps == 0
    timed = train(steps=None, minutes=0.005)
    assert 0.3 <= timed.seconds < 2
    assert timed.steps > 10
    assert train(steps=5, minutes=1).steps == 5


@pytest.mark.parametrize(("settings", "complaint"), [
    ({"steps": None}, "give a budget: steps, epochs or minutes"),
    ({"epochs": 1}, "in steps or in epochs, not in both"),
    ({"steps": -1}, "expected steps of 0 or more, got -1"),
    ({"steps": None, "epochs": math.nan}, "expected epochs of 0 or more, got nan"),
    ({"clip_norm": 0.0}, "expected clip_norm above 0, got 0.0"),
    ({"accumulate": 0}, "expected accumulate above 0, got 0"),
    ({"evaluate_every": 0}, "expected evaluate_every above 0, got 0"),
    ({"log_every": 0}, "expected log_every above 0, got 0"),
    ({"ema": 1.0}, r"expected an EMA decay in \(0, 1\), got 1.0"),
    ({"shard": ("net",)}, "start the run with torchrun"),
    ({"callbacks": [maximize("error")]}, "keeping the best 'error' needs evaluate"),
    ({"callbacks": [maximize("accuracy")], "evaluate": [[torch.ones(2, D)]]}, r"has no number 'accuracy' to keep the best of, only \['error',"),
    ({"evaluate": [[]]}, "the evaluation data holds no batch"),
    ({"data": []}, "list holds no batch"),
])
def test_settings_that_cannot_be_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        train(**settings)


def test_epochs_need_data_of_known_length():
    with pytest.raises(ValueError, match="needs data of known length; generator has none: give steps or minutes"):
        train(data=(x for x in [torch.ones(2, D)]), steps=None, epochs=1)


# averages, evaluation, the best


def test_ema_is_its_closed_form_and_is_what_is_kept(workplace):
    seen = []

    class Note:
        def step(self, trainer):
            seen.append([p.detach().clone() for p in trainer.method.parameters()])

    torch.manual_seed(0)
    average = [p.detach().clone() for p in Regression().parameters()]
    evaluated = []

    def look(method):
        evaluated.append([p.clone() for p in method.parameters()])
        return {}

    with options(folder=workplace / "run"):
        run = train(ema=0.6, steps=8, callbacks=[Note()], evaluate=look, evaluate_every=8)
    for t, weights in enumerate(seen, 1):
        decay = min(0.6, (1 + t) / (10 + t))
        average = [decay * a + (1 - decay) * p for a, p in zip(average, weights)]
    saved = read_weights(workplace / "run" / "weights.safetensors")
    for kept in (run.method.parameters(), evaluated[0], [saved[name] for name, _ in run.method.named_parameters()]):
        for a, p in zip(average, kept):
            torch.testing.assert_close(a, p, atol=1e-6, rtol=0)
    assert not torch.equal(average[0], seen[-1][0])


def test_evaluation_is_the_mean_over_examples_in_eval_mode():
    method = Regression()
    batches = [points(n, torch.Generator().manual_seed(n)) for n in (5, 3, 1)]
    found = evaluate(method, batches)
    assert found["error"] == pytest.approx(method.metrics(torch.cat(batches))["error"].mean().item(), rel=1e-5)
    assert found["mode"] == 0
    assert method.training
    assert found == evaluate(method, batches)                            # the same noise each time


def test_evaluation_leaves_training_as_it_was():
    class Dropping(Regression):
        def __init__(self):
            super().__init__()
            self.net.insert(1, nn.Dropout(0.5))

    def session(**settings):
        torch.manual_seed(0)
        with options(quiet=True):
            return fit(Dropping(), Steps(points), Adam(1e-2), steps=10, **settings).method

    every = {"evaluate": [[torch.ones(3, D)], lambda m: {"draw": torch.rand(())}], "evaluate_every": 2}
    assert_equal(session(), session(**every, callbacks=[Samples(lambda m: "text", every=3)]))


def test_evaluations_are_rows_of_the_history_and_the_last_is_the_result(workplace):
    with options(folder=workplace / "run"):
        run = train(evaluate=[[torch.ones(3, D)], lambda m: {"steps": torch.tensor(2.0)}], evaluate_every=4)
    assert [row["step"] for row in run.history if "eval/error" in row] == [4, 8, 10]
    assert run.results["steps"] == 2.0
    assert run.results["error"] == run.history[-1]["eval/error"]
    assert read_json(workplace / "run" / "result.json")["results"] == run.results
    header, *rows = (workplace / "run" / "metrics.csv").read_text().splitlines()
    assert header == "step,seconds,loss,eval/error,eval/mode,eval/noise,eval/steps"
    assert len(rows) == 3


class Given:
    """An evaluation with given values, one after the other."""

    def __init__(self, *values):
        self.values = iter(values)

    def __call__(self, method):
        return {"score": next(self.values)}


@pytest.mark.parametrize(("sign", "at"), [(maximize, 6), (minimize, 8)])
def test_the_best_weights_are_kept(sign, at, workplace):
    seen = {}

    class Note:
        def step(self, trainer):
            seen[trainer.step] = trainer.method.net[0].weight.detach().clone()

    with options(folder=workplace / "run"):
        train(evaluate=Given(1, 2, 3, 0, 2), evaluate_every=2, callbacks=[Note(), sign("score")])
    assert torch.equal(read_weights(workplace / "run" / "best.safetensors")["net.0.weight"], seen[at])


def test_the_best_weights_are_the_averaged_ones(workplace):
    with options(folder=workplace / "run"):
        run = train(evaluate=Given(1.0), callbacks=[maximize("score")], ema=0.9)
    best = read_weights(workplace / "run" / "best.safetensors")
    assert all(torch.equal(value, best[name]) for name, value in run.method.state_dict().items())


def test_early_stopping(workplace):
    with options(folder=workplace / "run"):
        run = train(steps=100, evaluate=Given(1, 2, 1, 1, 1), evaluate_every=2, callbacks=[EarlyStopping(maximize("score"), patience=3)])
    assert run.steps == 10
    assert read_json(workplace / "run" / "result.json")["stopped"] == "no better score in 3 evaluations (best 2 at step 4)"


@pytest.mark.parametrize("folder", [None, "run"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_method_holds_the_best_weights_at_the_end(ema, folder, workplace):
    seen = {}

    class Score:
        def __init__(self):
            self.values = iter([1, 2, 1, 1, 1])

        def __call__(self, method):
            seen[value := next(self.values)] = {k: v.clone() for k, v in method.state_dict().items()}
            return {"score": value, "double": 2 * value}

    class Look:
        """What comes after the best weights works on them."""

        def step(self, trainer):
            pass

        def end(self, trainer):
            self.weight = trainer.method.net[0].weight.detach().clone()

    look = Look()
    with options(folder=folder, quiet=True):
        run = train(steps=100, evaluate=Score(), evaluate_every=2, callbacks=[look, EarlyStopping(maximize("score"), patience=3)], ema=ema)
    assert run.steps == 10
    assert run.results["score"] == 2
    assert run.results["double"] == 4
    assert all(torch.equal(v, seen[2][k]) for k, v in run.method.state_dict().items())
    assert torch.equal(look.weight, seen[2]["net.0.weight"])
    if folder:
        saved = read_weights(workplace / "run" / "weights.safetensors")
        assert all(torch.equal(v, seen[2][k]) for k, v in saved.items())


def test_the_statistics_of_batch_normalization_are_averaged_with_the_weights():
    class Normal(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(D, D), nn.BatchNorm1d(D))

        def loss(self, x):
            return self.net(x).square().mean()

    method = Normal()
    expected = method.net[1].running_mean.clone()

    class Follow:
        def step(self, trainer):
            d = min(0.9, (1 + trainer.step) / (10 + trainer.step))
            expected.lerp_(method.net[1].running_mean, 1 - d)
            with trainer.averaged():
                torch.testing.assert_close(method.net[1].running_mean, expected)

    with options(quiet=True):
        fit(method, [torch.randn(8, D)], SGD(0.1), steps=12, ema=0.9, callbacks=[Follow()])
    torch.testing.assert_close(method.net[1].running_mean, expected)


def test_groups_with_rates_of_their_own_follow_the_schedule_in_proportion():
    seen = []

    class Note:
        def step(self, trainer):
            optimizer, _, _ = trainer.optimizers[""]
            seen.append([group["lr"] for group in optimizer.param_groups])

    def groups(params):
        first, *others = params
        return torch.optim.SGD([{"params": [first], "lr": 0.02}, {"params": others}], lr=0.1)

    train(Factory(lambda groups_, lr: groups([p for g in groups_ for p in g["params"]]), 0.1, linear()), steps=4, callbacks=[Note()])
    torch.testing.assert_close(torch.tensor(seen), torch.tensor([[0.02, 0.1]]) * torch.tensor([1.0, 0.75, 0.5, 0.25])[:, None])
    seen.clear()
    train(groups, steps=2, callbacks=[Note()])
    assert seen == [[0.02, 0.1]] * 2


def test_metrics_are_appended_also_where_every_step_is_evaluated(workplace, monkeypatch):
    written, write = [], checkpoint.write_rows
    monkeypatch.setattr("deepcanon.engine.log.write_rows", lambda path, rows: written.append(len(rows)) or write(path, rows))
    with options(folder=workplace / "run", quiet=True):
        run = train(steps=40, evaluate=lambda method: {"one": 1.0}, evaluate_every=1, log_every=1)
    assert len(written) <= 3
    with open(workplace / "run" / "metrics.csv", newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == run.history
    assert len(rows) == 40


def test_a_run_ends_when_its_goal_is_reached(workplace):
    with options(folder=workplace / "run"):
        run = train(steps=100, evaluate=Given(1, 2, 5, 1), evaluate_every=2, callbacks=[Until("score", at_least(4))])
    assert run.steps == 6
    assert run.results["score"] == 5
    assert read_json(workplace / "run" / "result.json")["stopped"] == "score >= 4 reached"
    with pytest.raises(ValueError, match="no number 'points' to wait for"):
        train(evaluate=Given(1), evaluate_every=2, callbacks=[Until("points", at_least(4))])


# precision and compilation


def test_bf16_autocasts_the_forward_and_not_the_backward(monkeypatch):
    class Typed(Regression):
        def losses(self, x):
            for _ in range(2):
                seen.append(self.net(x).dtype)
                yield "net", self.loss(x)
                seen.append(torch.is_autocast_enabled("cpu"))

    class Note:
        def step(self, trainer):
            seen.append(trainer.method.net[0].weight.grad.dtype)

    for native, dtype in [(True, torch.bfloat16), (False, torch.float32)]:
        monkeypatch.setattr(loop, "native_bf16", lambda device, native=native: native)
        seen = []
        fit(Typed(), Steps(points), SGD(0.1), steps=1, bf16=True, callbacks=[Note()])
        assert seen == [dtype, native, dtype, native, torch.float32]
        assert not torch.is_autocast_enabled("cpu")


def test_bf16_comes_close_to_float32(monkeypatch):
    monkeypatch.setattr(loop, "native_bf16", lambda device: True)
    assert_equal(train(bf16=True).method, train().method, atol=1e-2)


def test_compiled_nets_train_alike_and_are_evaluated_eagerly():
    compiled, eager = train(compile=("net",), evaluate=[[torch.ones(2, D)]]), train(evaluate=[[torch.ones(2, D)]])
    assert_equal(compiled.method, eager.method, atol=1e-5)
    assert compiled.results["error"] == pytest.approx(eager.results["error"], abs=1e-5)
    assert list(compiled.method.state_dict()) == list(eager.method.state_dict())


def test_without_a_compiler_nets_run_uncompiled(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.warns(UserWarning, match=r"no C\+\+ compiler found"):
        assert_equal(train(compile=("net",)).method, train().method)


# samples and loggers


def test_samples_are_pictures(workplace):
    shades = torch.linspace(0, 1, 4).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    with options(folder=workplace / "run"):
        train(callbacks=[Samples(lambda m: shades, every=4)])
    assert [f.name for f in sorted((workplace / "run" / "samples").iterdir())] == ["0000004.png", "0000008.png", "0000010.png"]
    picture = imread(workplace / "run" / "samples" / "0000010.png")
    height, width, _ = picture.shape
    corners = [picture[height // 4, width // 4, 0], picture[height // 4, 3 * width // 4, 0], picture[3 * height // 4, width // 4, 0]]
    assert corners == pytest.approx([0, 1 / 3, 2 / 3], abs=0.01)
    assert width >= 384


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 2, 8, 8), (64,)])
def test_samples_that_are_no_pictures_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected images \(n, 1 or 3, H, W\)"):
        grid(torch.zeros(shape))


def test_tensorboard_holds_every_row(workplace):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with options(folder=workplace / "run"):
        run = train(log_every=5, evaluate=[[torch.ones(3, D)]], evaluate_every=5, callbacks=[TensorBoard()])
    events = EventAccumulator(str(workplace / "run" / "tensorboard")).Reload()
    for name in ("loss", "eval/error"):
        assert [(e.step, pytest.approx(e.value)) for e in events.Scalars(name)] == [(row["step"], row[name]) for row in run.history]


@pytest.mark.parametrize(("callback", "module", "package"), [(WandB, "wandb", "wandb"), (TensorBoard, "torch.utils.tensorboard", "tensorboard")])
def test_a_logger_that_is_not_installed_is_said(callback, module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"is not installed: pip install {package}"):
        train(callbacks=[callback()])


def test_wandb_gets_every_row_once(monkeypatch):
    class Fake:
        rows, settings, finished = [], None, False

        def init(self, **settings):
            Fake.settings = settings
            return self

        def log(self, row, step):
            Fake.rows.append({"step": step} | row)

        def finish(self):
            Fake.finished = True

    monkeypatch.setitem(sys.modules, "wandb", Fake())
    run = train(log_every=5, evaluate=[[torch.ones(3, D)]], callbacks=[WandB("mine", name="first")])
    assert Fake.rows == run.history
    assert Fake.settings == {"project": "mine", "name": "first"}
    assert Fake.finished


def test_evaluate_can_be_hung_on_a_trainer_of_ones_own():
    method = Regression()
    trainer = Trainer(method, Steps(points), SGD(0.1), total=4, callbacks=[Evaluate([[torch.ones(2, D)]], every=2)])
    trainer.run()
    assert [row["step"] for row in trainer.log.history] == [2, 4]
