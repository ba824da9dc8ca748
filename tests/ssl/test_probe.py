"""The linear probe against scikit-learn's logistic regression, and on features that are better than pixels."""

import copy
import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from deepcanon.data import images
from deepcanon.engine import Adam, Trainer
from deepcanon.nets.perceptron import mlp
from deepcanon.ssl.byol import BYOL
from deepcanon.ssl.linear_probe import LinearProbe, encoded, probe


@pytest.mark.row("SSL-01")
def test_the_probe_is_logistic_regression():
    h, y = torch.randn(200, 5, dtype=torch.float64), torch.arange(200) % 3
    h[:, 0] += y
    h[:, 4] = 7.0                                                                # says nothing
    fitted = LinearProbe(penalty=0.01, iterations=500).fit(h, y)
    other = LogisticRegression(C=1 / (0.01 * len(y)), tol=1e-10, max_iter=5_000).fit(((h - fitted.mean) / fitted.std).numpy(), y.numpy())
    expected = torch.from_numpy(other.predict_proba(((h - fitted.mean) / fitted.std).numpy()))
    torch.testing.assert_close(fitted.predict(h), expected, atol=1e-4, rtol=0)
    assert fitted.accuracy(h, y) == (expected.argmax(1) == y).float().mean()


def rings(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two rings about the origin, of radius 1 and 2."""
    y = torch.arange(n) % 2
    angle = 2 * math.pi * torch.rand(n)
    return (1 + y)[:, None] * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2), y


def turned(x: torch.Tensor) -> torch.Tensor:
    """Each point turned about the origin by an angle of its own."""
    angle = 2 * math.pi * torch.rand(len(x))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    return (turn @ x[:, :, None]).squeeze(2)


@pytest.mark.row("SSL-01", "SSL-10")
def test_learnt_features_beat_raw_pixels_and_the_probe_leaves_the_encoder_as_it_is():
    """Views of a point are turns of it: what they share is the radius, which no linear probe reads from the coordinates."""
    method = BYOL(mlp(2, 32, 3), projector=mlp(3, 32, 3, norm=nn.BatchNorm1d), predictor=mlp(3, 32, 3, norm=nn.BatchNorm1d), decay=0.95)
    trainer = Trainer(method, None, Adam(5e-3))
    for _ in range(150):
        x, y = rings(128)
        trainer.train_step((torch.stack([turned(x), turned(x)], 1), y))
    before = copy.deepcopy(method.state_dict())
    train, test = [rings(400)], [rings(400)]
    assert probe(method.encode, train, test) > probe(nn.Identity(), train, test) + 0.2
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.row("SSL-01")
def test_the_probe_on_the_pixels_of_the_digits():
    train, test = (images("digits", split=split, batch=400, shuffle=False) for split in ("train", "test"))
    h, y = encoded(nn.Identity(), test)
    assert (h.shape, y.shape) == ((360, 64), (360,))
    assert 0.88 < probe(nn.Identity(), train, test) < 0.97


def test_nothing_to_tell_apart_is_refused():
    with pytest.raises(ValueError, match="of two classes or more"):
        LinearProbe().fit(torch.randn(4, 2), torch.ones(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="as many features as labels"):
        LinearProbe().fit(torch.randn(4, 2), torch.arange(3))
