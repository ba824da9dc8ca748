"""Runs of the simplest models, to see what depth adds."""

from torch import nn

from deepcanon.data import images
from deepcanon.engine import Adam, AdamW, Run, Samples, at_least, cosine, fit, recipe
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.nets.mlp import mlp
from deepcanon.vision.classify import Classifier


@recipe(target={"accuracy": at_least(0.89)}, seconds=10, paper="Cox 1958", rows=["FND-08", "FND-04"])
def linear_digits(lr: float = 0.05, batch: int = 64, steps: int = 800, seed: int = 0) -> Run:
    """A linear classifier reads scikit-learn's digits; its pictures are the ten templates as they form."""
    train, test = images("digits", batch=batch, seed=seed), images("digits", split="test", batch=360)
    templates = Samples(lambda method: method.templates(1, 8, 8), every=200)
    return fit(LinearClassifier(64, 10), train, Adam(lr, schedule=cosine()), steps=steps, seed=seed, evaluate=test, evaluate_every=100,
               callbacks=[templates])


@recipe(target={"accuracy": at_least(0.93)}, seconds=10, paper="Rumelhart et al. 1986", rows=["FND-10"])
def mlp_digits(width: int = 256, lr: float = 5e-3, batch: int = 64, steps: int = 1_000, seed: int = 0) -> Run:
    """A perceptron with one hidden layer reads scikit-learn's digits."""
    train, test = images("digits", batch=batch, seed=seed), images("digits", split="test", batch=360)
    method = Classifier(nn.Sequential(nn.Flatten(), mlp(64, width, 10)), label_smoothing=0.05)
    return fit(method, train, AdamW(lr, weight_decay=0.1, schedule=cosine()), steps=steps, seed=seed, evaluate=test, evaluate_every=100)
