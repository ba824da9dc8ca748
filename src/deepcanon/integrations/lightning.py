"""Any method under Lightning's Trainer: the same losses, players and optimizer factories as `fit`, by manual optimization.

    for player, loss in method.losses(batch):      theta_player <- optimizer_player(theta_player, grad loss)

    module = MethodModule(WGANGP(...), {"critic": Adam(1e-4), "generator": Adam(1e-4)})
    lightning.Trainer(max_epochs=10).fit(module, images("mnist"))

Precision, loggers, callbacks and checkpoints are Lightning's. Under its DDP a method must have one loss a step; with several players use `fit`.
"""

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from deepcanon.engine.loop import parameters, players
from deepcanon.engine.optimizers import Factory


class MethodModule(lightning.LightningModule):
    """A method as a LightningModule; validation averages `method.metrics(batch)` over the examples.

    Args:
        method: an `nn.Module` with `loss(batch)` or `losses(batch)`.
        optimizers: a factory for all trainable parameters, or a dict from player to factory.
        steps: length of the run in batches, for schedules that end.
        clip_norm, clip_value: largest norm of a player's gradient, largest element of it.
    """

    def __init__(self, method: Any, optimizers: Factory | dict[str, Factory], *, steps: int | None = None,
                 clip_norm: float | None = None, clip_value: float | None = None):
        super().__init__()
        self.automatic_optimization = False
        self.method, self.steps, self.clip_norm, self.clip_value = method, steps, clip_norm, clip_value
        self.factories = optimizers if isinstance(optimizers, dict) else {"": optimizers}

    def configure_optimizers(self):
        names = {id(p): name for name, p in self.method.named_parameters()}
        return [factory(parameters(self.method, player), names) for player, factory in self.factories.items()]

    def training_step(self, batch, batch_idx: int) -> None:
        made: Any = self.optimizers()
        optimizers: dict[str, Any] = dict(zip(self.factories, made if isinstance(made, list) else [made]))
        for player, loss in players(self.method, batch):
            if player not in optimizers:
                raise ValueError(f"{type(self.method).__name__} trains the player {player!r}; optimizers were given for {sorted(optimizers)}")
            terms = loss if isinstance(loss, dict) else {"loss": loss}
            self._update(optimizers[player], player, terms["loss"])
            self.log_dict({f"{player}/{name}".strip("/"): value.detach() for name, value in terms.items()}, prog_bar=True)

    def _update(self, optimizer, player: str, loss: Tensor) -> None:
        factory, params = self.factories[player], parameters(self.method, player)
        factor = factory.schedule(self.trainer.fit_loop.epoch_loop.total_batch_idx, self.steps)
        for group in optimizer.param_groups:
            group["lr"] = factor * group.setdefault("initial_lr", group["lr"])
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(params, self.clip_value)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(params, self.clip_norm)
        optimizer.step()

    def validation_step(self, batch, batch_idx: int) -> None:
        values = dict(self.method.metrics(batch))
        first = next(iter(values.values()))
        weight = values.pop("weight", torch.ones_like(first))
        means = {name: (value * weight).sum() / weight.sum().clamp(min=1) for name, value in values.items()}
        self.log_dict(means, batch_size=int(weight.sum()), prog_bar=True)
