"""What the claims about generative models share: a short training, points of a toy, counted calls."""

from typing import TypeVar

from torch import Tensor, nn

from deepcanon.data import arrays
from deepcanon.data.toys import density
from deepcanon.engine import Adam, Factory, cosine, fit

Method = TypeVar("Method", bound=nn.Module)


def train(method: Method, x: Tensor, *, steps: int, lr: float = 0.01, batch: int = 128,
          seed: int = 0) -> Method:
    """The method after `steps` steps of Adam on batches of x, at a rate that falls to zero."""
    fit(method, arrays(x, batch=batch, seed=seed), Adam(lr, schedule=cosine()), steps=steps, seed=seed)
    return method


def play(method: Method, x: Tensor, optimizers: dict[str, Factory], *, steps: int, batch: int = 128,
         seed: int = 0) -> Method:
    """The same for a method of several players, each with its optimizer."""
    fit(method, arrays(x, batch=batch, seed=seed), optimizers, steps=steps, seed=seed)
    return method


def points(name: str, n: int) -> Tensor:
    """n new points of a toy, (n, 2)."""
    return density(name).sample(n)[0]


class Calls:
    """How often a module has been called."""

    def __init__(self, module: nn.Module):
        self.count = 0.0
        module.register_forward_hook(self.add)

    def add(self, *call) -> None:
        """One more."""
        self.count += 1
