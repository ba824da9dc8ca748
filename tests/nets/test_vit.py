"""Vision transformer: patches are a convolution, what positions are for, tokens and parameters, another
resolution.
"""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.nets.vit import ViT, fitting_patch, resize_vit, resized_positions


def small(**settings) -> ViT:
    torch.manual_seed(0)
    return ViT(
        5, **{"image_size": 12, "patch": 4, "embed_dim": 16, "num_layers": 2, "num_heads": 2} | settings
    )


@pytest.mark.row("VIS-31")
def test_the_published_size():
    with torch.device("meta"):
        net = ViT()
        assert sum(p.numel() for p in net.parameters()) == 86_567_656
        assert net.tokens(torch.rand(1, 3, 224, 224)).shape == (1, 197, 768)
        assert ViT(patch=8).positions.shape == (1, 785, 768)


@pytest.mark.row("VIS-31")
def test_the_embedding_of_patches_is_a_linear_map_of_their_pixels():
    net, x = small().double(), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    assert (net.patches.kernel_size, net.patches.stride) == ((4, 4), (4, 4))
    pixels = F.unfold(x, 4, stride=4).transpose(1, 2)  # (B, N, C P P), row by row
    expected = pixels @ net.patches.weight.flatten(1).T + net.patches.bias
    embedded = net.embed(x)
    torch.testing.assert_close(embedded[:, 1:], expected, atol=1e-12, rtol=0)
    assert torch.equal(embedded[:, 0], net.class_token.expand(2, -1, -1)[:, 0])


def patches_shuffled(x: torch.Tensor, patch: int) -> torch.Tensor:
    side = x.shape[-1] // patch
    rows = F.unfold(x, patch, stride=patch)[
        ..., torch.randperm(side * side, generator=torch.Generator().manual_seed(1))
    ]
    return F.fold(rows, x.shape[-2:], patch, stride=patch)


@pytest.mark.row("VIS-31")
def test_without_positions_the_order_of_patches_does_not_matter():
    net, x = small().double(), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    shuffled = patches_shuffled(x, 4)
    assert not torch.allclose(shuffled, x)
    assert (net(shuffled) - net(x)).abs().max() > 1e-3
    nn.init.zeros_(net.positions)
    torch.testing.assert_close(net(shuffled), net(x), atol=1e-12, rtol=0)


@pytest.mark.row("VIS-31")
def test_the_class_token_is_read_out():
    net, x = small(), torch.rand(2, 3, 12, 12)
    torch.testing.assert_close(net(x), net.head(net.tokens(x)[:, 0]))
    assert net.features(x).shape == (2, 16)
    with torch.no_grad():
        net.class_token.add_(torch.randn(16))
    assert not torch.allclose(net.features(x), small().features(x))


@pytest.mark.row("VIS-31")
def test_a_block_is_attention_and_then_the_mlp_on_the_normalised_stream():
    block, x = small(mlp_dim=24).blocks[0], torch.randn(2, 5, 16)
    h = x + block.attention(block.norm1(x))
    up, _, _, down = block.mlp
    assert up.out_features == 24
    torch.testing.assert_close(block(x), h + down(F.gelu(up(block.norm2(h)))))


@pytest.mark.row("VIS-31")
@pytest.mark.parametrize(("before", "after"), [(14, 61), (14, 24), (7, 3)])
def test_positions_are_interpolated_to_an_explicit_side(before, after):
    rows, columns = torch.meshgrid(torch.linspace(0, 1, before), torch.linspace(0, 1, before), indexing="ij")
    positions = torch.cat([torch.full((1, 1, 2), 7.0), torch.stack([rows, columns], -1).view(1, -1, 2)], 1)
    found = resized_positions(positions, after)
    assert found.shape == (1, after * after + 1, 2)
    assert torch.equal(found[:, 0], positions[:, 0])
    grid = found[0, 1:].view(after, after, 2)
    torch.testing.assert_close(grid[..., 0], grid[..., 1].T)  # rows stay rows
    assert (grid[1:, :, 0] >= grid[:-1, :, 0] - 0.02).all()
    torch.testing.assert_close(resized_positions(positions, before), positions)


@pytest.mark.row("VIS-31")
def test_a_net_reads_another_resolution_once_its_positions_are_resized():
    net, large = small(), torch.rand(2, 3, 20, 20)
    with pytest.raises(Exception, match=r"expected images \(B, 3, 12, 12\), got \(2, 3, 20, 20\)"):
        net(large)
    assert resize_vit(net, 20) is net
    assert net(large).shape == (2, 5)
    assert net.positions.requires_grad
    assert net.positions.shape == (1, 26, 16)


def test_dropout_is_in_training_alone_and_bias_of_queries_may_be_left_out():
    net, x = small(dropout=0.5), torch.rand(2, 3, 12, 12)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    bare = small(bias=False)
    assert bare.blocks[0].attention.qkv.bias is None
    assert bare.blocks[0].attention.out.bias is not None


def test_weights_start_by_their_fans():
    net = small(embed_dim=64, image_size=8, patch=2)
    qkv = net.blocks[0].attention.qkv.weight
    assert qkv.std().item() == pytest.approx((2 / (64 + 192)) ** 0.5, rel=0.05)
    assert net.patches.weight.std().item() == pytest.approx((1 / 12) ** 0.5, rel=0.1)
    assert net.positions.std().item() == pytest.approx(0.02, rel=0.2)
    assert not net.head.bias.any()


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    with pytest.raises(ValueError, match="side is a multiple of the patch, got 30 and 4"):
        small(image_size=30)
    with pytest.raises(ValueError, match="embed_dim 16 cannot be split into 3 heads"):
        small(num_heads=3)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 12, 12\), got \(2, 1, 12, 12\)"):
        small()(torch.rand(2, 1, 12, 12))
    with pytest.raises(ValueError, match="positions of a class and a square grid"):
        resized_positions(torch.rand(1, 9, 4), 3)
    with pytest.raises(ValueError, match="a side of 1 or more"):
        resized_positions(torch.rand(1, 10, 4), 0)
    with pytest.raises(ValueError, match="multiple of the patch, got 21 and 4"):
        resize_vit(small(), 21)


def test_it_is_exported_for_any_number_of_images():
    net, x = small().eval(), torch.rand(4, 3, 12, 12)
    program = torch.export.export(net, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(x), net(x))


@pytest.mark.row("VIS-31")
@pytest.mark.parametrize(("side", "patches", "patch"), [(8, 8, 2), (28, 8, 4), (224, 14, 16), (30, 8, 5), (32, 1_000, 2)])
def test_the_smallest_patch_that_is_not_too_many(side, patches, patch):
    assert fitting_patch(side, patches) == patch


@pytest.mark.parametrize("side", [2, 31])
def test_an_image_that_patches_do_not_divide_is_refused(side):
    with pytest.raises(ValueError, match=f"images of {side} pixels cannot be cut into 2 to 8 patches a side; pass size="):
        fitting_patch(side, 8)
