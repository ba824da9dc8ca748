"""Saliency, SmoothGrad, integrated gradients, guided backpropagation and occlusion, against formulas and
captum."""

import captum.attr
import pytest
import torch
from torch import nn

from deepcanon.explain import (
    deconvolution,
    guided_backprop,
    in_unit_range,
    integrated_gradients,
    occlusion,
    saliency,
    saliency_map,
    smooth_grad,
    unit_gradient,
)
from deepcanon.explain.functional import activations
from deepcanon.explain.path_integral import gauss_legendre
from deepcanon.nets.resnet import resnet_cifar
from tests.explain.nets import convolutional


def resnet() -> nn.Module:
    """With shortcuts; its rectifiers are in place, which captum's hooks do not take."""
    net = resnet_cifar(8, 4, width=4).eval()
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net


@pytest.fixture(
    params=[lambda: convolutional(3, 4).eval(), resnet], ids=["convolutional", "resnet"], name="build"
)
def _build(request):
    return request.param


@pytest.mark.row("EXP-03")
def test_saliency_equals_differences_and_the_weights_of_a_linear_net(build):
    net, x = build().double(), torch.rand(2, 3, 9, 9, dtype=torch.float64)
    slope, step = saliency(net, x, 1), 1e-5
    for place in [(0, 0, 0), (1, 4, 5), (2, 8, 8)]:
        offset = torch.zeros_like(x)
        offset[(slice(None), *place)] = step
        with torch.no_grad():
            difference = (net(x + offset) - net(x - offset))[:, 1] / (2 * step)
        torch.testing.assert_close(slope[(slice(None), *place)], difference, atol=1e-4, rtol=1e-4)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(27, 4))
    x = torch.rand(2, 3, 3, 3)
    torch.testing.assert_close(
        saliency(linear, x, 2), linear[1].weight[2].view(3, 3, 3).expand(2, -1, -1, -1)
    )
    largest = linear(x).argmax(1)
    torch.testing.assert_close(saliency(linear, x).flatten(1), linear[1].weight[largest])


@pytest.mark.row("EXP-03")
def test_the_gradient_of_a_unit_is_autograds():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    x.requires_grad_()
    a = net[:4](x)
    (expected,) = torch.autograd.grad(a[:, 3, 2, 1].sum(), x)
    torch.testing.assert_close(unit_gradient(net, "3", x, (3, 2, 1)), expected)
    torch.testing.assert_close(
        unit_gradient(net, net[2], x, (3, 2, 1)), torch.autograd.grad(net[:3](x)[:, 3, 2, 1].sum(), x)[0]
    )
    for unit in [(16, 0, 0), (0, 4, 0), (0, -1, 0), (0, 0)]:
        with pytest.raises(ValueError, match=r"expected a unit of a layer of shape \(16, 4, 4\), got \("):
            unit_gradient(net, "3", x, unit)


def test_maps_take_the_largest_channel_and_lie_in_the_unit_range():
    x = torch.tensor([[[[1.0, -4.0]], [[-2.0, 3.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    assert saliency_map(x).tolist() == [[[2, 4]], [[0, 0]]]
    assert in_unit_range(x)[0].flatten().tolist() == [0.25, -1, -0.5, 0.75]
    assert (in_unit_range(x)[1] == 0).all()  # a flat map divides by nothing
    assert in_unit_range(x.bfloat16()).dtype == torch.bfloat16


def test_saliency_equals_captum(build):
    net, x, y = build(), torch.rand(3, 3, 12, 12), torch.tensor([0, 3, 1])
    ours = saliency(net, x, y)
    torch.testing.assert_close(
        ours, captum.attr.Saliency(net).attribute(x.clone().requires_grad_(), y, abs=False), atol=1e-5, rtol=0
    )


@pytest.mark.row("EXP-04")
def test_rectifiers_pass_what_the_rules_say(rectified):
    x, up = torch.tensor([[1.0, 1.0, -1.0]]), torch.tensor([1.0, -1.0, 1.0])
    assert saliency(rectified, x, lambda o: o @ up).tolist() == [[1, -1, 0]]
    assert guided_backprop(rectified, x, lambda o: o @ up).tolist() == [[1, 0, 0]]
    assert deconvolution(rectified, x, lambda o: o @ up).tolist() == [[1, 0, 1]]


class Rectified(nn.Module):
    """A rectifier, written in one of many ways."""

    def __init__(self, apply):
        super().__init__()
        self.apply_it = apply

    def forward(self, x):
        return self.apply_it(1.0 * x)


def discarded(x):
    """In place, what it gives back not used."""
    x.relu_()
    return x


WAYS = {
    "module": nn.ReLU(),
    "module_in_place": nn.ReLU(inplace=True),
    "functional": nn.functional.relu,
    "functional_in_place": lambda x: nn.functional.relu(x, inplace=True),
    "positional": lambda x: nn.functional.relu(x, True),
    "functional_": nn.functional.relu_,
    "torch": torch.relu,
    "torch_": torch.relu_,
    "method": lambda x: x.relu(),
    "discarded": discarded,
    "clamp": lambda x: x.clamp(min=0),
    "clamp_positional": lambda x: torch.clamp(x, 0.0),
    "clamp_min": lambda x: x.clamp_min(0),
}


@pytest.fixture(params=WAYS)
def rectified(request):
    return Rectified(WAYS[request.param])


@pytest.mark.parametrize(
    "other", [nn.Tanh(), lambda x: x.clamp(min=-1), lambda x: x.clamp(0, 1), lambda x: x.clamp(max=0.0)]
)
def test_a_net_without_rectifiers_has_no_guided_signal(other):
    for rule in (guided_backprop, deconvolution):
        with pytest.raises(
            ValueError,
            match=r"Rectified has no rectifier \(ReLU\): the guided signal would be the plain gradient",
        ):
            rule(Rectified(other), torch.rand(1, 3), 0)


@pytest.mark.row("EXP-04")
def test_guided_signal_of_two_layers_by_hand():
    """h = relu(W x), y = relu(v h): with x = (1, 2), W = [[1, 0], [-1, 1], [2, -3]] only h_1 and h_2 are
    on."""
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False), nn.ReLU())
    net[0].weight.data = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [2.0, -3.0]])
    net[2].weight.data = torch.tensor([[2.0, -1.0, 5.0], [-1.0, 3.0, 1.0]])
    x = torch.tensor([[1.0, 2.0]])  # h = (1, 1, 0), y = (1, 2)
    assert saliency(net, x, 0).tolist() == [[3, -1]]  # 2 (1, 0) - 1 (-1, 1)
    assert guided_backprop(net, x, 0).tolist() == [[2, 0]]  # 2 (1, 0), the -1 is stopped
    assert deconvolution(net, x, 0).tolist() == [[12, -15]]  # 2 (1, 0) + 5 (2, -3)
    assert guided_backprop(net, x, 1).tolist() == [[-3, 3]]  # 3 (-1, 1)


@pytest.mark.row("EXP-04")
def test_with_positive_weights_the_guided_signal_is_the_gradient():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    for p in net.parameters():
        p.data.abs_()
    torch.testing.assert_close(guided_backprop(net, x, 3), saliency(net, x, 3))


@pytest.mark.row("EXP-04")
def test_signals_behind_every_rectifier_are_not_negative():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    signals = []
    handles = [
        net[i].register_full_backward_hook(lambda m, to_input, from_output: signals.append(to_input[0]))
        for i in (1, 3)
    ]
    guided_backprop(net, x, 3)
    for handle in handles:
        handle.remove()
    assert len(signals) == 2
    assert all((s >= 0).all() and s.any() for s in signals)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(guided_backprop, captum.attr.GuidedBackprop), (deconvolution, captum.attr.Deconvolution)],
)
@pytest.mark.filterwarnings("ignore:Setting .* hooks on ReLU:UserWarning")
def test_rules_for_rectifiers_equal_captum(build, ours, theirs):
    net, x, y = build(), torch.rand(3, 3, 12, 12), torch.tensor([0, 3, 1])
    ours = ours(net, x, y)
    torch.testing.assert_close(ours, theirs(net).attribute(x.clone().requires_grad_(), y), atol=1e-5, rtol=0)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_rectifier_in_place_has_the_same_signal(in_place):
    torch.manual_seed(3)
    plain = convolutional()
    torch.manual_seed(3)
    net, x = convolutional(in_place=in_place), torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(guided_backprop(net, x, 0), guided_backprop(plain, x, 0))
    torch.testing.assert_close(saliency(net, x, 0), saliency(plain, x, 0))


def test_smooth_gradients_equal_captum_on_the_same_noise(build):
    net, x = build(), torch.rand(1, 3, 12, 12)
    torch.manual_seed(5)
    ours = smooth_grad(net, x, 2, sigma=0.3, samples=7)
    torch.manual_seed(5)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(net))
    theirs = tunnel.attribute(
        x.clone(),
        nt_type="smoothgrad",
        nt_samples=7,
        nt_samples_batch_size=1,
        stdevs=0.3,
        target=2,
        abs=False,
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_smooth_gradients_are_means_over_the_noise():
    class Cubic(nn.Module):
        def forward(self, x):
            return x.pow(3)

    x = torch.full((1, 4), 2.0)
    torch.testing.assert_close(smooth_grad(Cubic(), x, 1, sigma=0.0, samples=3), saliency(Cubic(), x, 1))
    smooth = smooth_grad(Cubic(), x.double(), lambda o: o.sum(1), sigma=0.5, samples=4_000)
    torch.testing.assert_close(
        smooth, torch.full((1, 4), 12.75, dtype=torch.float64), atol=0.25, rtol=0
    )  # 3 (x^2 + sigma^2)
    again = [
        smooth_grad(Cubic(), x, 0, sigma=0.1, samples=2, generator=torch.Generator().manual_seed(i))
        for i in (1, 1, 2)
    ]
    assert torch.equal(again[0], again[1])
    assert not torch.equal(again[0], again[2])
    for sigma, samples in [(-0.1, 5), (0.1, 0), (float("nan"), 5)]:
        with pytest.raises(ValueError, match="expected sigma of 0 or more and 1 sample or more, got"):
            smooth_grad(Cubic(), x, 1, sigma=sigma, samples=samples)


class Example(nn.Module):
    """x_1^2 + 3 x_2."""

    def forward(self, x):
        return x[:, 0] ** 2 + 3 * x[:, 1]


def test_integrated_gradients_of_the_worked_example():
    x = torch.tensor([[2.0, 1.0]])
    torch.testing.assert_close(integrated_gradients(Example(), x), torch.tensor([[4.0, 3.0]]))
    torch.testing.assert_close(
        integrated_gradients(Example(), x, steps=1), torch.tensor([[4.0, 3.0]])
    )  # exact for a line
    from_one = integrated_gradients(Example(), x, baseline=torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(from_one, torch.tensor([[3.0, 6.0]]))  # 2^2 - 1^2 and 3 (1 - -1)


def test_integrated_gradients_are_complete():
    torch.manual_seed(2)
    net, x = (
        nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double(),
        torch.randn(4, 3, 2, 2).double(),
    )
    start = torch.randn(3, 2, 2).double()
    attribution = integrated_gradients(net, x, torch.tensor([0, 1, 2, 0]), baseline=start, steps=60)
    gained = (net(x) - net(start[None]))[range(4), [0, 1, 2, 0]]
    torch.testing.assert_close(attribution.sum((1, 2, 3)), gained, atol=1e-7, rtol=0)


def test_the_class_is_that_of_the_input_all_along_the_path():
    net = nn.Linear(2, 2, bias=False).double()
    net.weight.data = torch.tensor(
        [[1.0, 0.0], [-1.0, 0.5]]
    ).double()  # at the baseline the other class leads
    x, start = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([-1.0, 0.0]).double()
    torch.testing.assert_close(
        integrated_gradients(net, x, baseline=start), torch.tensor([[2.0, 0.0]]).double()
    )
    torch.testing.assert_close(
        smooth_grad(net, torch.tensor([[0.01, 0.0]]).double(), sigma=5.0, samples=9), net.weight.data[:1]
    )


@pytest.mark.parametrize("at_once", [1, 300, 2**18])
def test_integrated_gradients_equal_captum(build, at_once, monkeypatch):
    monkeypatch.setattr("deepcanon.explain.path_integral.AT_ONCE", at_once)
    net, x, y = build(), torch.rand(2, 3, 12, 12), torch.tensor([3, 1])
    peer = captum.attr.IntegratedGradients(net)
    torch.testing.assert_close(
        integrated_gradients(net, x, y, steps=20), peer.attribute(x, target=y, n_steps=20), atol=1e-5, rtol=0
    )
    start = torch.rand(1, 3, 12, 12)
    theirs = peer.attribute(x, start.expand_as(x), target=y, n_steps=20)
    torch.testing.assert_close(
        integrated_gradients(net, x, y, baseline=start, steps=20), theirs, atol=1e-5, rtol=0
    )


def test_the_baseline_is_in_the_units_of_the_input():
    """Of a net that takes normalised pixels, zero is the mean colour and black is -mean / std."""
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False)), torch.rand(1, 3, 2, 2)
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    normalised = (x - mean) / std
    from_black = integrated_gradients(net, normalised, 0, baseline=-mean / std)
    inside = nn.Sequential(Normalised(mean, std), net)
    torch.testing.assert_close(from_black, integrated_gradients(inside, x, 0), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(from_black, integrated_gradients(net, normalised, 0))
    grey = torch.full((3, 2, 2), 51, dtype=torch.uint8)
    torch.testing.assert_close(
        integrated_gradients(net, x, 0, baseline=grey), integrated_gradients(net, x, 0, baseline=0.2)
    )


class Normalised(nn.Module):
    """(x - mean) / std."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x):
        return (x - self.mean) / self.std


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "expected 1 step or more, got 0"),
        ({"baseline": torch.zeros(3)}, r"expected a baseline that broadcasts to \(1, 2\), got \(3,\)"),
        ({"baseline": float("nan")}, "expected a baseline of finite values"),
    ],
)
def test_paths_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(Example(), torch.rand(1, 2), **settings)


def test_nodes_and_weights_integrate_polynomials_exactly():
    nodes, weights = gauss_legendre(5)
    for degree in range(10):
        assert (weights * nodes**degree).sum().item() == pytest.approx(1 / (degree + 1), abs=1e-14)
    assert (weights * nodes**10).sum().item() != pytest.approx(1 / 11, abs=1e-9)


@pytest.mark.parametrize(
    ("window", "stride", "height", "width"), [(4, 2, 12, 12), (3, 3, 12, 12), (4, 3, 11, 12), (5, 1, 6, 9)]
)
def test_occlusion_equals_captum(build, window, stride, height, width):
    net, x, y = build(), torch.rand(2, 3, height, width), torch.tensor([3, 1])
    theirs = captum.attr.Occlusion(net).attribute(
        x, sliding_window_shapes=(3, window, window), strides=(3, stride, stride), target=y, baselines=0.3
    )
    ours = occlusion(net, x, y, window=window, stride=stride, fill=0.3)
    torch.testing.assert_close(ours[:, None].expand_as(theirs), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_occlusion_of_a_sum_counts_what_is_hidden(at_once, monkeypatch):
    monkeypatch.setattr("deepcanon.explain.occluding.AT_ONCE", at_once)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False))
    net[1].weight.data.fill_(1.0)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    quarters = occlusion(net, x, 0, window=2, stride=2)
    assert quarters[0, 0, 0] == 0 + 1 + 4 + 5
    assert quarters[0, 3, 3] == 10 + 11 + 14 + 15
    half = occlusion(net, x, lambda o: o[:, 0], window=2)  # a stride of 1
    torch.testing.assert_close(half[0, 1, 1], torch.tensor((10.0 + 14 + 26 + 30) / 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 5}, "expected a window of 1 to 4 pixels, got 5"),
        ({"window": 0}, "expected a window of 1 to 4 pixels, got 0"),
        (
            {"window": 2, "stride": 3},
            "expected a stride of 1 to 2 pixels, so that every pixel is covered, got 3",
        ),
        ({"window": 2, "stride": 0}, "expected a stride of 1 to 2 pixels"),
    ],
)
def test_windows_that_are_none_are_refused(settings, message, annotations_unchecked):
    with pytest.raises(ValueError, match=message):
        occlusion(convolutional(), torch.rand(1, 1, 4, 6), 0, **settings)
    with pytest.raises(ValueError, match=r"expected images \(B, C, H, W\), got \(2, 3\)"):
        occlusion(convolutional(), torch.rand(2, 3), 0)


def test_activations_of_one_layer_run_no_later_one():
    net = convolutional()
    net.append(nn.Linear(3, 3))  # which would fail
    assert activations(net, "3", torch.rand(1, 1, 8, 8)).shape == (1, 16, 4, 4)
