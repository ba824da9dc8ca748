"""The engine: one training loop for every method, with checkpoints, exact resume, logging and ranks."""

from deepcanon.engine.callbacks import EMA, Best, EarlyStopping, Evaluate, Until, evaluate, maximize, minimize
from deepcanon.engine.calls import recipe
from deepcanon.engine.loop import Trainer, fit, players
from deepcanon.engine.optimizers import SGD, Adagrad, Adam, AdamW, Factory, Muon, RMSprop
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import options, starts_from
from deepcanon.engine.samples import Samples
from deepcanon.engine.schedules import constant, cosine, linear, step_decay, warmup
from deepcanon.engine.trackers import MLflow, TensorBoard, WandB, tracker
from deepcanon.grammar import at_least, at_most, preset

__all__ = [
    "EMA", "SGD", "Adagrad", "Adam", "AdamW", "Best", "EarlyStopping", "Evaluate", "Factory", "MLflow", "Muon", "RMSprop", "Run", "Samples",
    "TensorBoard", "Trainer", "Until", "WandB",
    "at_least", "at_most", "constant", "cosine", "evaluate", "fit", "linear", "maximize", "minimize", "options", "players",
    "preset", "recipe", "starts_from", "step_decay", "tracker", "warmup",
]
