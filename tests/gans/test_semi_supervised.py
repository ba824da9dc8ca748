"""K classes and that of the fakes; few labels and many examples."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deepcanon.engine.callbacks import evaluate
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import played


@pytest.fixture(name="gan")
def _gan():
    return SemiSupervisedGAN(mlp(2, 6).double(), mlp(6, 8, 4).double(), latent_dim=2)


@pytest.mark.row("GEN-81")
def test_the_classes_and_the_fake_one_sum_to_one(gan):
    x = torch.randn(9, 6, dtype=torch.float64)
    p = gan.probabilities(x)
    assert p.shape == (9, 5)
    torch.testing.assert_close(p.sum(1), torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close(p[:, :4] / p[:, :4].sum(1, keepdim=True), gan.predict(x))
    torch.testing.assert_close(1 - p[:, 4], gan.score(x).sigmoid())


@pytest.mark.row("GEN-81")
def test_the_loss_is_that_of_k_plus_one_classes(gan):
    x, y = torch.randn(6, 6, dtype=torch.float64), torch.tensor([0, -1, 3, -1, -1, 1])
    torch.manual_seed(1)
    fake = gan.draw(x).detach()
    torch.manual_seed(1)
    _, loss = next(gan.losses((x, y)))
    real, false = gan.probabilities(x)[:, 4], gan.probabilities(fake)[:, 4]
    known = y >= 0
    expected = cross_entropy(gan.classifier(x[known]), y[known]) - torch.log(1 - real).mean() - torch.log(false).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.row("GEN-81")
def test_the_generator_minimises_the_squared_distance_of_the_mean_features(gan):
    x, y = torch.randn(6, 6, dtype=torch.float64), torch.tensor([0, -1, 3, -1, -1, 1])
    taken = played(gan, x, y)
    assert list(taken) == ["classifier", "generator"]
    torch.randn(6, 2, dtype=torch.float64)                                       # of the classifier's update
    f, fake = gan.classifier[:-1], gan.generator(torch.randn(6, 2, dtype=torch.float64))
    torch.testing.assert_close(taken["generator"], ((f(x) - f(fake)).sum(0) / 6).square().sum())


@pytest.mark.row("GEN-81")
def test_the_classifiers_update_leaves_the_generator_alone_and_its_own_does_not(gan):
    updates = gan.losses((torch.randn(6, 6, dtype=torch.float64), torch.zeros(6, dtype=torch.int64)))
    next(updates)[1].backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    next(updates)[1].backward()
    assert all(p.grad.abs().sum() > 0 for p in gan.generator.parameters())


@pytest.mark.row("GEN-81")
def test_samples_are_generated_and_hits_are_counted():
    gan = SemiSupervisedGAN(nn.Linear(2, 3, bias=False), nn.Sequential(nn.Identity()), latent_dim=2)
    torch.manual_seed(1)
    x = gan.sample(4)
    torch.manual_seed(1)
    torch.testing.assert_close(x, torch.randn(4, 2) @ gan.generator.weight.detach().T)
    assert gan.metrics((torch.eye(3), torch.tensor([0, 1, 1])))["accuracy"].tolist() == [1, 1, 0]


def test_a_batch_without_any_label_trains_the_rest(gan):
    _, loss = next(gan.losses((torch.randn(6, 6, dtype=torch.float64), torch.full((6,), -1))))
    assert loss.isfinite()


def test_missing_labels_are_refused(gan):
    with pytest.raises(ValueError, match="with -1 in y where there is no label; y is missing"):
        next(gan.losses((torch.randn(6, 6, dtype=torch.float64),)))
    with pytest.raises(ValueError, match=r"labels in -1\.\.\d, got some from 0 to 99"):
        next(gan.losses((torch.randn(2, 6, dtype=torch.float64), torch.tensor([0, 99]))))


def test_examples_without_a_label_do_not_count_in_the_accuracy():
    x, y = torch.randn(6, 2), torch.tensor([0, 1, 2, -1, -1, -1])
    gan = SemiSupervisedGAN(mlp(2, 4, 2), mlp(2, 16, 3), latent_dim=2).eval()
    right = gan.predict(x).argmax(1)
    assert evaluate(gan, [(x, torch.where(y < 0, y, right))])["accuracy"] == 1.0
    with pytest.raises(ValueError, match=r"expected labels in -1..2, got some from 0 to 7"):
        gan.metrics((x, torch.tensor([0, 1, 2, 0, 0, 7])))
