"""What training is steadied by: clipping, accumulation, early stopping, augmentation."""

import contextlib
import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from deepcanon.data import augment, images
from deepcanon.engine import SGD, EarlyStopping, fit, maximize, minimize, options
from deepcanon.engine.checkpoint import read_weights
from deepcanon.engine.clipping import clip_norm, clip_value
from deepcanon.layers.norm import BatchNorm, LayerNorm
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


@pytest.fixture
def one_rank():
    """A group of one process, on which parameters can be sharded."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.row("FND-37", "FND-38")
@pytest.mark.parametrize("clip", [clip_norm, clip_value])
def test_sharded_and_whole_gradients_are_clipped_together(clip, one_rank):
    whole, (first, second) = with_gradients(1.0, 3.0), with_gradients(1.0, 3.0)
    mesh = init_device_mesh("cpu", (1,))
    sharded = nn.Parameter(distribute_tensor(first.detach(), mesh, [Shard(0)]))
    sharded.grad = distribute_tensor(whole[0].grad.clone(), mesh, [Shard(0)])
    second.grad = whole[1].grad.clone()
    without = nn.Parameter(torch.zeros(2))
    clip([sharded, without, second], 0.5)
    clip(whole, 0.5)
    torch.testing.assert_close(sharded.grad.full_tensor(), whole[0].grad)
    torch.testing.assert_close(second.grad, whole[1].grad)
    assert without.grad is None
    assert flat(whole).norm().item() == pytest.approx(0.5, rel=1e-5) or clip is clip_value


# accumulation


class TwoTerms(Classifier):
    """Cross-entropy and a penalty of large logits."""

    def loss(self, batch):
        x, y = batch
        logits = self.net(x)
        nll, size = F.cross_entropy(logits, y), logits.square().mean()
        return {"loss": nll + 0.1 * size, "nll": nll, "size": size}


class Logits:
    """An evaluation that leaves the logits of some rows in the run folder."""

    def __init__(self, x):
        self.x = x

    def __call__(self, method):
        return {"mean_logit": method.net(self.x).mean().item()}

    def write(self, folder, method):
        np.save(folder / "logits.npy", method.net(self.x).numpy())


@pytest.mark.row("FND-19")
@pytest.mark.parametrize(("norm", "equal"), [(LayerNorm, True), (None, True), (BatchNorm, False)])
def test_sixteen_parts_of_two_are_a_batch_of_32_without_batch_statistics(norm, equal, workplace):
    """Worked example "Gradient accumulation with and without BatchNorm"."""
    data, runs = Steps(labelled, n=32, dtype=torch.float64), {}
    rows, _ = data.at(99)
    for parts in (1, 16):
        torch.manual_seed(0)
        method = TwoTerms(mlp(12, 16, 5, norm=norm)).double()
        warned = parts > 1 and not equal
        said = pytest.warns(UserWarning, match="is over each part") if warned else contextlib.nullcontext()
        with options(quiet=True), said:
            runs[parts] = fit(method, data, SGD(0.5), steps=3, accumulate=parts, log_every=1,
                              folder=workplace / f"in_{parts}", evaluate=Logits(rows))
    whole, apart = runs[1], runs[16]
    both = zip(whole.method.parameters(), apart.method.parameters(), strict=True)
    gap = max((p - q).abs().max().item() for p, q in both)
    assert gap < 1e-12 if equal else gap > 1e-3
    for run in runs.values():
        logits = run.method.eval().net(rows).detach().numpy()
        assert np.array_equal(np.load(run.folder / "logits.npy"), logits)
        assert run.results["mean_logit"] == pytest.approx(logits.mean())
    for row, other in zip(whole.history, apart.history, strict=True):
        assert other["loss"] == pytest.approx(other["nll"] + 0.1 * other["size"])
        assert (other["nll"] == pytest.approx(row["nll"], rel=1e-6)) == equal


# early stopping


CURVE = [0.5, 0.7, 0.6, 0.8, 0.79, 0.8, 0.78, 0.9, 0.9]


def labelled(n, generator):
    return torch.randn(n, 12, generator=generator), torch.randint(5, (n,), generator=generator)


def same_weights(one, other) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], value) for name, value in other.items())


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
    assert len(curve.seen) == stop
    same_weights(read_weights(workplace / "run" / "best.safetensors"), curve.seen[best - 1])
    same_weights(run.method.state_dict(), curve.seen[best - 1])                  # the best, not the last
    assert run.results["score"] == sign * CURVE[best - 1]
    assert not torch.equal(curve.seen[best - 1]["net.0.weight"], curve.seen[-1]["net.0.weight"])


@pytest.mark.row("FND-40")
def test_the_best_weights_of_a_run_with_averaged_weights_are_the_averaged_ones(workplace):
    """avg <- d avg + (1 - d) theta, d = min(0.7, (1 + t) / (10 + t)); the second evaluation is the best."""
    thetas, curve = [], Curve([0.1, 0.9, 0.2])

    class Seen:
        def step(self, trainer):
            thetas.append(trainer.method.net[0].weight.detach().clone())

    method = Classifier(mlp(12, 5))
    average = method.net[0].weight.detach().clone()
    with options(quiet=True):
        run = fit(method, Steps(labelled), SGD(0.1), steps=60, ema=0.7, evaluate=curve, evaluate_every=20,
                  callbacks=[Seen(), EarlyStopping(maximize("score"), 5)])
    for t, theta in enumerate(thetas[:40], 1):
        d = min(0.7, (1 + t) / (10 + t))
        average = d * average + (1 - d) * theta
    torch.testing.assert_close(run.method.net[0].weight.detach(), average)
    same_weights(run.method.state_dict(), curve.seen[1])
    assert (run.results["score"], run.steps) == (0.9, 60)


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
