"""The convolutional generator and critic."""

import pytest
import torch

from deepcanon.nets.dcgan import critic, generator


@pytest.mark.parametrize(("image_size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_shapes_and_range(image_size, channels):
    images = generator(16, channels=channels, image_size=image_size, width=4)(torch.randn(5, 16))
    assert images.shape == (5, channels, image_size, image_size)
    assert images.min() >= 0
    assert images.max() <= 1
    assert critic(channels=channels, image_size=image_size, width=4)(images).shape == (5, 1)


def test_a_score_depends_on_its_image_alone():
    net = critic(image_size=8, width=4)
    x = torch.rand(6, 1, 8, 8)
    torch.testing.assert_close(net(x)[:2], net(x[:2]))


def test_a_side_that_four_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="four divides, got 30"):
        generator(16, image_size=30)
