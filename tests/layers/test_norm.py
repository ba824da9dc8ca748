"""Normalisation layers against torch's, what their groups of values imply, and inputs standardised by the training set alone."""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import arrays, images
from deepcanon.layers import norm
from deepcanon.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Standardize, standardize
from deepcanon.nets.resnet import conv_norm

PAIRS = {
    "batch1d": (BatchNorm(6), nn.BatchNorm1d(6), (5, 6)),
    "batch1d sequence": (BatchNorm(6), nn.BatchNorm1d(6), (5, 6, 7)),
    "batch2d": (BatchNorm(6), nn.BatchNorm2d(6), (5, 6, 4, 3)),
    "batch2d slow": (BatchNorm(6, eps=1e-3, momentum=0.01), nn.BatchNorm2d(6, eps=1e-3, momentum=0.01), (5, 6, 4, 3)),
    "layer": (LayerNorm(6), nn.LayerNorm(6), (5, 4, 6)),
    "group": (GroupNorm(3, 6), nn.GroupNorm(3, 6), (5, 6, 4, 3)),
    "group of features": (GroupNorm(3, 6), nn.GroupNorm(3, 6), (5, 6)),
    "instance1d": (InstanceNorm(), nn.InstanceNorm1d(6), (5, 6, 4)),
    "instance2d": (InstanceNorm(), nn.InstanceNorm2d(6), (5, 6, 4, 3)),
}


@pytest.mark.row("FND-28", "FND-29", "FND-30")
@pytest.mark.parametrize("name", PAIRS)
def test_equals_torchs_layer_in_training_and_in_use(name):
    ours, theirs, shape = PAIRS[name][0].double(), PAIRS[name][1].double(), PAIRS[name][2]
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    for p in theirs.parameters():
        nn.init.normal_(p)
    ours.load_state_dict(theirs.state_dict())
    for mode in (True, True, False):
        x = (2 * torch.randn(shape, dtype=torch.float64) + 1).requires_grad_()
        y, expected = ours.train(mode)(x), theirs.train(mode)(x)
        torch.testing.assert_close(y, expected, atol=1e-10, rtol=0)
        downstream = torch.randn(shape, dtype=torch.float64)
        got = torch.autograd.grad(y, [x, *ours.parameters()], downstream)
        want = torch.autograd.grad(expected, [x, *theirs.parameters()], downstream)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b, atol=1e-9, rtol=0)
    for key, value in theirs.state_dict().items():                               # the running statistics of both
        torch.testing.assert_close(ours.state_dict()[key], value)


@pytest.mark.row("FND-28")
def test_batch_norm_gives_mean_beta_and_deviation_gamma():
    layer = BatchNorm(3)
    nn.init.uniform_(layer.weight, 0.5, 2.0)
    nn.init.normal_(layer.bias)
    y = layer(3 * torch.randn(64, 3, 8, 8) - 5)
    std, mean = torch.std_mean(y, (0, 2, 3), correction=0)
    torch.testing.assert_close(mean, layer.bias, atol=1e-5, rtol=0)
    torch.testing.assert_close(std, layer.weight, atol=1e-5, rtol=0)


@pytest.mark.row("FND-28")
def test_batch_norm_does_not_train_on_a_single_value():
    x = torch.randn(1, 5)
    with pytest.raises(ValueError, match=r"two values a channel or more, got a batch of shape \(1, 5\)"):
        BatchNorm(5)(x)
    assert BatchNorm(5).eval()(x).allclose(x, atol=1e-4)


@pytest.mark.row("FND-29")
def test_layer_norm_forgets_shift_and_scale_and_the_rest_of_the_batch():
    layer, x = LayerNorm(32, eps=1e-12).double(), torch.randn(8, 32, dtype=torch.float64)
    torch.testing.assert_close(layer(7 * x - 3), layer(x), atol=1e-10, rtol=0)
    assert torch.equal(layer(x)[:1], layer(x[:1]))


@pytest.mark.row("FND-30")
def test_group_norm_lies_between_layer_norm_and_instance_norm():
    x = torch.randn(4, 6, 5, 3)
    torch.testing.assert_close(GroupNorm(1, 6)(x), F.layer_norm(x, (6, 5, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(GroupNorm(6, 6)(x), InstanceNorm()(x))


@pytest.mark.parametrize(("build", "message"), [
    (lambda: GroupNorm(4, 6), "4 groups do not divide 6 channels"),
    (lambda: GroupNorm(0, 6), "0 groups do not divide 6 channels"),
    (lambda: BatchNorm(3, eps=0.0), "eps above 0, got 0.0"),
    (lambda: Standardize(0.5, 0.0), "deviations above 0, got 0.0"),
    (lambda: Standardize([0.1, 0.2], [1.0, -1.0]), "deviations above 0"),
    (lambda: InstanceNorm()(torch.ones(2, 3, 1)), "two places a channel or more"),
    (lambda: standardize([(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), None)]), r"channels \[1\] are constant"),
])
def test_refuses_what_cannot_be_normalised(build, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)             # as a user meets it
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.row("FND-27")
def test_takes_a_training_set_to_mean_0_and_deviation_1():
    rows = torch.rand(500, 3, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1])
    for train in (images("digits", shuffle=False), arrays(rows, shuffle=False)):
        layer = standardize(train)
        z = layer(torch.cat([x for x, _ in train]).double())
        std, mean = torch.std_mean(z, [i for i in range(z.ndim) if i != 1], correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
        torch.testing.assert_close(std, torch.ones_like(std), atol=1e-6, rtol=0)


@pytest.mark.row("FND-27")
def test_is_fitted_on_the_training_set_alone():
    train, test = images("digits", shuffle=False), images("digits", split="test")
    x = torch.cat([x for x, _ in train])
    layer = standardize(train)
    torch.testing.assert_close(layer.mean.squeeze(), x.mean())
    torch.testing.assert_close(layer.std.squeeze(), x.std(correction=0))
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    z = layer(torch.cat([x for x, _ in test]))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())
    assert 1e-3 < z.mean().abs() < 0.2                                           # other images: near 0, not 0


def test_one_constant_a_channel():
    layer = Standardize([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    expected = torch.tensor([0.9, 0.4, 0.175]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    torch.testing.assert_close(layer(torch.ones(2, 3, 4, 4)), expected)


@pytest.mark.row("VIS-02")
def test_padding_a_centred_image_adds_the_mean_intensity():
    layer = Standardize(0.3, 0.2)
    padded = F.pad(layer(torch.rand(1, 1, 4, 4)), (1, 1, 1, 1))
    assert (padded * layer.std + layer.mean)[..., 0, :].allclose(layer.mean)


@pytest.mark.row("VIS-02")
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_border_of_half_the_kernel_keeps_the_resolution(kernel):
    assert conv_norm(2, 3, kernel)(torch.rand(2, 2, 9, 10)).shape == (2, 3, 9, 10)


def test_constants_travel_with_the_weights():
    saved = nn.Sequential(Standardize(0.1, 0.3)).state_dict()
    other = nn.Sequential(Standardize())
    other.load_state_dict(saved)
    torch.testing.assert_close(other(torch.full((1, 1, 1, 1), 0.4)), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize("layer", [norm.BatchNorm(6), norm.LayerNorm(6), norm.GroupNorm(1, 6), norm.Standardize([0.5] * 6)])
def test_other_channels_are_refused_and_not_broadcast(layer):
    x = torch.randn(4, 1, 6, 1) if not isinstance(layer, norm.LayerNorm) else torch.randn(4, 1)
    with pytest.raises(ValueError, match="expected 6 channels along axis 1, got shape"):
        layer(x)


def test_float64_keeps_its_digits_or_is_refused():
    x = 1e6 + 1e-3 * torch.randn(50, 2, dtype=torch.float64)
    y = norm.standardize([(x,)])(x)
    assert y.mean(0).abs().max() < 1e-5
    assert norm.standardize([((x - 1e6).float(),)]).mean.dtype == torch.float32
    assert norm.standardize([(torch.rand(9, 2),)])(torch.rand(9, 2)).dtype == torch.float32
    with pytest.raises(ValueError, match=r"as the running averages are, got torch\.float64"):
        norm.BatchNorm(2)(x)
    assert norm.BatchNorm(2).double()(x).dtype == torch.float64
