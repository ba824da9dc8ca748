"""What training is steadied by: clipping, early stopping, augmentation; of accumulation speaks claim C-033."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import augment, images
from deepcanon.engine import SGD, EarlyStopping, fit, maximize, minimize, options
from deepcanon.engine.checkpoint import read_weights
from deepcanon.engine.clipping import clip_norm, clip_value
from deepcanon.nets.perceptron import mlp
from deepcanon.vision.classify import Classifier
from tests.engine.shapes import Steps

# clipping


def with_gradients(*sizes: float) -> list[nn.Parameter]:
    params = [nn.Parameter(torch.zeros(5, 3)) for _ in sizes]
    for p, size in zip(params, sizes):
        p.grad = size * torch.randn(5, 3)
    return params


def flat(params) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in params])


@pytest.mark.row("FND-37")
@pytest.mark.parametrize("c", [0.1, 1.0, 100.0])
def test_clipping_by_value_is_by_element(c):
    params = with_gradients(1.0, 3.0)
    before = flat(params).clone()
    clip_value(params, c)
    assert torch.equal(flat(params), before.clamp(max=c).maximum(torch.tensor(-c)))
    inside = before.abs() <= c
    assert torch.equal(flat(params)[inside], before[inside])
    assert flat(params).abs().max() <= c
    torch.manual_seed(0)
    theirs = with_gradients(1.0, 3.0)
    nn.utils.clip_grad_value_(theirs, c)
    assert torch.equal(flat(params), flat(theirs))


@pytest.mark.row("FND-38")
@pytest.mark.parametrize("c", [0.1, 1.0, 1e4])
def test_clipping_by_norm_keeps_the_direction(c):
    params = with_gradients(1.0, 3.0)
    before = flat(params).clone()
    clip_norm(params, c)
    assert flat(params).norm().item() == pytest.approx(min(before.norm().item(), c), rel=1e-5)
    assert F.cosine_similarity(flat(params), before, 0).item() == pytest.approx(1, abs=1e-6)
    torch.manual_seed(0)
    theirs = with_gradients(1.0, 3.0)
    nn.utils.clip_grad_norm_(theirs, c)
    torch.testing.assert_close(flat(params), flat(theirs), atol=0, rtol=1e-6)


# early stopping


CURVE = [0.5, 0.7, 0.6, 0.8, 0.79, 0.8, 0.78, 0.9, 0.9]


def labelled(n, generator):
    return torch.randn(n, 12, generator=generator), torch.randint(5, (n,), generator=generator)


class Curve:
    """A recorded curve, one value an evaluation; remembers the weights that it was asked about."""

    def __init__(self, values):
        self.values, self.seen = iter(values), []

    def __call__(self, method):
        self.seen.append({k: v.clone() for k, v in method.state_dict().items()})
        return {"score": next(self.values)}


@pytest.mark.row("FND-40")
@pytest.mark.parametrize(("patience", "stop", "best"), [(1, 3, 2), (2, 6, 4), (3, 7, 4), (4, 9, 8)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_run_ends_where_patience_does_and_the_best_weights_are_kept(patience, stop, best, sign, workplace):
    curve, better = Curve([sign * value for value in CURVE]), maximize("score") if sign > 0 else minimize("score")
    with options(folder=workplace / "run", quiet=True):
        run = fit(Classifier(mlp(12, 5)), Steps(labelled), SGD(0.1), steps=2 * len(CURVE), evaluate=curve, evaluate_every=2,
                  callbacks=[EarlyStopping(better, patience)])
    assert run.steps == 2 * stop
    kept = read_weights(workplace / "run" / "best.safetensors")
    assert all(torch.equal(kept[k], v) for k, v in curve.seen[best - 1].items())
    run.method.load_state_dict(kept)
    assert not all(torch.equal(v, curve.seen[-1][k]) for k, v in run.method.state_dict().items())


# augmentation


@pytest.mark.row("FND-41")
def test_two_flips_are_none_and_a_padded_crop_keeps_the_shape():
    x, generator = torch.rand(6, 3, 9, 7), torch.Generator().manual_seed(0)
    assert torch.equal(augment.flip(1.0)(augment.flip(1.0)(x, generator), generator), x)
    assert augment.crop(2)(x, generator).shape == x.shape
    assert augment.crop(2, size=5)(x, generator).shape == (6, 3, 5, 5)
    assert torch.equal(augment.crop(0)(x, generator), x)


@pytest.mark.row("FND-41")
def test_augmented_pictures_keep_their_labels_and_follow_the_seed():
    change = augment.compose(augment.crop(1), augment.flip())
    plain, changed, again, other = (images("digits", batch=64, seed=seed, augment=how) for seed, how in
                                    [(3, None), (3, change), (3, change), (4, change)])
    for step in (0, 5, 40):
        assert torch.equal(plain.at(step)[1], changed.at(step)[1])
        assert not torch.equal(plain.at(step)[0], changed.at(step)[0])
        assert torch.equal(changed.at(step)[0], again.at(step)[0])
        assert not torch.equal(changed.at(step)[0], other.at(step)[0])


def test_early_stopping_without_patience_left_says_so(workplace):
    with options(folder=workplace / "run", quiet=True):
        run = fit(Classifier(mlp(12, 5)), Steps(labelled), SGD(0.1), steps=99, evaluate=Curve([1.0] + [math.pi / 4] * 9), evaluate_every=1,
                  callbacks=[EarlyStopping(maximize("score"), 5)])
    assert run.steps == 6
