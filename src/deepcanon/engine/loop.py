"""The one training loop of the library.

    for step:  for player, loss in method.losses(batch):      theta_player <- optimizer_player(theta_player, grad loss)

A method is an `nn.Module` with `loss(batch)` or, when one step makes several updates, a generator `losses(batch)` that yields (player, loss).
A player is the name of one of its submodules or parameters, "" all that is trainable. The generator is lazy: the code after a `yield`
runs after that player's optimizer step. This file is the only place that knows backward passes, optimizers, devices, ranks and precision.
"""

import contextlib
import itertools
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from deepcanon.commands import resume_line
from deepcanon.engine import clipping, parallel
from deepcanon.engine.batches import device_of, endless, rows, split, to
from deepcanon.engine.callbacks import EMA, Best, Evaluate, evaluation_mode, running_statistics
from deepcanon.engine.calls import current_call
from deepcanon.engine.fine_tuning import warm_start
from deepcanon.engine.finite import all_finite, where_not_finite
from deepcanon.engine.folder import RunFolder
from deepcanon.engine.joint import Accumulated, Ranks, has_batch_norm, joint_batch_norm
from deepcanon.engine.log import Log
from deepcanon.engine.optimizers import Factory, builders, described, spare_dynamo, update
from deepcanon.engine.passes import Passes
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import current_options
from deepcanon.engine.seeds import seed_everything
from deepcanon.engine.signals import SIGNALS, interruptible
from deepcanon.engine.trackers import tracker
from deepcanon.layers.joint import joining
from deepcanon.paths import readable

Loss = Tensor | dict[str, Tensor]


def players(method: Any, batch) -> Iterator[tuple[str, Loss]]:
    """The (player, loss) pairs of one step; `loss(batch)` is the one-player case."""
    if hasattr(method, "losses"):
        yield from method.losses(batch)
    else:
        yield "", method.loss(batch)


class Trainer:
    """A method, its optimizers, and the step that joins them."""

    def __init__(self, method: nn.Module, data: Any, optimizers: Factory | dict[str, Factory], *, total: int | None = None,
                 clip_norm: float | None = None, clip_value: float | None = None, accumulate: int = 1, bf16: bool = False,
                 callbacks: Sequence = (), log: Log | None = None, rank: int = 0, world: int = 1):
        self.method, self.data, self.total = method, data, total
        self.factories: Any = optimizers
        self.optimizers: dict[str, tuple[torch.optim.Optimizer, list[nn.Parameter], Factory]] = {}
        self.clip_norm, self.clip_value, self.accumulate, self.bf16 = clip_norm, clip_value, accumulate, bf16
        self.callbacks, self.log, self.rank, self.world = list(callbacks), log or Log(), rank, world
        self.log.shared = world > 1
        self.device = device_of(method)
        self.step, self.stop, self.signal = 0, "", ""                  # stop: why the run ends early; signal: one that has arrived
        self.averaged: Callable = contextlib.nullcontext               # swaps in the averaged weights, see EMA
        self.passes = None if hasattr(data, "at") or hasattr(data, "state_dict") else Passes(data)
        self.statistics = running_statistics(method)                   # of batch normalization: what a forward pass moves
        self.join = self._make_join()

    def _make_join(self):
        """What joins the parts of a batch; None where a batch is in one piece."""
        ranks = Ranks() if self.world > 1 else None
        if self.accumulate == 1:
            return ranks
        owner = type(self.method).__name__
        if has_batch_norm(self.method) and self.rank == 0:
            warnings.warn(f"accumulate={self.accumulate}: the batch normalization of {owner} is over each part of "
                          "a batch, so that the gradient is not that of the whole", stacklevel=3)
        return Accumulated(owner, self.accumulate, ranks)

    # the step

    def train_step(self, batch) -> None:
        """Every player's update on one batch; none by a gradient that is not finite.

        Raises:
            FloatingPointError: a gradient is not finite. The weights, and the statistics of batch normalization, are those before the step.
        """
        before = [statistic.clone() for statistic in self.statistics]
        (first, share), *rest = self.parts(batch)
        counters = self.counters() if rest else {}
        with joining(self.join) if self.join is not None else contextlib.nullcontext():
            for player, loss in self.forward(first):
                optimizer, params = self.optimizer(player)
                optimizer.zero_grad(set_to_none=True)
                terms = self.backward(loss, share)
                for part, part_share in rest:                          # accumulation: the same gradient
                    self.rewind(counters)
                    _, loss = next(self.forward(part))
                    more = self.backward(loss, part_share)
                    terms = {name: term + more[name] for name, term in terms.items()}
                self.log.add_terms(player, terms, self.step)
                if self.world > 1:
                    parallel.average_gradients(params)
                if not all_finite(params):
                    for statistic, value in zip(self.statistics, before):
                        statistic.copy_(value)
                    self.alarm(player, params, batch)
                if self.clip_value is not None:
                    clipping.clip_value(params, self.clip_value)
                if self.clip_norm is not None:
                    clipping.clip_norm(params, self.clip_norm)
                update(optimizer)
        self.step += 1
        if self.step == 1 and self.world > 1:
            parallel.tell_unequal(self.method)

    def alarm(self, player: str, params: list[nn.Parameter], batch) -> NoReturn:
        """Say what is not finite: the batch, the loss or only the gradient."""
        kept = "; the weights are those before the step" + (", the last checkpoint is untouched" if self.log.file else "")
        if (where := where_not_finite(batch)) is not None:
            raise FloatingPointError(f"the batch of step {self.step + 1} is not finite: {where}{kept}")
        self.log.check()
        named = {id(p): name for name, p in self.method.named_parameters()}
        first = next(named[id(p)] for p in params if p.grad is not None and not parallel.whole(p.grad).isfinite().all())
        raise FloatingPointError(f"the gradient of {first} is not finite at step {self.step + 1}, though the loss is: a square root or a "
                                 f"division at 0, or values too large; try a lower learning rate, or a loss without them{kept}")

    def forward(self, batch) -> Iterator[tuple[str, Loss]]:
        """The step's (player, loss) pairs; under bf16 each piece is computed in autocast, the backward pass between two pieces is not."""
        if not self.bf16:
            return players(self.method, batch)
        return self._autocast(players(self.method, batch))

    def _autocast(self, pieces: Iterator) -> Iterator:
        while True:
            with torch.autocast(self.device.type, torch.bfloat16):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def parts(self, batch) -> list[tuple[Any, float]]:
        """The parts of a batch, each with the factor of its loss: its share in the batch of all ranks, times their
        number.

        Shares are of rows, or of what the method counts, `weight(batch)`: the tokens that are predicted, say.
        All ranks cut their rows into as many parts.

        Raises:
            ValueError: fewer rows than ranks.
        """
        if self.world == self.accumulate == 1:
            return [(batch, 1.0)]
        own = [rows(batch), self.weight(batch)]
        numbers = parallel.from_all(own) if self.world > 1 else [own]
        fewest = int(min(n for n, _ in numbers))
        if fewest < 1:
            n = int(sum(n for n, _ in numbers))
            raise ValueError(f"the batch of step {self.step + 1} has {n} row{'s' * (n != 1)} for {self.world} ranks: "
                             "each needs one or more")
        parts = split(batch, min(self.accumulate, fewest))
        total = sum(weight for _, weight in numbers) or 1.0
        return [(part, self.world * self.weight(part) / total) for part in parts]

    def weight(self, batch) -> float:
        """Over how many units the loss of this batch is a mean."""
        method: Any = self.method
        return float(method.weight(batch) if callable(getattr(method, "weight", None)) else rows(batch))

    def backward(self, loss: Loss, share: float) -> dict[str, Tensor]:
        """Gradients of one part's loss; its terms times its share, so that the parts' sum is that of the batch."""
        terms = loss if isinstance(loss, dict) else {"loss": loss}
        terms = terms if share == 1.0 else {name: share * term for name, term in terms.items()}
        terms["loss"].backward()
        return {name: term.detach() for name, term in terms.items()}

    def counters(self) -> dict[str, Tensor]:
        """What the method counts by, as it is now: its buffers of one number."""
        return {name: b.clone() for name, b in self.method.named_buffers() if not b.ndim and b.dtype != torch.bool}

    def rewind(self, counters: dict[str, Tensor]) -> None:
        """Set the counters back: a step counts once, in however many parts."""
        for name, buffer in self.method.named_buffers():
            if name in counters:
                buffer.copy_(counters[name])

    def _optimizer_of(self, player: str) -> tuple[torch.optim.Optimizer, list[nn.Parameter]]:
        """The player's optimizer, made if it has not played yet, and the parameters in the order of its state."""
        if player not in self.optimizers:
            self.optimizers[player] = self._make_optimizer(player)
        optimizer = self.optimizers[player][0]
        return optimizer, [p for group in optimizer.param_groups for p in group["params"]]

    def optimizer(self, player: str) -> tuple[torch.optim.Optimizer, list[nn.Parameter]]:
        """The player's optimizer, made when it first plays, at this step's learning rate, and its parameters."""
        if player not in self.optimizers:
            self.optimizers[player] = self._make_optimizer(player)
        optimizer, params, factory = self.optimizers[player]
        factor = factory.schedule(self.step, self.total) if isinstance(factory, Factory) else 1.0
        for group in optimizer.param_groups:                           # a group with a rate of its own keeps its proportion
            group["lr"] = factor * group["initial_lr"]
        return optimizer, params

    def _make_optimizer(self, player: str):
        factory = self.factories.get(player) if isinstance(self.factories, dict) else self.factories
        if factory is None:
            raise ValueError(f"{type(self.method).__name__} trains the player {player!r}; optimizers were given for {sorted(self.factories)}")
        params = parameters(self.method, player)
        names = {id(p): name for name, p in self.method.named_parameters()}
        optimizer = factory(params, names) if isinstance(factory, Factory) else factory(params)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        return optimizer, params, factory

    # the loop

    def run(self, minutes: float | None = None, folder: RunFolder | None = None) -> None:
        """Steps until the budget is spent, a callback sets `stop`, or a signal arrives."""
        self.method.train()
        batches = self._batches()
        norms = joint_batch_norm(self.method) if self.world > 1 else contextlib.nullcontext()
        with norms, interruptible(self), self.log.open(self):
            while not self.stop and (self.total is None or self.step < self.total):
                self.train_step(next(batches))
                for callback in self.callbacks:
                    callback.step(self)
                self.log.step(self.step)
                self.stop = self.stop or self.signal
                if minutes is not None and self.log.seconds >= 60 * minutes:
                    self.stop = self.stop or f"{minutes:g} minutes"
                save = folder is not None and folder.due()
                if self.world > 1:
                    self.stop, save = parallel.agree(self.stop, save)
                if save and folder:
                    folder.save(self)

    def _batches(self) -> Iterator:
        """Batches from this step on. Data with `at(step)` is indexed; other data is iterated again and again."""
        if hasattr(self.data, "at"):
            batches = map(self.data.at, itertools.count(self.step))
        else:
            batches = endless(self.data) if self.passes is None else self.passes
        return batches if self.device.type == "cpu" else (to(batch, self.device) for batch in batches)

    # what a checkpoint holds

    def state_dict(self) -> dict:
        """What all ranks share: step, weights, optimizers, callbacks, log; of what is sharded, this rank's part."""
        return {
            "step": self.step, "stop": "" if self.stop in SIGNALS else self.stop,
            "method": dict(self.method.state_dict()),
            "optimizers": {player: o.state_dict() for player, (o, _, _) in self.optimizers.items()},
            "callbacks": [c.state_dict() if hasattr(c, "state_dict") else {} for c in self.callbacks],
            "log": self.log.state_dict(),
        }

    def weights(self) -> dict[str, Tensor]:
        """The method's state dict; gathered, on every rank, where it is sharded."""
        return {k: parallel.whole(v) for k, v in self.method.state_dict().items()}

    @property
    def sharded(self) -> bool:
        """Whether a net's parameters are split over the ranks."""
        return any(hasattr(p, "full_tensor") for p in self.method.parameters())

    def counterpart(self, path: Sequence) -> Tensor | None:
        """What is here at that place of the state dict, or, for an optimizer's state, the parameter of it."""
        match path:
            case ["method", name]:
                return self.method.state_dict()[name]
            case ["optimizers", player, "state", index, _]:
                return self._optimizer_of(player)[1][index]
            case ["callbacks", index, "average", name]:
                return self.callbacks[index].state_dict()["average"][name]
        return None

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """The inverse of `weights`."""
        own = self.method.state_dict()
        self.method.load_state_dict({k: parallel.part(v.to(own[k].device), own[k]) for k, v in weights.items()})

    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`, on the same method, optimizers and callbacks."""
        self.load_weights(state["method"])
        for player, saved in state["optimizers"].items():
            optimizer, params = self._optimizer_of(player)
            for index, slots in saved["state"].items():
                saved["state"][index] = {k: parallel.part(v, params[index]) if v.ndim else v for k, v in slots.items()}
            for own, group in zip(optimizer.param_groups, saved["param_groups"]):
                group["fused"] = own["fused"]                          # which follows from whether the net is sharded now
            optimizer.load_state_dict(saved)
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
            if saved:
                callback.load_state_dict(saved)
        self.log.load_state_dict(state["log"])
        self.step, self.stop = state["step"], state["stop"]


@parallel.lost_ranks_named()
def fit(method: nn.Module, data: Any, optimizers: Factory | dict[str, Factory], *, steps: int | None = None, epochs: float | None = None,
        minutes: float | None = None, seed: int = 0, clip_norm: float | None = None, clip_value: float | None = None, accumulate: int = 1,
        bf16: bool = False, compile: Sequence[str] = (), ema: float | None = None, shard: Sequence[str] = (), evaluate=None,
        evaluate_every: int | None = None, callbacks: Sequence = (), log_every: int = 50,
        folder: str | Path | None = None) -> Run:
    """Train `method` on `data`.

    Args:
        method: an `nn.Module` with `loss(batch)` or `losses(batch)`.
        data: batches; with `at(step)` their order is a function of the step, otherwise any iterable.
        optimizers: one factory for every player, or a dict from player to factory; any function parameters -> torch optimizer is one.
        steps, epochs, minutes: the budget; minutes may be given beside one of the others, then what ends first counts.
        seed: of evaluation, of the ranks' random streams, and of the record; weights were initialised before.
        clip_norm, clip_value: largest norm of a player's gradient, largest element of it.
        accumulate: parts that each batch is worked through in: the same gradient in less memory (methods with `loss`); where
            it would be another, it is refused, or a warning says what of.
        bf16: forward passes under bfloat16 autocast, where the device has bfloat16 arithmetic; elsewhere float32 is faster and is kept.
        compile: names of nets to compile.
        ema: decay of an average of the weights, which is what is evaluated, sampled and saved.
        shard: names of nets whose parameters are split over the ranks.
        evaluate: data for `method.metrics`, a function method -> dict of numbers, or a list of these.
        evaluate_every: steps between evaluations; None evaluates at the end only.
        callbacks: objects with `step(trainer)` and `end(trainer)`.
        log_every: steps between two rows of metrics.csv.
        folder: where the run is kept; a recipe's run has a folder anyway.

    Returns:
        the Run: trained method, results, history, folder.

    Raises:
        ValueError: a budget that is missing, a player without optimizer, a checkpoint of other code or data.
        FloatingPointError: a loss that is not finite; the last checkpoint stays.
    """
    options = current_options()
    total = budget(data, steps, epochs, options.minutes or minutes)
    check_positive(clip_norm=clip_norm, clip_value=clip_value, accumulate=accumulate, evaluate_every=evaluate_every, log_every=log_every)
    if accumulate > 1 and hasattr(method, "losses"):
        raise ValueError(f"accumulate={accumulate} needs a method with one loss; {type(method).__name__} makes several updates a step")
    callbacks = [*([EMA(ema)] if ema else []), *([Evaluate(evaluate, evaluate_every, seed)] if evaluate is not None else []),
                 *sorted(callbacks, key=lambda c: not isinstance(c, Best)), *map(tracker, options.track)]
    if options.build_only:
        return Run(method, callbacks=callbacks)
    device = options.torch_device()
    rank, world = (0, 1) if options.alone else parallel.start(device)
    note = warm_start(method, options.start_from, current_call()) if options.start_from is not None else ""
    if note and rank == 0 and not options.quiet:
        print(note, file=sys.stderr)
    method.to(device)
    data = data.to(device) if hasattr(data, "to") else data
    if world > 1:
        parallel.share_weights(method)
        data = parallel.part_of_data(data, rank, world)
        seed_everything(seed * world + rank)
    if shard:
        if world == 1:
            raise ValueError("shard splits nets over several ranks: start the run with torchrun")
        parallel.shard(method, shard)
    compile_nets(method, compile, device)

    settings = {"steps": steps, "epochs": epochs, "clip_norm": clip_norm, "clip_value": clip_value, "accumulate": accumulate, "bf16": bf16,
                "ema": ema, "evaluate_every": evaluate_every, "optimizers": described(optimizers, total)}
    kept = RunFolder.open(method, data, seed=seed, rank=rank, folder=folder, settings=settings, code=builders(optimizers))
    with kept or contextlib.nullcontext():
        log = Log(kept.path if kept and rank == 0 else None, every=log_every, quiet=options.quiet or rank > 0)
        trainer = Trainer(method, data, optimizers, total=total, clip_norm=clip_norm, clip_value=clip_value, accumulate=accumulate,
                          bf16=bf16 and native_bf16(device), callbacks=callbacks, log=log, rank=rank, world=world)
        begin(trainer, kept)
        trainer.run(options.minutes or minutes, kept)
        return finish(trainer, kept)


def begin(trainer: Trainer, folder: RunFolder | None) -> None:
    """The callbacks' start, and the last checkpoint of a run that is resumed."""
    for callback in trainer.callbacks:
        if hasattr(callback, "start"):
            callback.start(trainer)
    if folder:
        folder.restore(trainer)


def finish(trainer: Trainer, folder: RunFolder | None) -> Run:
    """The last checkpoint, the last evaluation, and the results on disk; an interrupted run exits after its checkpoint."""
    interrupted = trainer.stop in SIGNALS
    if folder and (interrupted or not folder.finished):
        folder.save(trainer)
    if interrupted:
        where = f"; continue with: {resume_line(readable(folder.root))}" if folder else ""
        trainer.log.say(f"stopped by {trainer.stop} at step {trainer.step}{where}")
        raise SystemExit(128 + signal.Signals[trainer.stop])
    for callback in trainer.callbacks:
        if hasattr(callback, "end"):
            callback.end(trainer)
    run = Run(trainer.method, trainer.log.results(), trainer.log.history, trainer.log.seconds, trainer.step,
              folder.path if folder else None, trainer.callbacks)
    with trainer.averaged():
        if folder:
            folder.finish(run, trainer)
            write_evaluations(folder.path, trainer)
    return run


def write_evaluations(folder: Path, trainer: Trainer) -> None:
    """What an evaluation leaves in the run folder beside its numbers, such as the table of the classes."""
    written = [item for c in trainer.callbacks if isinstance(c, Evaluate) for item in c.what if hasattr(item, "write")] if trainer.rank == 0 else []
    with evaluation_mode(trainer.method):
        for item in written:
            item.write(folder, trainer.method)


# small parts


def parameters(method: nn.Module, player: str) -> list[nn.Parameter]:
    """The trainable parameters of a player: a submodule, a parameter, or "" for the whole method."""
    try:
        owner = attrgetter(player)(method) if player else method
    except AttributeError:
        raise ValueError(f"{type(method).__name__} has no part {player!r} to train") from None
    params = [owner] if isinstance(owner, nn.Parameter) else [p for p in owner.parameters() if p.requires_grad]
    if not params:
        raise ValueError(f"the player {player!r} of {type(method).__name__} has no trainable parameter")
    return params


def check_positive(**settings: float | None) -> None:
    """Refuse a setting that is given and not above 0."""
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise ValueError(f"expected {name} above 0, got {value}")


def budget(data: Any, steps: int | None, epochs: float | None, minutes: float | None) -> int | None:
    """The number of steps, None for a budget in minutes alone."""
    if steps is not None and epochs is not None:
        raise ValueError("give the budget in steps or in epochs, not in both")
    if steps is None and epochs is None and minutes is None:
        raise ValueError("give a budget: steps, epochs or minutes")
    for name, value in {"steps": steps, "epochs": epochs, "minutes": minutes}.items():
        if value is not None and not value >= 0:
            raise ValueError(f"expected {name} of 0 or more, got {value}")
    if epochs is not None:
        if not hasattr(data, "__len__"):
            raise ValueError(f"a budget in epochs needs data of known length; {type(data).__name__} has none: give steps or minutes")
        return round(epochs * len(data))
    return steps


def compile_nets(method: nn.Module, names: Sequence[str], device: torch.device) -> None:
    """`torch.compile` of the named nets, in place; without a C++ compiler they stay as they are, with a warning."""
    if names and device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        warnings.warn("no C++ compiler found: the nets run uncompiled, which is slower and otherwise the same", stacklevel=3)
        return
    spare_dynamo(not names)
    for name in names:
        method.get_submodule(name).compile()


def native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; a CPU without such instructions emulates them, several times slower than float32."""
    if device.type == "cpu":
        return any(getattr(torch.cpu, test, lambda: True)() for test in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type != "cuda" or torch.cuda.is_bf16_supported()
