"""The convolutional generator and critic."""

import math

import pytest
import torch
from torch import nn

from deepcanon.gans.gan import GAN
from deepcanon.layers.norm import BatchNorm2d
from deepcanon.nets.dcgan import critic, discriminator64, generator, generator64


@pytest.mark.row("GEN-59")
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


@pytest.mark.row("GEN-59")
def test_the_form_of_64_pixels_is_all_of_convolutions():
    maker, judge = generator64(width=4), discriminator64(width=4)
    images = maker(torch.randn(2, 100))
    assert images.shape == (2, 3, 64, 64)
    assert 0 <= images.min() < images.max() <= 1
    assert judge(images).shape == (2, 1)
    kinds = {type(layer) for net in (maker, judge) for layer in net}
    assert kinds == {nn.Unflatten, nn.Flatten, nn.Conv2d, nn.ConvTranspose2d, BatchNorm2d, nn.ReLU,
                     nn.LeakyReLU, nn.Sigmoid}
    assert all(layer.stride == (2, 2) for layer in judge if isinstance(layer, nn.Conv2d) and layer is not judge[-2])


@pytest.mark.row("GEN-59")
def test_weights_begin_as_in_the_paper():
    """N(0, 0.02^2), the gains of normalisations N(1, 0.02^2); slopes of 0.2 below zero."""
    for net in (generator64(), discriminator64()):
        for layer in net:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | BatchNorm2d):
                w, centre = layer.weight, float(isinstance(layer, BatchNorm2d))
                assert abs(w.mean() - centre) < 4.5 * 0.02 / math.sqrt(w.numel())
                assert abs(w.std() / 0.02 - 1) < 4.5 / math.sqrt(2 * w.numel())
            assert not isinstance(layer, nn.LeakyReLU) or layer.negative_slope == 0.2


@pytest.mark.row("GEN-59")
def test_the_nets_have_the_parameters_of_the_paper():
    """4x4 kernels without biases but where no normalisation follows, and two numbers a normalised channel."""
    up = 16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3 + 2 * (512 + 256 + 128 + 64)
    down = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 1 + 2 * (128 + 256 + 512)
    for net, count in ((generator64(), up), (discriminator64(), down)):
        assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.row("GEN-59")
@pytest.mark.parametrize(("image_size", "channels"), [(8, 1), (12, 3)])
def test_the_small_nets_have_a_quarter_of_the_side_and_twice_the_width_a_layer(image_size, channels):
    s, c = image_size // 4, 8
    up, down = (
        generator(16, channels=channels, image_size=image_size, width=c),
        critic(channels=channels, image_size=image_size, width=c),
    )
    up_shapes = [(4 * c * s * s, 16), (4 * c, 2 * c, 4, 4), (2 * c, channels, 4, 4)]
    down_shapes = [(c, channels, 4, 4), (2 * c, c, 4, 4), (1, 2 * c * s * s)]
    for net, shapes in ((up, up_shapes), (down, down_shapes)):
        assert [
            tuple(layer.weight.shape) for layer in net if hasattr(layer, "weight") and layer.weight.ndim > 1
        ] == shapes
    assert [layer.negative_slope for layer in down if isinstance(layer, nn.LeakyReLU)] == [0.2, 0.2]
    assert not any(isinstance(layer, BatchNorm2d) for layer in down)


@pytest.mark.row("GEN-59")
def test_it_learns_shapes_and_stays_finite():
    """Squares and crosses of 8x8 pixels."""
    shapes = torch.zeros(2, 1, 8, 8)
    shapes[0, :, 2:6, 2:6] = 1
    shapes[1, :, 3:5], shapes[1, :, :, 3:5] = 1, 1
    gan = GAN(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4)
    optimizers = {name: torch.optim.Adam(getattr(gan, name).parameters(), 5e-3, (0.5, 0.9)) for name in ("discriminator", "generator")}
    before = nearest(gan.sample(64), shapes)
    for _ in range(120):
        for player, loss in gan.losses((shapes[torch.randint(2, (32,))],)):
            optimizers[player].zero_grad()
            loss.backward()
            optimizers[player].step()
            assert loss.isfinite()
    assert nearest(gan.sample(64), shapes) < 0.5 * before


def nearest(x, shapes):
    """The mean error of a pixel from the nearest shape."""
    return torch.cdist(x.flatten(1), shapes.flatten(1), p=1).min(1).values.mean().item() / 64
