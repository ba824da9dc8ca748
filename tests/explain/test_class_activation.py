"""Grad-CAM against captum and by hand, on maps and on tokens, and the gradient of an attention mask."""

import captum.attr
import pytest
import torch
from torch import nn

from deepcanon.explain import attention_gradient, enlarged, grad_cam, last_maps, mask_gradient
from deepcanon.explain.class_activation import on_grid
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from tests.explain.nets import ViT, convolutional


@pytest.mark.parametrize("layer", ["0", "1", "2", "3"])
def test_grad_cam_equals_captum(layer):
    net, x, y = convolutional(3, 4).eval(), torch.rand(3, 3, 12, 12), torch.tensor([0, 3, 1])
    theirs = captum.attr.LayerGradCam(net, net[int(layer)]).attribute(x, y, relu_attributions=True)
    torch.testing.assert_close(grad_cam(net, layer, x, y), theirs[:, 0], atol=1e-5, rtol=0)
    assert theirs.any()


def test_grad_cam_of_a_residual_net_equals_captum():
    net, x = resnet_cifar(8, 4, width=4).eval(), torch.rand(2, 3, 16, 16)
    layer = net.get_submodule(last_maps(net, x))
    assert layer is net.stages
    theirs = captum.attr.LayerGradCam(net, layer).attribute(x, 2, relu_attributions=True)
    torch.testing.assert_close(grad_cam(net, layer, x, 2), theirs[:, 0], atol=1e-5, rtol=0)


def test_grad_cam_by_hand():
    """S = sum of w_k A_k over positions: alpha_k = w_k."""
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(8, 1, bias=False))
    net[2].weight.data = torch.tensor([2.0] * 4 + [-1.0] * 4)[None]
    a = torch.tensor([[1.0, 0.0, 3.0, 0.5], [1.0, 4.0, 0.0, 1.5]]).view(1, 2, 2, 2)
    assert grad_cam(net, "0", a, 0).tolist() == [[[1, 0], [6, 0]]]  # 2 A_1 - A_2, below 0 cut


def test_a_map_that_is_flat_stays_finite():
    net = convolutional()
    net[6].weight.data.zero_()
    assert (grad_cam(net, "2", torch.rand(2, 1, 8, 8), 0) == 0).all()
    assert (grad_cam(convolutional(), "2", torch.zeros(2, 1, 8, 8), 0)).isfinite().all()


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_transformer_is_read_at_the_norm_before_its_last_attention(pre_norm):
    net, x = ViT(pre_norm=pre_norm), torch.rand(2, 1, 16, 20)
    layer = last_maps(net, x)
    assert layer == ("encoder.layers.1.norm1" if pre_norm else "encoder.layers.0.norm2")
    found = grad_cam(net, layer, x, 1, grid=(4, 5))
    assert found.shape == (2, 4, 5)
    assert found.any()
    for behind in ("norm", "encoder.layers.1.norm2", "encoder.layers.1"):
        with pytest.raises(ValueError, match="the score does not depend on the patches of this layer"):
            grad_cam(net, behind, x, 1, grid=(4, 5))


def test_tokens_by_hand():
    """A class token and four patches: the gradient of each patch is its weight, and the class token is left
    out."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = nn.Identity()

        def forward(self, x):
            tokens = self.kept(x.flatten(1).unflatten(1, (5, 2)))
            return (tokens * torch.tensor([[9.0, 9.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [5.0, -2.0]])).sum(
                (1, 2)
            )[:, None]

    x = torch.arange(10.0).view(1, 1, 2, 5)
    alpha = torch.tensor([2.0, 1.0])  # means of the patches' weights
    expected = (x.flatten().view(5, 2)[1:] * alpha).sum(1).view(1, 2, 2)
    torch.testing.assert_close(grad_cam(Tokens(), "kept", x, 0), expected)


def test_patches_are_the_last_tokens():
    tokens = torch.arange(10.0).view(1, 10, 1)
    assert on_grid(tokens).tolist() == [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]
    assert on_grid(tokens[:, 1:]).tolist() == on_grid(tokens).tolist()
    assert on_grid(tokens, (2, 4)).tolist() == [[[[2, 3, 4, 5], [6, 7, 8, 9]]]]
    assert on_grid(tokens[:, :1]).tolist() == [[[[0]]]]
    with pytest.raises(
        ValueError, match=r"8 tokens are no square of patches, nor one beside a class token: pass grid="
    ):
        on_grid(tokens[:, :8])
    for grid in [(3, 4), (0, 3), (3, 0)]:
        with pytest.raises(ValueError, match="expected a grid of at most 10 patches, got"):
            on_grid(tokens, grid)


def test_maps_with_channels_last_are_turned():
    """As hierarchical transformers have them: a layer norm on (B, h, w, E)."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(3)

        def forward(self, x):
            return self.norm(x.permute(0, 2, 3, 1)).mean((1, 2))

    x = torch.rand(2, 3, 4, 5)
    a = nn.functional.layer_norm(x.permute(0, 2, 3, 1), (3,))
    torch.testing.assert_close(grad_cam(Last(), "norm", x, 1), a[..., 1].relu() / 20)


@pytest.mark.parametrize(
    ("net", "shape", "layer"),
    [
        (convolutional(3), (1, 3, 12, 12), "3"),
        (LeNet(), (1, 1, 28, 28), "maps.3"),
        (resnet_cifar(8), (1, 3, 16, 16), "stages"),
    ],
)
def test_the_last_maps_are_found(net, shape, layer):
    assert last_maps(net, torch.rand(shape)) == layer
    assert all(not m._forward_hooks and m.training for m in net.modules())


def test_layers_without_maps_are_refused():
    with pytest.raises(
        ValueError, match="Linear has no convolution with maps and no attention: name a layer"
    ):
        last_maps(nn.Linear(4, 2), torch.rand(1, 1, 4, 4))
    with pytest.raises(
        ValueError, match=r"expected a layer of maps \(B, C, h, w\) or tokens \(B, N, E\), got \(1, 64\)"
    ):
        grad_cam(convolutional(), "5", torch.rand(1, 1, 8, 8), 0)


def test_maps_are_enlarged_to_the_image():
    large = enlarged(torch.tensor([[[0.0, 1.0]]]), (2, 4))
    torch.testing.assert_close(large, torch.tensor([[[0.0, 0.25, 0.75, 1.0]] * 2]))


@pytest.mark.row("EXP-14")
def test_the_gradient_of_an_attention_mask_is_autograds():
    net, x = convolutional().double(), torch.rand(2, 1, 8, 8, dtype=torch.float64)
    mask = torch.ones(2, 4, 4, dtype=torch.float64, requires_grad=True)
    a = net[:3](x)
    (expected,) = torch.autograd.grad(net[3:](a * mask[:, None])[:, 2].sum(), mask)
    torch.testing.assert_close(attention_gradient(net, "2", x, 2), expected, atol=1e-6, rtol=0)
    c = (a * mask[:, None]).detach().requires_grad_()
    (upstream,) = torch.autograd.grad(net[3:](c)[:, 2].sum(), c)
    torch.testing.assert_close(mask_gradient(a.detach(), upstream), expected, atol=1e-6, rtol=0)
    assert mask_gradient(
        torch.full((1, 3, 1, 1), 2.0), torch.tensor([1.0, 2.0, -5.0]).view(1, 3, 1, 1)
    ).flatten().tolist() == [-4]


@pytest.mark.row("EXP-14")
def test_a_step_along_the_mask_gradient_raises_the_score():
    net, x = convolutional(), torch.rand(2, 1, 8, 8)
    slope, a = attention_gradient(net, "2", x, 2), net[:3](x)
    with torch.no_grad():
        before, after = net(x)[:, 2], net[3:](a * (1 + 1e-3 * slope[:, None]))[:, 2]
    assert (after > before).all()


def test_masks_of_another_shape_are_refused(annotations_unchecked):
    with pytest.raises(
        ValueError,
        match=r"expected maps \(N, C, h, w\) and gradients of that shape, got \(1, 2, 3, 3\) and \(1, 1, 3, 3\)",
    ):
        mask_gradient(torch.rand(1, 2, 3, 3), torch.rand(1, 1, 3, 3))
