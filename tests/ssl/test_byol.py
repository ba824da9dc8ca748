"""BYOL: its loss is 2 - 2 cos, the teacher is an average that no gradient reaches, and it does not collapse where the plain agreement does."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import augment, images
from deepcanon.engine import Adam, Trainer
from deepcanon.nets.perceptron import mlp
from deepcanon.ssl.byol import BYOL
from deepcanon.ssl.linear_probe import probe


def small(decay: float = 0.9, **options) -> BYOL:
    """Of rows of eight numbers."""
    return BYOL(mlp(8, 16, 6), projector=mlp(6, 16, 5, **options), predictor=mlp(5, 16, 5, **options), decay=decay)


@pytest.mark.row("SSL-10")
def test_the_loss_is_two_minus_twice_the_cosine():
    method, (a, b) = small().double(), torch.randn(2, 7, 8, dtype=torch.float64)
    q = method.predictor(method.student(a))
    cos = (q * method.teacher(b)).sum(1) / (q.norm(dim=1) * method.teacher(b).norm(dim=1))
    torch.testing.assert_close(method.distance(a, b), (2 - 2 * cos).mean(), atol=1e-12, rtol=0)
    units = F.normalize(q, dim=1), F.normalize(method.teacher(b), dim=1)
    torch.testing.assert_close(method.distance(a, b), (units[0] - units[1]).square().sum(1).mean(), atol=1e-12, rtol=0)
    player, loss = next(method.losses((torch.stack([a, b], 1), torch.zeros(7))))
    assert player == ""
    torch.testing.assert_close(loss, method.distance(a, b) + method.distance(b, a))


@pytest.mark.row("SSL-10")
def test_the_loss_lies_between_its_ends():
    """The same view, and a predictor that agrees or that turns round."""
    x = torch.randn(9, 8)
    for predictor, expected in ((nn.Identity(), 0.0), (mlp(5, 5), 4.0)):
        method = BYOL(mlp(8, 6), projector=mlp(6, 5), predictor=predictor)
        if expected:
            with torch.no_grad():
                predictor[0].weight.copy_(-torch.eye(5)), predictor[0].bias.zero_()
        assert method.distance(x, x).item() == pytest.approx(expected, abs=1e-5)
    losses = torch.stack([next(small().losses((torch.randn(4, 2, 8), None)))[1] for _ in range(50)])
    assert ((losses >= 0) & (losses <= 8)).all()


@pytest.mark.row("SSL-10", "FND-48")
def test_the_teacher_is_the_average_of_the_students():
    method = small(decay=0.9).double()
    first, m = copy.deepcopy(method.teacher.state_dict()), 0.9
    trainer, students = Trainer(method, None, Adam(0.05)), []
    for _ in range(4):
        trainer.train_step((torch.randn(6, 2, 8, dtype=torch.float64), None))
        students.append(copy.deepcopy(method.student.state_dict()))
    for name, value in method.teacher.state_dict().items():
        closed = m**4 * first[name] + (1 - m) * sum(m ** (3 - j) * students[j][name] for j in range(4))
        torch.testing.assert_close(value, closed, atol=1e-12, rtol=0)
        assert not torch.equal(value, first[name])


@pytest.mark.row("SSL-10")
def test_no_gradient_reaches_the_teacher():
    method = small()
    _, loss = next(method.losses((torch.randn(6, 2, 8), None)))
    loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for net in (method.student, method.predictor) for p in net.parameters())


def twins(n: int = 128) -> torch.Tensor:
    """Two noisy copies of each row."""
    return torch.randn(n, 1, 8) + 0.3 * torch.randn(n, 2, 8)


def spread(z: torch.Tensor) -> float:
    """Mean deviation of the units of unit vectors, 1 / sqrt(d) for directions that are spread evenly."""
    return F.normalize(z, dim=1).std(0).mean().item()


@pytest.mark.row("SSL-10")
def test_it_does_not_collapse_where_the_agreement_alone_does():
    method = small(decay=0.97, norm=nn.BatchNorm1d)
    trainer = Trainer(method, None, Adam(6e-3))
    plain = nn.Sequential(mlp(8, 16, 6), mlp(6, 16, 5))                          # no teacher, no predictor, no stopped gradient
    optimizer = torch.optim.Adam(plain.parameters(), lr=6e-3)
    for _ in range(200):
        views = twins()
        trainer.train_step((views, None))
        optimizer.zero_grad()
        (2 - 2 * F.cosine_similarity(plain(views[:, 0]), plain(views[:, 1])).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        x = torch.randn(500, 8)
        assert spread(method.student(x)) > 0.1 / math.sqrt(5)
        assert spread(plain(x)) < 0.1 / math.sqrt(5)


@pytest.mark.row("SSL-01")
def test_encode_leaves_the_net_as_it_was_and_views_are_drawn_apart():
    method = small(norm=nn.BatchNorm1d).train()
    before = copy.deepcopy(method.state_dict())
    assert probe(method.encode, [(torch.randn(20, 8), torch.arange(20) % 3)], [(torch.randn(20, 8), torch.arange(20) % 3)]) <= 1
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert method.training
    pairs = images("digits", batch=16, augment=augment.views(augment.crop(1)))
    x, _ = pairs.at(3)
    assert x.shape == (16, 2, 1, 8, 8)
    assert not torch.equal(x[:, 0], x[:, 1])
    assert torch.equal(pairs.shard(1, 2).at(3)[0], x[1::2])


@pytest.mark.parametrize("views", [torch.randn(4, 8), torch.randn(4, 3, 8)])
def test_what_is_no_pair_of_views_is_refused(views):
    with pytest.raises(ValueError, match="expected two views of each image"):
        next(small().losses((views, None)))


def test_a_decay_beyond_one_is_refused():
    with pytest.raises(ValueError, match="decay"):
        list(small(decay=1.5).losses((torch.randn(4, 2, 8), None)))
