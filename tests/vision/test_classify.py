"""The classifier: its loss against the formula, its doors, and a net it leaves as it found it."""

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.vision.classify import Classifier


class Logits(nn.Module):
    """A net whose input, images of one pixel and K channels, is its output."""

    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_loss_is_the_smoothed_cross_entropy(eps):
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4, dtype=torch.float64), torch.randint(4, (6,))
    q = torch.full((6, 4), eps / 4, dtype=torch.float64)
    q[range(6), y] += 1 - eps
    expected = -(q * logits.softmax(1).log()).sum(1).mean()
    torch.testing.assert_close(Classifier(Logits(), label_smoothing=eps).loss((logits, y)), expected)


def test_metrics_equal_scikit_learn():
    torch.manual_seed(0)
    logits, y = torch.randn(50, 4, 1, 1, dtype=torch.float64), torch.randint(4, (50,))
    method = Classifier(Logits(), label_smoothing=0.3)                           # smoothing is for training only
    metrics = method.metrics((logits, y))
    assert metrics["accuracy"].mean().item() == pytest.approx(accuracy_score(y, logits.argmax(1).flatten()))
    assert metrics["nll"].mean().item() == pytest.approx(log_loss(y, method.predict(logits)))


def test_always_normal_is_99_percent_accurate_when_one_of_100_is_an_anomaly():
    y = torch.zeros(100, dtype=torch.long)
    y[37] = 1
    always_normal = torch.tensor([1.0, 0.0]).expand(100, 2)
    assert Classifier(Logits()).metrics((always_normal, y))["accuracy"].mean().item() == pytest.approx(0.99)


@pytest.mark.parametrize("training", [True, False])
def test_predict_gives_probabilities_and_changes_nothing(training):
    method = Classifier(resnet_cifar(8, 5)).train(training)
    before = {k: v.clone() for k, v in method.state_dict().items()}
    x = torch.rand(4, 3, 16, 16)
    p = method.predict(x)
    torch.testing.assert_close(p.sum(1), torch.ones(4))
    torch.testing.assert_close(p[:1], method.predict(x[:1]))                     # an image does not depend on its neighbours
    assert method.training is training
    assert not p.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 10], r"labels must lie in 0\.\.9, got 0\.\.10"),
        ([0, -1, 3], r"labels must lie in 0\.\.9, got -1\.\.3"),
        ([0, -100, 3], r"labels must lie in 0\.\.9, got -100\.\.3"),             # which torch would leave out
        ([0, 1], r"expected one integer label an image, \(3,\), got torch\.int64 \(2,\)"),
        ([[0], [1], [2]], r"expected one integer label an image, \(3,\), got torch\.int64 \(3, 1\)"),
        ([0.0, 1.0, 2.0], r"expected one integer label an image, \(3,\), got torch\.float32 \(3,\)"),
    ],
)
def test_refuses_labels_that_name_no_class(labels, message, annotations_unchecked):
    batch = torch.rand(3, 1, 28, 28), torch.tensor(labels)
    for refuse in (Classifier(LeNet()).loss, Classifier(LeNet()).metrics):
        with pytest.raises(ValueError, match=message):
            refuse(batch)


def test_logits_have_one_row_an_image(annotations_unchecked):
    maps = Classifier(nn.Identity())
    with pytest.raises(ValueError, match=r"^expected logits \(B, K\), one row an image, got \(3, 5, 2, 2\)$"):
        maps.loss((torch.zeros(3, 5, 2, 2), torch.zeros(3, dtype=torch.long)))


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


def test_logits_of_nan_are_neither_right_nor_wrong():
    logits = torch.tensor([[-1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    accuracy = Classifier(Root()).metrics((logits, torch.tensor([0, 1, 1])))["accuracy"]
    torch.testing.assert_close(accuracy, torch.tensor([float("nan"), 1.0, 0.0]), equal_nan=True)
