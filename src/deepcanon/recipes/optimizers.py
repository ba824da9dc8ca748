"""Races of optimizers and of learning-rate schedules: one net, one set of data, one budget, and only that one thing different.

    deepcanon compare 'optimizer_*_digits'
    deepcanon compare 'schedule_*_digits'

The optimizers' net has three hidden layers of 64 sigmoids. Each divides the gradient by four or more on its way down, so that curvatures of very
different size meet: a plateau at the start. A batch is the whole training set (MNIST: a thousand), so that curvature, not noise, limits the rate.
Every optimizer runs at its best rate on a grid of two or three a decade, by the mean of the test loss along the run.

The schedules' net has eight hidden layers of 64 rectifiers, without normalisation, and Adam at a peak rate of 0.01, ten times its default.
Started at that rate, the net learns late and ends lower than after a rise over the first fifth of the run, whatever follows.
"""

import math

from torch import nn

from deepcanon.data import images
from deepcanon.engine import SGD, Adagrad, Adam, Factory, Muon, RMSprop, Run, at_least, at_most, constant, cosine, fit, recipe, step_decay, warmup
from deepcanon.nets.mlp import mlp
from deepcanon.vision.classify import Classifier


def plateau(data: str, batch: int, optimizer: Factory, steps: int, seed: int) -> Run:
    """Three layers of sigmoids."""
    return race(data, batch, [64] * 3, nn.Sigmoid, optimizer, steps, seed)


def deep(data: str, optimizer: Factory, steps: int, seed: int) -> Run:
    """Eight layers of rectifiers."""
    return race(data, 64, [64] * 8, nn.ReLU, optimizer, steps, seed)


def race(data: str, batch: int, hidden: list[int], activation: type[nn.Module], optimizer: Factory, steps: int, seed: int) -> Run:
    """A perceptron on flattened images, evaluated thirty times for its curve."""
    train, test = images(data, batch=batch, seed=seed), images(data, split="test", batch=2_000)
    method = Classifier(nn.Sequential(nn.Flatten(), mlp(math.prod(train.shape), *hidden, 10, activation=activation)))
    return fit(method, train, optimizer, steps=steps, seed=seed, evaluate=test, evaluate_every=max(1, steps // 30))


@recipe(target={"nll": at_most(2.29)}, seconds=5, paper="Robbins & Monro 1951", rows=["FND-17", "FND-18"])
def optimizer_sgd_digits(lr: float = 5.0, steps: int = 300, seed: int = 0) -> Run:
    """Gradient descent on a deep sigmoid net: even at its best rate it is long on the plateau."""
    return plateau("digits", 1_437, SGD(lr), steps, seed)


@recipe(target={"nll": at_most(0.7)}, seconds=5, paper="Polyak 1964", rows=["FND-20"])
def optimizer_momentum_digits(lr: float = 1.0, steps: int = 300, seed: int = 0) -> Run:
    """Momentum on a deep sigmoid net: steps that agree add up, and it is off the plateau where plain descent stays."""
    return plateau("digits", 1_437, SGD(lr, momentum=0.9), steps, seed)


@recipe(target={"nll": at_most(0.7)}, seconds=5, paper="Nesterov 1983", rows=["FND-21"])
def optimizer_nesterov_digits(lr: float = 0.5, steps: int = 300, seed: int = 0) -> Run:
    """Nesterov's momentum on a deep sigmoid net: the gradient is taken ahead; here about as fast as momentum."""
    return plateau("digits", 1_437, SGD(lr, momentum=0.9, nesterov=True), steps, seed)


@recipe(target={"nll": at_most(0.6)}, seconds=5, paper="Duchi et al. 2011", rows=["FND-22"])
def optimizer_adagrad_digits(lr: float = 0.1, steps: int = 300, seed: int = 0) -> Run:
    """AdaGrad on a deep sigmoid net: a rate of its own for each weight, large where gradients are small, and no plateau."""
    return plateau("digits", 1_437, Adagrad(lr), steps, seed)


@recipe(target={"nll": at_most(0.65)}, seconds=5, paper="Tieleman & Hinton 2012", rows=["FND-23"])
def optimizer_rmsprop_digits(lr: float = 0.01, steps: int = 300, seed: int = 0) -> Run:
    """RMSProp on a deep sigmoid net: as AdaGrad, with rates that do not vanish; fast, and restless at the end."""
    return plateau("digits", 1_437, RMSprop(lr), steps, seed)


@recipe(target={"nll": at_most(0.7)}, seconds=5, paper="Kingma & Ba 2015, arXiv 1412.6980", rows=["FND-24"])
def optimizer_adam_digits(lr: float = 0.02, steps: int = 300, seed: int = 0) -> Run:
    """Adam on a deep sigmoid net: momentum and a rate of its own for each weight; off the plateau at once."""
    return plateau("digits", 1_437, Adam(lr), steps, seed)


@recipe(target={"nll": at_most(0.5)}, seconds=15, paper="Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982", rows=["FND-20"])
def optimizer_muon_digits(lr: float = 0.02, steps: int = 300, seed: int = 0) -> Run:
    """Muon on a deep sigmoid net: momentum as fast in every direction of a matrix; off the plateau at once."""
    return plateau("digits", 1_437, Muon(lr), steps, seed)


@recipe(target={"nll": at_most(1.5)}, seconds=15, paper="Robbins & Monro 1951", rows=["FND-17", "FND-18"])
def optimizer_sgd_mnist(lr: float = 3.0, steps: int = 400, seed: int = 0) -> Run:
    """Gradient descent on a deep sigmoid net and MNIST: even at its best rate it is long on the plateau."""
    return plateau("mnist", 1_000, SGD(lr), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=15, paper="Polyak 1964", rows=["FND-20"])
def optimizer_momentum_mnist(lr: float = 1.0, steps: int = 400, seed: int = 0) -> Run:
    """Momentum on a deep sigmoid net and MNIST: steps that agree add up, and it is off the plateau where plain descent stays."""
    return plateau("mnist", 1_000, SGD(lr, momentum=0.9), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=15, paper="Nesterov 1983", rows=["FND-21"])
def optimizer_nesterov_mnist(lr: float = 1.0, steps: int = 400, seed: int = 0) -> Run:
    """Nesterov's momentum on a deep sigmoid net and MNIST: the gradient is taken ahead; here about as fast as momentum."""
    return plateau("mnist", 1_000, SGD(lr, momentum=0.9, nesterov=True), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=15, paper="Duchi et al. 2011", rows=["FND-22"])
def optimizer_adagrad_mnist(lr: float = 0.1, steps: int = 400, seed: int = 0) -> Run:
    """AdaGrad on a deep sigmoid net and MNIST: a rate of its own for each weight, large where gradients are small, and no plateau."""
    return plateau("mnist", 1_000, Adagrad(lr), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=15, paper="Tieleman & Hinton 2012", rows=["FND-23"])
def optimizer_rmsprop_mnist(lr: float = 0.01, steps: int = 400, seed: int = 0) -> Run:
    """RMSProp on a deep sigmoid net and MNIST: as AdaGrad, with rates that do not vanish; fast, and restless at the end."""
    return plateau("mnist", 1_000, RMSprop(lr), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=15, paper="Kingma & Ba 2015, arXiv 1412.6980", rows=["FND-24"])
def optimizer_adam_mnist(lr: float = 0.03, steps: int = 400, seed: int = 0) -> Run:
    """Adam on a deep sigmoid net and MNIST: momentum and a rate of its own for each weight; off the plateau at once."""
    return plateau("mnist", 1_000, Adam(lr), steps, seed)


@recipe(target={"nll": at_most(0.3)}, seconds=30, paper="Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982", rows=["FND-20"])
def optimizer_muon_mnist(lr: float = 0.1, steps: int = 400, seed: int = 0) -> Run:
    """Muon on a deep sigmoid net and MNIST: momentum as fast in every direction of a matrix; off the plateau at once."""
    return plateau("mnist", 1_000, Muon(lr), steps, seed)


@recipe(target={"accuracy": at_least(0.75)}, seconds=5, paper="Kingma & Ba 2015, arXiv 1412.6980", rows=["FND-26"])
def schedule_constant_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """Peak rate from the first step to the last: the start spoils the net, the end stays restless."""
    return deep("digits", Adam(lr, schedule=constant()), steps, seed)


@recipe(target={"accuracy": at_least(0.75)}, seconds=5, paper="He et al. 2016", rows=["FND-26"])
def schedule_step_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """Peak rate, then a tenth and a hundredth of it: the end settles, on what the start has left."""
    return deep("digits", Adam(lr, schedule=step_decay()), steps, seed)


@recipe(target={"accuracy": at_least(0.8)}, seconds=5, paper="Loshchilov & Hutter 2017, arXiv 1608.03983", rows=["FND-26"])
def schedule_cosine_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """Half a cosine from the peak rate to zero: the end settles, on what the start has left."""
    return deep("digits", Adam(lr, schedule=cosine()), steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=5, paper="Goyal et al. 2017, arXiv 1706.02677", rows=["FND-26"])
def schedule_warmup_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then the peak rate: a good start, a restless end."""
    return deep("digits", Adam(lr, schedule=warmup(0.2)), steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=5, paper="Goyal et al. 2017, arXiv 1706.02677", rows=["FND-26"])
def schedule_warmup_step_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then two falls by ten: a good start, a settled end."""
    return deep("digits", Adam(lr, schedule=step_decay(warmup=0.2)), steps, seed)


@recipe(target={"accuracy": at_least(0.87)}, seconds=5, paper="Loshchilov & Hutter 2017; Goyal et al. 2017", rows=["FND-26"])
def schedule_warmup_cosine_digits(lr: float = 0.01, steps: int = 600, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then half a cosine to zero: a good start, a settled end."""
    return deep("digits", Adam(lr, schedule=cosine(warmup=0.2)), steps, seed)


@recipe(target={"accuracy": at_least(0.8)}, seconds=15, paper="Kingma & Ba 2015, arXiv 1412.6980", rows=["FND-26"])
def schedule_constant_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """Peak rate from the first step to the last: the start spoils the net, the end stays restless; MNIST."""
    return deep("mnist", Adam(lr, schedule=constant()), steps, seed)


@recipe(target={"accuracy": at_least(0.8)}, seconds=15, paper="He et al. 2016", rows=["FND-26"])
def schedule_step_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """Peak rate, then a tenth and a hundredth of it: the end settles, on what the start has left; MNIST."""
    return deep("mnist", Adam(lr, schedule=step_decay()), steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=15, paper="Loshchilov & Hutter 2017, arXiv 1608.03983", rows=["FND-26"])
def schedule_cosine_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """Half a cosine from the peak rate to zero: the end settles, on what the start has left; MNIST."""
    return deep("mnist", Adam(lr, schedule=cosine()), steps, seed)


@recipe(target={"accuracy": at_least(0.87)}, seconds=15, paper="Goyal et al. 2017, arXiv 1706.02677", rows=["FND-26"])
def schedule_warmup_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then the peak rate: a good start, a restless end; MNIST."""
    return deep("mnist", Adam(lr, schedule=warmup(0.2)), steps, seed)


@recipe(target={"accuracy": at_least(0.88)}, seconds=15, paper="Goyal et al. 2017, arXiv 1706.02677", rows=["FND-26"])
def schedule_warmup_step_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then two falls by ten: a good start, a settled end; MNIST."""
    return deep("mnist", Adam(lr, schedule=step_decay(warmup=0.2)), steps, seed)


@recipe(target={"accuracy": at_least(0.9)}, seconds=15, paper="Loshchilov & Hutter 2017; Goyal et al. 2017", rows=["FND-26"])
def schedule_warmup_cosine_mnist(lr: float = 0.01, steps: int = 800, seed: int = 0) -> Run:
    """A rise over a fifth of the run, then half a cosine to zero: a good start, a settled end; MNIST."""
    return deep("mnist", Adam(lr, schedule=cosine(warmup=0.2)), steps, seed)
