"""The class and the box of the largest object."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.engine import Adam, Trainer
from deepcanon.vision.localize import Localizer


def squares(n: int, size: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images with one bright square of two brightnesses, the classes."""
    corner, side = torch.randint(0, 12, (n, 2)), torch.randint(6, 13, (n, 1))
    boxes, labels = torch.cat([corner, corner + side], 1).float(), torch.arange(n) % 2
    x = 0.1 * torch.rand(n, 1, size, size)
    for image, (x0, y0, x1, y1), k in zip(x, boxes.long().tolist(), labels.tolist()):
        image[0, y0:y1, x0:x1] += 0.4 + 0.4 * k
    return x, boxes[:, None], labels[:, None]


class Constant(nn.Module):
    def forward(self, x):
        return x.new_tensor([1.0, 2.0]).expand(len(x), 2)


@pytest.mark.row("VIS-15")
def test_the_loss_is_cross_entropy_and_squared_distance():
    method, (x, boxes, labels) = Localizer(Constant(), 2, 3), squares(5)
    logits, box = method(x)
    shares = torch.stack(
        [
            (boxes[:, 0, 0] + boxes[:, 0, 2]) / 48,
            (boxes[:, 0, 1] + boxes[:, 0, 3]) / 48,
            (boxes[:, 0, 2] - boxes[:, 0, 0]) / 24,
            (boxes[:, 0, 3] - boxes[:, 0, 1]) / 24,
        ],
        1,
    )
    terms = method.loss((x, boxes, labels))
    torch.testing.assert_close(terms["nll"], F.cross_entropy(logits, labels[:, 0]))
    torch.testing.assert_close(terms["square"], (box - shares).pow(2).sum() / 5)
    torch.testing.assert_close(terms["loss"], terms["nll"] + terms["square"])


@pytest.mark.row("VIS-15")
def test_of_several_objects_the_largest_counts():
    method, x = Localizer(Constant(), 2, 3), torch.zeros(1, 1, 20, 40)
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [10.0, 5.0, 30.0, 15.0], [0.0, 0.0, 0.0, 0.0]]])
    box, k, there = method.largest(x, boxes, torch.tensor([[0, 2, -1]]))
    assert (box.tolist(), k.tolist(), there.tolist()) == ([[10, 5, 30, 15]], [2], [True])
    assert method.largest(x, boxes, torch.tensor([[0, -1, -1]]))[1].tolist() == [0]
    torch.testing.assert_close(method.shares(box, x), torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    torch.testing.assert_close(method.pixels(torch.tensor([[0.5, 0.5, 0.5, 0.5]]), x), box)
    assert method.pixels(torch.tensor([[0.5, 0.5, -0.5, 0.5]]), x).tolist() == [[20, 5, 20, 15]]


@pytest.mark.row("VIS-15")
def test_an_answer_is_right_with_its_class_and_more_than_half_of_the_box():
    method, x = Localizer(Constant(), 2, 2), torch.zeros(3, 1, 20, 20)
    with torch.no_grad():
        for layer in (method.classes, method.box):
            layer.weight.zero_()
        method.classes.bias.copy_(torch.tensor([0.0, 1.0]))
        method.box.bias.copy_(torch.tensor([0.25, 0.25, 0.5, 0.5]))  # (0, 0, 10, 10)
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0]], [[0.0, 0.0, 10.0, 20.0]], [[0.0, 0.0, 10.0, 10.0]]])
    measured = method.metrics((x, boxes, torch.tensor([[1], [1], [0]])))
    assert measured["accuracy"].tolist() == [1, 1, 0]
    assert measured["iou"].tolist() == [1, 0.5, 1]
    assert measured["localized"].tolist() == [1, 0, 0]
    found = method.detect(x)
    assert found[0].boxes.tolist() == [[0, 0, 10, 10]]
    assert found[0].labels.tolist() == [1]
    torch.testing.assert_close(found[0].scores, torch.tensor([0.0, 1.0]).softmax(0)[1:])


@pytest.mark.row("VIS-15")
def test_squares_are_found_after_a_short_run():
    torch.manual_seed(0)
    train, test = squares(400), squares(100)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 36, 64),
        nn.ReLU(),
    )
    method = Localizer(net, 64, 2)

    class Batches:
        def at(self, step):
            rows = torch.arange(40 * step, 40 * step + 40) % 400
            return tuple(part[rows] for part in train)

    Trainer(method, Batches(), Adam(3e-3), total=400).run()
    measured = {name: v.mean().item() for name, v in method.eval().metrics(test).items()}
    assert measured["iou"] > 0.8
    assert measured["accuracy"] > 0.95


@pytest.mark.row("VIS-15")
def test_images_without_an_object_count_not_at_all():
    method, (x, boxes, labels) = Localizer(Constant(), 2, 3), squares(6)
    some = (x[:4], boxes[:4], labels[:4])
    hidden = torch.cat([labels[:4], torch.full((2, 1), -1)])
    right, ours = method.loss(some), method.loss((x, boxes, hidden))
    assert all(torch.allclose(ours[name], right[name]) for name in right)
    assert method.weight((x, boxes, hidden)) == 4
    assert method.metrics((x, boxes, hidden))["weight"].tolist() == [1, 1, 1, 1, 0, 0]
    assert method.loss((x, boxes, torch.full_like(labels, -1)))["loss"] == 0
