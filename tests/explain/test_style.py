"""Losses of style and content, transfer by optimisation, and a net that learns one style."""

import pytest
import torch
from torch import nn

from deepcanon.explain import FastStyle, content_loss, gram, style_loss, transfer_style
from deepcanon.explain.style_transfer import features
from deepcanon.nets.style_net import StyleNet
from tests.explain.nets import convolutional, digits


@pytest.mark.row("EXP-08")
def test_a_gram_matrix_holds_mean_products():
    f = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # two channels, two positions
    assert gram(f).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]
    f = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    g = gram(f)
    torch.testing.assert_close(g, torch.einsum("bkij,bmij->bkm", f, f) / 24)
    torch.testing.assert_close(g, g.mT)
    assert torch.linalg.eigvalsh(g).min() > -1e-12
    torch.testing.assert_close(gram(f.bfloat16()), gram(f.bfloat16().float()))


@pytest.mark.row("EXP-08")
def test_style_does_not_know_where():
    f = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    shuffled = f.flatten(2)[:, :, torch.randperm(24)].view_as(f)
    torch.testing.assert_close(gram(shuffled), gram(f))
    assert style_loss([shuffled], [gram(f)]).abs().max() < 1e-25
    assert (content_loss(shuffled, f) > 1).all()


@pytest.mark.row("EXP-08")
def test_style_loss_by_hand():
    f, a = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]]), torch.tensor([[[2.0, 0.0], [0.0, 5.0]]])
    assert style_loss([f], [a], [1.0]).tolist() == [0.25 + 0.25 + 0.25]
    assert style_loss([f, f], [a, gram(f)], [2.0, 5.0]).tolist() == [1.5]
    assert style_loss([f, f], [a, a]).tolist() == [0.375]  # 1 / C^2 of each layer
    pair = style_loss([torch.cat([f, 0 * f])], [a], [1.0])
    assert pair.tolist() == [0.75, 4 + 25]


@pytest.mark.row("EXP-09")
def test_content_loss_is_zero_only_for_equal_features():
    f, c = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [1.0, -1.0]])
    assert content_loss(f, c).tolist() == [4, 2]
    f = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = content_loss(f, f.detach())
    assert loss.tolist() == [0, 0]
    assert (torch.autograd.grad(loss.sum(), f)[0] == 0).all()
    assert content_loss(f.flip(3), f).min() > 0


@pytest.mark.row("EXP-09")
def test_the_gradient_at_the_content_image_is_zero(net):
    x = digits("test")[0][:2].requires_grad_()
    f = net[:3](x)
    assert (torch.autograd.grad(content_loss(f, f.detach()).sum(), x)[0] == 0).all()


def test_losses_of_other_shapes_are_refused(annotations_unchecked):
    f = torch.rand(2, 3, 4, 4)
    for style, weights in ([], None), ([torch.rand(1, 3, 3)], [1.0, 2.0]):
        with pytest.raises(ValueError, match="expected one Gram matrix and one weight a layer, got 1 layers"):
            style_loss([f], style, weights)
    for shape in [(1, 4, 4), (3, 3, 3), (3, 3)]:
        with pytest.raises(ValueError, match=r"expected a Gram matrix \(1 or 2, 3, 3\), got"):
            style_loss([f], [torch.rand(shape)])
    with pytest.raises(ValueError, match=r"expected features of shape \(2, 3\), got \(2, 4\)"):
        content_loss(torch.rand(2, 4), torch.rand(2, 3))
    for shape in [(2, 3), (2, 3, 0, 4), (2, 3, 4, 0)]:
        with pytest.raises(ValueError, match=r"expected maps \(B, C, h, w\), got \(2, 3"):
            gram(torch.rand(shape))


def pictures() -> tuple[torch.Tensor, torch.Tensor, nn.Module]:
    """A blob, stripes, and a net of random filters, which are enough for textures."""
    torch.manual_seed(0)
    row, column = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    blob = (-((row - 8) ** 2 + (column - 14) ** 2) / 20).exp()[None, None]
    stripes = (0.5 + 0.5 * ((row + column) * 1.2).sin())[None, None]
    return blob, stripes, convolutional(width=12)


LAYERS = {"content_layer": "2", "style_layers": ["0", "2"]}


@pytest.mark.row("EXP-10")
def test_the_total_loss_falls():
    content, style, net = pictures()
    x, history = transfer_style(net, content, style, **LAYERS, steps=60)
    assert history.shape == (61,)
    assert history[-1] < 0.2 * history[0]
    assert (history[1:].diff() < 0).float().mean() > 0.8
    assert x.min() >= 0  # clamped in units of pixels
    assert x.max() <= 1
    assert not x.requires_grad


@pytest.mark.row("EXP-10")
def test_without_style_the_content_comes_back_and_without_content_the_style():
    content, style, net = pictures()
    grey = torch.full_like(content, 0.5) + 0.01 * torch.randn_like(content)

    def distances(x):
        with torch.no_grad():
            f, *maps = features(net, ["2", "0", "2"], x)
            wanted = features(net, ["2"], content)[0]
            return content_loss(f, wanted).item(), style_loss(
                maps, [gram(s) for s in features(net, ["0", "2"], style)]
            ).item()

    only_content, _ = transfer_style(net, content, style, **LAYERS, style_weight=0.0, start=grey, steps=300)
    only_style, _ = transfer_style(net, content, style, **LAYERS, content_weight=0.0, start=grey, steps=300)
    at_start = distances(grey)
    assert distances(only_content)[0] < 0.01 * at_start[0]
    assert (only_content - content).square().mean() < 0.1 * (grey - content).square().mean()
    assert distances(only_style)[1] < 0.02 * at_start[1]
    assert distances(only_style)[0] > 10 * distances(only_content)[0]
    same, history = transfer_style(net, content, style, **LAYERS, style_weight=0.0, steps=3)
    assert torch.equal(same, content)  # the content itself is the minimum
    assert (history == 0).all()


def test_features_come_in_the_order_that_was_asked_for():
    net, x = convolutional(in_place=True), torch.rand(1, 1, 8, 8)
    late, early, again = features(net, ["2", net[0], "0"], x)
    torch.testing.assert_close(early, net[0](x))
    assert (early < 0).any()  # before the rectifier in place
    assert torch.equal(early, again)
    torch.testing.assert_close(late, net[:3](x))
    assert all(not m._forward_hooks for m in net.modules())
    net.append(nn.Identity())
    net.forward = lambda x: net[0](x)
    with pytest.raises(ValueError, match="the Identity is not used when Sequential is applied"):
        features(net, ["0", "7"], x)


@pytest.mark.parametrize(
    "settings",
    [{"content_weight": -1.0}, {"content_weight": 0.0, "style_weight": 0.0}, {"steps": 0}, {"rate": 0.0}],
)
def test_transfers_that_are_none_are_refused(settings):
    content, style, net = pictures()
    with pytest.raises(
        ValueError, match="expected weights of 0 or more, not both 0, a rate above 0 and 1 step or more, got"
    ):
        transfer_style(net, content, style, **LAYERS, **settings)


def fast(**settings) -> FastStyle:
    """Stripes, by two stages of random filters."""
    _, style, net = pictures()
    return FastStyle(StyleNet(1, width=4, blocks=1), [net[:2], net[2:4]], style, **settings)


def test_the_loss_of_the_net_is_that_of_its_pictures():
    method, x = (
        fast(content=0, content_weight=2.0, style_weight=3.0, smoothness=0.5),
        torch.rand(3, 1, 16, 16),
    )
    y, net = method.net(x), method.stages
    _, style, _ = pictures()
    content = content_loss(net[0](y), net[0](x)) / net[0](x)[0].numel()
    grams = [gram(net[0](style)), gram(net[1](net[0](style)))]
    of_style = style_loss([net[0](y), net[1](net[0](y))], grams)
    rough = (y.diff(dim=2).square().sum((1, 2, 3)) + y.diff(dim=3).square().sum((1, 2, 3))) / 256
    expected = (2 * content + 3 * of_style + 0.5 * rough).mean()
    torch.testing.assert_close(method.loss((x,))["loss"], expected)
    measured = method.metrics((x, None))
    torch.testing.assert_close(measured["content"], content)
    torch.testing.assert_close(measured["style"], of_style)
    torch.testing.assert_close(measured["style_before"], style_loss([net[0](x), net[1](net[0](x))], grams))


def test_the_net_learns_the_style_and_the_frozen_one_stays():
    torch.manual_seed(0)
    method, x = (
        fast(style_weight=30.0),
        digits("train")[0][:64].repeat_interleave(2, 2).repeat_interleave(2, 3),
    )
    before = [p.clone() for p in method.stages.parameters()]
    optimizer = torch.optim.Adam(method.net.parameters(), 1e-2)
    first = method.loss((x,))
    for _ in range(60):
        optimizer.zero_grad()
        loss = method.loss((x,))
        loss["loss"].backward()
        optimizer.step()
    assert loss["style"] < 0.3 * method.metrics((x,))["style_before"].mean()
    assert loss["loss"] < 0.7 * first["loss"]
    assert all(torch.equal(p, q) for p, q in zip(method.stages.parameters(), before))
    assert not any(p.requires_grad for p in method.stages.parameters())
    y = method.predict(x)
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1


def test_the_stages_are_evaluated_while_the_net_trains():
    stage = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    method = FastStyle(StyleNet(1, width=2, blocks=0), [stage], torch.rand(1, 1, 8, 8), content=0).train()
    before = stage[1].running_mean.clone()
    method.loss((torch.rand(2, 1, 8, 8),))
    assert torch.equal(stage[1].running_mean, before)


@pytest.mark.parametrize(
    ("style", "content", "message"),
    [
        (
            torch.rand(2, 1, 8, 8),
            0,
            r"expected one style picture \(1, C, h, w\) in \[0, 1\], got torch\.float32 \(2, 1, 8, 8\)",
        ),
        (torch.full((1, 1, 8, 8), 2.0), 0, r"expected one style picture"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 0, r"got torch\.uint8"),
        (torch.rand(1, 1, 8, 8), 1, r"expected content as a stage in 0\.\.0, got 1"),
    ],
)
def test_styles_that_are_none_are_refused(style, content, message, annotations_unchecked):
    with pytest.raises(ValueError, match=message):
        FastStyle(StyleNet(1, width=2, blocks=0), [nn.Conv2d(1, 2, 3)], style, content=content)


def test_the_net_takes_sides_of_multiples_of_four():
    net = StyleNet(3, width=4, blocks=2)
    y = net(torch.rand(2, 3, 12, 16))
    assert y.shape == (2, 3, 12, 16)
    assert y.min() >= 0
    assert y.max() <= 1
    for shape in [(1, 3, 10, 12), (1, 3, 12, 9), (1, 3, 4, 12)]:
        with pytest.raises(
            ValueError, match=r"expected images .* whose sides are multiples of 4, 8 or more, got"
        ):
            net(torch.rand(shape))
    with pytest.raises(ValueError, match="expected channels and width of 1 or more and blocks of 0 or more"):
        StyleNet(0)
    convolutions = 81 * 3 * 32 * 2 + 9 * (2 * 32 * 64 + 2 * 64 * 128 + 5 * 2 * 128**2)
    assert sum(p.numel() for p in StyleNet().parameters()) == convolutions + 3 + 2 * (
        2 * 32 + 2 * 64 + 11 * 128
    )
