"""Averaging over views: the mean of probabilities, the ten crops, and a classifier that predicts by them."""

import copy
import pickle

import pytest
import torch
from torch import nn

from deepcanon.nets.conv_net import ConvNet
from deepcanon.vision.classify import Classifier
from deepcanon.vision.test_time import as_it_is, averaged, mirrored, moved, ten_views


class Pixels(nn.Module):
    """A net whose logits are the first row of pixels."""

    def forward(self, x):
        return x[:, 0, 0]


def test_probabilities_are_averaged_and_not_logits():
    x = torch.tensor([[[[4.0, 0.0, 0.0]]]])
    p = averaged(Pixels(), x, (as_it_is, mirrored)).exp()
    torch.testing.assert_close(p, (x.softmax(-1) + x.flip(-1).softmax(-1))[:, 0, 0] / 2)
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))
    assert torch.equal(averaged(Pixels(), x, (as_it_is,)), x[:, 0, 0])  # of one view, the logits
    with pytest.raises(ValueError, match="expected one view or more to average over, got none"):
        averaged(Pixels(), x, ())


def test_a_move_is_a_crop_of_the_padded_image():
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    assert moved(x, 1, 0)[0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert moved(x, 0, -1)[0, 0].tolist() == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]
    assert moved(x, -1, 1)[0, 0].tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]
    with pytest.raises(ValueError, match=r"a shift by \(3, 0\) leaves nothing of images of 3 x 3 pixels"):
        moved(x, 3, 0)


def test_the_ten_views_are_the_middle_and_the_corners_and_their_mirror_images():
    x = torch.rand(1, 1, 5, 5)
    seen = [view(x) for view in ten_views(1)]
    assert len({tuple(v.flatten().tolist()) for v in seen}) == 10
    assert torch.equal(seen[0], x)
    assert torch.equal(seen[1], x.flip(-1))
    assert all(any(torch.equal(v.flip(-1), w) for w in seen) for v in seen)
    corners = [moved(x, down, right) for down in (-1, 1) for right in (-1, 1)]
    assert all(any(torch.equal(c, v) for v in seen) for c in corners)


def test_a_classifier_predicts_and_is_measured_by_the_average():
    torch.manual_seed(0)
    net = ConvNet([[4]], 3, in_channels=1, image_size=8, hidden=(), dropout=0.0)
    method, x, y = Classifier(net, views=ten_views(2)), torch.rand(5, 1, 8, 8), torch.arange(5) % 3
    p = torch.stack([net(view(x)).softmax(1) for view in ten_views(2)]).mean(0)
    torch.testing.assert_close(method.predict(x), p)
    torch.testing.assert_close(method.metrics((x, y))["nll"], -p.log()[range(5), y])
    torch.testing.assert_close(
        method.loss((x, y)), Classifier(net).loss((x, y))
    )  # trained on the images themselves
    again = pickle.loads(pickle.dumps(copy.deepcopy(method)))
    assert torch.equal(again.predict(x), method.predict(x))
    assert (method.predict(x) - Classifier(net).predict(x)).abs().max() > 1e-3
