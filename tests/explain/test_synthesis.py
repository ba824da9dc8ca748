"""Images that are made: maximised units and classes, inverted features, dreams."""

import pytest
import torch
from torch import nn

from deepcanon.explain import Prior, class_visualization, dream, invert_features, maximize
from deepcanon.explain.class_images import blurred, without_small
from deepcanon.explain.dreaming import dream_gradient, moved, octave_sizes
from deepcanon.explain.functional import activations
from deepcanon.explain.inversion import feature_distance, roughness
from tests.explain.nets import convolutional, digits


@pytest.mark.row("EXP-05")
def test_the_optimum_of_a_linear_unit_is_w_over_two_lambda():
    w = torch.randn(3, 4, dtype=torch.float64)
    x, history = maximize(
        lambda x: x.flatten(1) @ w.flatten(),
        torch.zeros(2, 3, 4, dtype=torch.float64),
        rate=0.1,
        steps=300,
        decay=0.8,
    )
    torch.testing.assert_close(x, (w / 1.6).expand(2, -1, -1), atol=1e-9, rtol=0)
    assert history.shape == (301, 2)
    assert (history.diff(dim=0) >= -1e-9).all()  # from 0 to the optimum it rises
    assert history[0].tolist() == [0, 0]
    torch.testing.assert_close(history[-1], (x.flatten(1) @ w.flatten()))
    one, _ = maximize(lambda x: x @ w[0], torch.ones(1, 4, dtype=torch.float64), rate=0.1, steps=1, decay=0.5)
    torch.testing.assert_close(one, 1 + 0.1 * (w[:1] - 1))  # w - 2 lam x


@pytest.mark.row("EXP-05")
def test_with_the_other_sign_or_none_it_diverges():
    w = torch.randn(4, dtype=torch.float64)
    sizes = [
        maximize(lambda x: x @ w, torch.zeros(1, 4, dtype=torch.float64), rate=0.1, steps=100, decay=decay)[
            0
        ].norm()
        for decay in (1.0, 0.0, -1.0)
    ]
    assert sizes[0] < w.norm()
    torch.testing.assert_close(sizes[1], 10 * w.norm())  # rate times steps
    assert sizes[2] > 1e6 * w.norm()


@pytest.mark.row("EXP-05")
def test_the_activation_of_a_unit_rises(net):
    x, history = maximize(
        lambda x: activations(net, "2", x)[:, 4, 2, 2], torch.rand(3, 1, 8, 8), rate=0.1, steps=20, decay=0.01
    )
    assert (history.diff(dim=0) > 0).all()
    torch.testing.assert_close(activations(net, "2", x)[:, 4, 2, 2].detach(), history[-1])
    assert not x.requires_grad


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0, "steps": 1}, "expected a rate above 0 and 1 step or more, got 0.0 and 1"),
        ({"rate": 0.1, "steps": 0}, "expected a rate above 0 and 1 step or more, got 0.1 and 0"),
        (
            {"rate": 0.1, "steps": 2000, "decay": -50.0},
            "the score is not finite after .* steps: lower the rate, or raise the decay",
        ),
    ],
)
def test_ascents_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        maximize(lambda x: x.sum(1), torch.rand(1, 4), **settings)
    with pytest.raises(ValueError, match=r"expected a score of shape \(2,\), one an input, got \(2, 4\)"):
        maximize(lambda x: x, torch.rand(2, 4), rate=0.1, steps=1)
    with pytest.raises(ValueError, match="expected finite values"):
        maximize(lambda x: x.sum(1), torch.full((1, 4), torch.nan), rate=0.1, steps=1)


@pytest.mark.row("EXP-06")
def test_a_second_net_recognises_the_classes(net, other_net):
    start, y = torch.full((10, 1, 8, 8), 0.3), torch.arange(10)
    with torch.no_grad():
        before = net(start)[y, y]
    x = class_visualization(net, y, start, steps=80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        after, seen = net(x)[y, y], other_net(x).argmax(1)
    assert (after > before + 3).all()
    assert (seen == y).sum() >= 9
    assert x.min() >= 0
    assert x.max() <= 1
    assert not x.requires_grad
    again = class_visualization(net, 3, start[3:4], steps=80, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, x[3:4], atol=1e-4, rtol=1e-4)


@pytest.mark.row("EXP-06")
def test_a_blur_takes_away_high_frequencies():
    x = torch.rand(2, 3, 16, 12)
    y = blurred(x, 1.0)
    assert y.shape == x.shape
    energy = [torch.fft.rfft2(t).abs()[..., 4:, 4:].square().sum() for t in (x, y)]
    assert energy[1] < 0.03 * energy[0]
    torch.testing.assert_close(
        blurred(torch.full((1, 2, 6, 6), 0.7), 1.5), torch.full((1, 2, 6, 6), 0.7)
    )  # means and edges stay
    assert torch.equal(blurred(x, 0.0), x)
    point = torch.zeros(1, 1, 15, 15)
    point[0, 0, 7, 7] = 1
    profile = blurred(point, 1.2)[0, 0]
    torch.testing.assert_close(profile[7, 8] / profile[7, 7], torch.tensor(1 / (2 * 1.2**2)).neg().exp())
    torch.testing.assert_close(profile, profile.T)
    torch.testing.assert_close(profile.sum(), torch.tensor(1.0))
    assert blurred(x.bfloat16(), 1.0).dtype == torch.bfloat16


@pytest.mark.row("EXP-06")
def test_the_smallest_pixels_are_set_to_zero():
    u = torch.tensor([[[[1.0, -2.0], [3.0, -4.0]], [[0.0, 2.0], [-1.0, 0.0]]]])  # norms 1, 8, 10, 16
    assert without_small(u, 0.5)[0].tolist() == [[[0, 0], [3, -4]], [[0, 0], [-1, 0]]]
    assert without_small(u, 0.25)[0, 0].tolist() == [[0, -2], [3, -4]]
    assert torch.equal(without_small(u, 0.1), u)


@pytest.mark.row("EXP-06")
def test_the_prior_makes_pictures_smoother_and_smaller(net):
    start = torch.full((4, 1, 8, 8), 0.5)

    def made(**prior):
        plain = {"decay": 0.0, "blur": 0.0, "floor": 0.0, "jitter": 0}
        return (
            class_visualization(
                net,
                torch.arange(4),
                start,
                steps=24,
                prior=Prior(**plain | prior),
                generator=torch.Generator().manual_seed(0),
            )
            - start
        )

    free = made()
    assert roughness(made(blur=0.7)).sum() < 0.7 * roughness(free).sum()
    assert made(decay=1.0).square().sum() < 0.9 * free.square().sum()
    assert (made(floor=0.5) == 0).float().mean() >= 0.5
    assert not torch.equal(made(jitter=2), free)


@pytest.mark.row("EXP-06")
def test_after_the_softmax_other_logits_may_fall_instead():
    """A class whose logit the image hardly moves: log p rises by lowering the other, the logit itself does
    not."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    net[1].weight.data = torch.tensor([[0.01, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]])
    start, prior = torch.full((1, 1, 2, 2), 0.5), Prior(0.0, 0.0, 1, 0.0, 0)
    before = net(start)[0]
    rises = [
        net(class_visualization(net, 0, start, steps=10, prior=prior, after_softmax=after))[0] - before
        for after in (False, True)
    ]
    assert rises[0][0] > 0
    assert rises[0][1].abs() < 1e-6
    assert rises[1][1] < -1  # the other falls
    assert rises[1][0] < rises[0][0]


@pytest.mark.parametrize(
    ("target", "start", "prior", "message"),
    [
        (10, torch.full((1, 1, 8, 8), 0.5), Prior(), r"expected classes in 0\.\.9, got 10\.\.10"),
        (
            1,
            torch.full((1, 1, 8, 8), 1.5),
            Prior(),
            r"expected a start of pictures \(B, C, H, W\) in \[0, 1\], got \(1, 1, 8, 8\) from 1.5 to 1.5",
        ),
        (
            1,
            torch.full((1, 1, 8, 8), 0.5),
            Prior(every=0),
            "expected blur and jitter of 0 or more, every of 1 or more",
        ),
        (1, torch.full((1, 1, 8, 8), 0.5), Prior(floor=1.0), r"floor in \[0, 1\)"),
    ],
)
def test_class_pictures_that_are_none_are_refused(target, start, prior, message):
    with pytest.raises(ValueError, match=message):
        class_visualization(convolutional(), target, start, prior=prior, steps=2)


def test_features_are_inverted_and_early_layers_keep_more(net):
    x = digits("test")[0][:6]
    found = {layer: invert_features(net, layer, x, steps=150) for layer in ("0", "4")}
    (early, first), (late, second) = found["0"], found["4"]
    assert first.max() < 0.05
    assert second.max() < 0.05
    with torch.no_grad():
        for layer, (image, distance) in found.items():
            torch.testing.assert_close(
                feature_distance(activations(net, layer, image), activations(net, layer, x)), distance
            )
    assert (
        (early - x).square().mean() < 0.02 < (late - x).square().mean()
    )  # the pooled layer has lost the place
    assert early.min() >= 0
    assert early.max() <= 1
    smooth, _ = invert_features(net, "0", x, steps=50, smoothness=1.0)
    assert (roughness(smooth) < roughness(early)).all()


def test_distances_and_roughness_by_hand():
    a, wanted = torch.tensor([[1.0, 2.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert feature_distance(a, wanted).tolist() == pytest.approx([8 / 25, 2])
    assert roughness(torch.tensor([[[[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]]]])).tolist() == [1 + 4 + 1 + 9]
    for settings in ({"smoothness": -1.0}, {"rate": 0.0}, {"steps": 0}):
        with pytest.raises(
            ValueError, match="expected smoothness of 0 or more, a rate above 0 and 1 step or more, got"
        ):
            invert_features(convolutional(), "0", torch.rand(1, 1, 8, 8), **settings)


@pytest.mark.row("EXP-07")
def test_the_signal_of_a_dream_is_the_gradient_of_half_the_squared_norm():
    net, x = convolutional().double(), torch.rand(2, 1, 9, 9, dtype=torch.float64)
    y = x.clone().requires_grad_()
    a = net[:3](y)
    (expected,) = torch.autograd.grad(a, y, grad_outputs=a.detach())  # the activations, carried back
    torch.testing.assert_close(dream_gradient(net, "2", x), expected)
    (expected,) = torch.autograd.grad(0.5 * net[:3](y).square().sum(), y)
    torch.testing.assert_close(dream_gradient(net, "2", x), expected)


@pytest.mark.row("EXP-07")
def test_moving_and_moving_back_changes_nothing():
    x = torch.rand(2, 3, 7, 9)
    assert torch.equal(moved(moved(x, (3, -4)), (-3, 4)), x)
    assert torch.equal(moved(x, (1, 0))[:, :, 1:], x[:, :, :-1])


@pytest.mark.row("EXP-07")
def test_a_dream_strengthens_its_layer(net):
    x = digits("test")[0][:4]
    for octaves in (1, 3):
        dreamt = dream(
            net,
            "2",
            x,
            octaves=octaves,
            steps=5,
            rate=0.02,
            jitter=1,
            generator=torch.Generator().manual_seed(0),
        )
        with torch.no_grad():
            before, after = (activations(net, "2", t).square().sum((1, 2, 3)) for t in (x, dreamt))
        assert (after > 1.2 * before).all()
        assert dreamt.shape == x.shape
        assert dreamt.min() >= 0
        assert dreamt.max() <= 1
    small = dream(net, "2", x, octaves=1, steps=1, rate=0.001, jitter=0)
    inside = (x > 0.01) & (x < 0.99)
    assert (small - x)[inside].abs().mean() == pytest.approx(0.001, rel=0.5)  # the mean change of a pixel


def test_images_are_moved_by_all_shifts_up_to_the_jitter():
    """Of an image with one bright point, where the point is when the layer sees it."""
    net, x, seen = convolutional(), torch.full((1, 1, 9, 9), 0.3), set()
    x[0, 0, 4, 4] = 1.0

    def look(module, inputs, output):
        place = inputs[0].detach().flatten().argmax().item()
        seen.add((place // 9 - 4, place % 9 - 4))

    handle = net[0].register_forward_hook(look)
    every = {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    dream(net, "2", x, octaves=1, steps=60, rate=1e-6, jitter=1)
    assert seen == every
    seen.clear()
    class_visualization(net, 0, x, steps=60, rate=1e-6, prior=Prior(jitter=1))
    assert seen == every
    handle.remove()


def test_octaves_grow_to_the_size_of_the_image():
    assert octave_sizes((140, 70), 3, 1.4) == [(71, 36), (100, 50), (140, 70)]
    assert octave_sizes((2, 1), 3, 4.0) == [(1, 1), (1, 1), (2, 1)]
    seen = []
    net = convolutional()
    handle = net[0].register_forward_hook(lambda m, i, o: seen.append(tuple(i[0].shape[2:])))
    dream(net, "2", torch.rand(1, 1, 14, 14), octaves=2, steps=2)
    handle.remove()
    assert seen == [(10, 10), (10, 10), (14, 14), (14, 14)]


def test_what_was_dreamt_small_is_in_the_large_picture():
    """A layer that sees even grey alone: the small octave darkens or lightens the whole picture, the last
    adds to it."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    x = torch.full((1, 1, 8, 8), 0.4)
    one, two = (dream(net, "0", x, octaves=n, steps=3, rate=0.01, jitter=0) for n in (1, 2))
    torch.testing.assert_close(one, x + 0.03)
    torch.testing.assert_close(two, x + 0.06)


@pytest.mark.parametrize(
    "settings", [{"octaves": 0}, {"steps": 0}, {"scale": 1.0}, {"rate": 0.0}, {"jitter": -1}]
)
def test_dreams_that_are_none_are_refused(settings):
    with pytest.raises(
        ValueError,
        match="expected octaves and steps of 1 or more, scale above 1, rate above 0 and jitter of 0 or more",
    ):
        dream(convolutional(), "2", torch.rand(1, 1, 8, 8), **settings)
    with pytest.raises(ValueError, match=r"expected images in \[0, 1\], got some from 2 to 2"):
        dream(convolutional(), "2", torch.full((1, 1, 8, 8), 2.0))
