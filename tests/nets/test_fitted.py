"""Nets fitted to the size of the images: shares of the paper's widths, stems, what they read."""

import pytest
import torch

from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.nets.fitted import fitted_alexnet, fitted_densenet, fitted_googlenet, fitted_vgg


@pytest.mark.parametrize("build", [fitted_alexnet, fitted_vgg, fitted_googlenet, fitted_densenet])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (3, 64, 64)])
def test_images_of_these_sizes_are_read(build, shape):
    net = build(shape, 5, scale=0.1).eval()
    assert net(torch.rand(2, *shape)).shape == (2, 5)
    assert net.features(torch.rand(2, *shape)).shape[0] == 2


def test_a_scale_is_a_share_of_the_widths_of_the_paper():
    with torch.device("meta"):
        alex, whole = (fitted_alexnet((3, 224, 224), 10, scale=scale) for scale in (0.25, 1.0))
        vgg = fitted_vgg((3, 32, 32), 10, scale=1.0)
    convolutions = [[m.out_channels for m in net.maps if hasattr(m, "out_channels")] for net in (alex, whole)]
    assert convolutions == [[24, 64, 96, 96, 64], [96, 256, 384, 384, 256]]
    assert (alex.hidden[1].out_features, whole.hidden[1].out_features) == (1024, 4096)
    assert sum(isinstance(m, LocalResponseNorm) for m in whole.modules()) == 2
    assert vgg.stages[0][0].out_channels == 64
    assert vgg.hidden[0].out_features == 1024


def test_large_images_are_made_small_by_a_stem():
    for build, left in ((fitted_googlenet, 8), (fitted_densenet, 16)):
        small, large = (build((3, side, side), 5, scale=0.1).eval() for side in (63, 64))
        assert small.stem(torch.rand(1, 3, 63, 63)).shape[-1] == 63
        assert large.stem(torch.rand(1, 3, 64, 64)).shape[-1] == left


@pytest.mark.parametrize("build", [fitted_alexnet, fitted_vgg])
def test_images_that_are_not_square_are_refused(build):
    with pytest.raises(ValueError, match="this net reads square images, got 16 x 24"):
        build((3, 16, 24), 5)


def test_rectangles_are_read_where_space_is_averaged():
    assert fitted_densenet((3, 16, 24), 5, scale=0.1)(torch.rand(2, 3, 16, 24)).shape == (2, 5)


@pytest.mark.parametrize("scale", [0.0, 1.5])
def test_a_scale_is_in_0_to_1(scale):
    for build in (fitted_alexnet, fitted_vgg, fitted_googlenet, fitted_densenet):
        with pytest.raises(ValueError, match=r"expected a scale as a share of the paper's widths in \(0, 1\]"):
            build((3, 16, 16), 5, scale=scale)
