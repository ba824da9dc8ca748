"""The engine: one training loop for every method, with checkpoints, exact resume, logging and ranks."""

from deepcanon.engine.callbacks import EMA, Best, EarlyStopping, Evaluate, Samples, TensorBoard, Until, WandB, evaluate, maximize, minimize
from deepcanon.engine.loop import Trainer, fit, players
from deepcanon.engine.optimizers import SGD, Adagrad, Adam, AdamW, Factory, Muon, RMSprop
from deepcanon.engine.run import Recipe, Run, at_least, at_most, options, recipe
from deepcanon.engine.schedules import constant, cosine, linear, step_decay, warmup

__all__ = [
    "EMA", "SGD", "Adagrad", "Adam", "AdamW", "Best", "EarlyStopping", "Evaluate", "Factory", "Muon", "RMSprop", "Recipe", "Run", "Samples",
    "TensorBoard", "Trainer", "Until", "WandB",
    "at_least", "at_most", "constant", "cosine", "evaluate", "fit", "linear", "maximize", "minimize", "options", "players",
    "recipe", "step_decay", "warmup",
]
