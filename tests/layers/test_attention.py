"""Attention against the worked example, torch's own kernels and the identities of its equations; positions against printed tables."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.layers import dot_product_attention as module
from deepcanon.layers.dot_product_attention import CrossAttention, SelfAttention, attention, merge, split
from deepcanon.layers.embedding import rotary, sinusoidal


@pytest.fixture(params=["fused", "plain"])
def kernel(request, monkeypatch):
    """Both ways to compute attention, whichever this processor prefers."""
    monkeypatch.setattr(module, "plain_is_faster", lambda q, k: request.param == "plain")


def qkv(*shape, seed=0):
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed)).unbind()


@pytest.mark.row("SEQ-36", "SEQ-37")
def test_worked_example_of_two_words(kernel):
    """q.k = 112 and 96 with d_k = 64: scores 14 and 12, weights 0.88 and 0.12."""
    q = torch.zeros(1, 64).index_fill_(1, torch.tensor([0]), 1.0)
    k = torch.zeros(2, 64)
    k[:, 0] = torch.tensor([112.0, 96.0])
    v = torch.eye(2)
    torch.testing.assert_close(q @ k.T / 8, torch.tensor([[14.0, 12.0]]))
    torch.testing.assert_close(attention(q, k, v), torch.tensor([[0.880797, 0.119203]]), atol=1e-6, rtol=0)


@pytest.mark.row("SEQ-37", "SEQ-39")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 7, 64])
def test_equals_torch_with_gradients(kernel, causal, length):
    operands = [t.requires_grad_() for t in qkv(2, 3, length, 8)]
    ours, torchs = attention(*operands, causal=causal), F.scaled_dot_product_attention(*operands, is_causal=causal)
    torch.testing.assert_close(ours, torchs, atol=1e-6, rtol=1e-5)
    for a, e in zip(torch.autograd.grad(ours.square().sum(), operands), torch.autograd.grad(torchs.square().sum(), operands)):
        torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)


@pytest.mark.row("SEQ-37")
@pytest.mark.parametrize("causal", [False, True])
def test_in_bfloat16_it_is_as_near_to_float32_as_the_fused_kernel_with_gradients(causal):
    """The plain way is taken here, on any CPU: both kernels round, each by about a hundredth."""
    exact = [t.requires_grad_() for t in qkv(2, 3, 64, 16)]
    rounded = [[t.detach().bfloat16().requires_grad_() for t in exact] for _ in range(2)]
    assert module.plain_is_faster(*rounded[0][:2])
    outputs = [attention(*exact, causal=causal), attention(*rounded[0], causal=causal),
               F.scaled_dot_product_attention(*rounded[1], is_causal=causal)]
    gradients = [torch.autograd.grad(y.float().square().sum(), x) for y, x in zip(outputs, [exact, *rounded])]
    for truth, plain, fused in zip((outputs[0], *gradients[0]), (outputs[1], *gradients[1]), (outputs[2], *gradients[2])):
        errors = [(t.float() - truth).norm() / truth.norm() for t in (plain, fused)]
        assert errors[0] < 0.02
        assert errors[0] < 2 * errors[1] + 1e-3


@pytest.mark.row("SEQ-37")
def test_scores_of_unit_normal_vectors_have_unit_variance():
    q, k, _ = qkv(2_000, 64)
    assert (q @ k.T / 8).var().item() == pytest.approx(1, abs=0.01)


def test_mask_joins_causality_and_new_queries_come_last(kernel):
    q, k, v = qkv(2, 3, 6, 8)
    mask = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(1)) > 0.3
    mask |= torch.eye(6, dtype=torch.bool)
    past = torch.ones(6, 6, dtype=torch.bool).tril()
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask & past)
    torch.testing.assert_close(attention(q, k, v, causal=True, mask=mask), expected)
    torch.testing.assert_close(attention(q[:, :, 4:], k, v, causal=True, mask=mask[:, :, 4:]), expected[:, :, 4:])
    torch.testing.assert_close(attention(q[:, :, 4:], k, v, causal=True), attention(q, k, v, causal=True)[:, :, 4:], atol=1e-6, rtol=1e-5)


def test_dropout_is_of_the_weights():
    q, k, _ = qkv(1, 1, 400, 16)
    torch.manual_seed(0)
    weights = attention(q, k, torch.eye(400)[None, None], dropout=0.25)
    assert (weights == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.row("SEQ-36")
def test_permuting_inputs_permutes_outputs():
    layer, x, order = SelfAttention(16, 4), qkv(2, 9, 16)[0], torch.randperm(9)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order], atol=1e-6, rtol=1e-5)


@pytest.mark.row("SEQ-36")
def test_output_is_linear_in_the_values():
    (q, k, v), (_, _, u) = qkv(2, 9, 16), qkv(2, 9, 16, seed=1)
    torch.testing.assert_close(attention(q, k, 2 * v - u), 2 * attention(q, k, v) - attention(q, k, u), atol=1e-6, rtol=1e-5)


@pytest.mark.row("SEQ-38")
@pytest.mark.parametrize("cross", [False, True])
def test_multi_head_equals_torch(cross):
    theirs = nn.MultiheadAttention(24, 4, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    x, y, _ = qkv(2, 5, 24)
    if cross:
        ours = CrossAttention(24, 4)
        state = {"query.weight": theirs.in_proj_weight[:24], "query.bias": theirs.in_proj_bias[:24]}
        state |= {"key_value.weight": theirs.in_proj_weight[24:], "key_value.bias": theirs.in_proj_bias[24:]}
    else:
        ours, y = SelfAttention(24, 4), x
        state = {"qkv.weight": theirs.in_proj_weight, "qkv.bias": theirs.in_proj_bias}
    ours.load_state_dict(state | {"out.weight": theirs.out_proj.weight, "out.bias": theirs.out_proj.bias})
    output = ours(x, y) if cross else ours(x)
    torch.testing.assert_close(output, theirs(x, y, y, need_weights=False)[0], atol=1e-5, rtol=0)


@pytest.mark.row("SEQ-38")
def test_concatenation_and_projection_is_a_sum_over_heads():
    layer, x = SelfAttention(24, 4, bias=False), qkv(2, 5, 24)[0]
    heads = attention(*(split(t, 4) for t in layer.qkv(x).chunk(3, -1)))                                  # (B, H, L, D)
    blocks = layer.out.weight.unflatten(1, (4, 6)).unbind(1)                                              # of W_O, one a head
    total = sum(heads[:, h] @ block.T for h, block in enumerate(blocks))
    torch.testing.assert_close(layer(x), total, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(layer(x), layer.out(merge(heads)), atol=1e-6, rtol=1e-5)


@pytest.mark.row("SEQ-38")
def test_parameters_do_not_depend_on_the_number_of_heads():
    counts = {heads: sum(p.numel() for p in SelfAttention(512, heads).parameters()) for heads in (1, 8, 64)}
    assert set(counts.values()) == {4 * (512 * 512 + 512)}
    assert split(torch.zeros(1, 1, 512), 8).shape[-1] == 64


@pytest.mark.row("SEQ-39")
def test_causal_output_has_no_gradient_from_the_future():
    layer = SelfAttention(16, 2, causal=True)
    x = qkv(1, 6, 16)[0].requires_grad_()
    for position in range(6):
        (slope,) = torch.autograd.grad(layer(x)[0, position].sum(), x)
        assert (slope[0, position + 1 :] == 0).all()
        assert (slope[0, : position + 1] != 0).any(-1).all()


@pytest.mark.row("SEQ-39")
def test_causal_prefix_does_not_change_when_tokens_are_appended():
    layer, x = SelfAttention(16, 2, causal=True), qkv(1, 6, 16)[0]
    torch.testing.assert_close(layer(x)[:, :4], layer(x[:, :4]), atol=1e-6, rtol=1e-5)


def test_context_of_another_width_read_once():
    layer, (x, _, _), context = CrossAttention(16, 2, context_dim=10), qkv(2, 5, 16), torch.randn(2, 7, 10)
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    mask[1, ..., 3:] = False
    kv = layer.read(context)
    torch.testing.assert_close(layer.attend(x, *kv, mask=mask), layer(x, context, mask))
    torch.testing.assert_close(layer(x, context, mask)[1], layer(x[1:], context[1:, :3])[0], atol=1e-6, rtol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="cannot be split into 5 heads"):
        SelfAttention(16, 5)


@pytest.mark.row("SEQ-42")
def test_sinusoidal_positions_are_the_printed_ones():
    """d = 4: the table of "I am a Robot" with n = 100, and three rows of the paper's n = 10000."""
    robot = [
        [0, 1, 0, 1],
        [0.841471, 0.540302, 0.099833, 0.995004],
        [0.909297, -0.416147, 0.198669, 0.980067],
        [0.14112, -0.989992, 0.29552, 0.955336],
    ]
    torch.testing.assert_close(sinusoidal(torch.arange(4.0), 4, base=100.0), torch.tensor(robot), atol=1e-6, rtol=0)
    paper = [[0, 1, 0, 1], [0.84147098, 0.54030231, 0.00999983, 0.99995], [0.90929743, -0.41614684, 0.01999867, 0.99980001]]
    torch.testing.assert_close(sinusoidal(torch.arange(3.0), 4), torch.tensor(paper), atol=1e-6, rtol=0)


def test_rotary_scores_depend_on_the_distance_only():
    q, k, _ = qkv(1, 16)
    at = [(rotary(q, torch.tensor([l])) * rotary(k, torch.tensor([t]))).sum() for l, t in [(3.0, 1.0), (9.0, 7.0), (3.0, 2.0)]]
    torch.testing.assert_close(at[0], at[1])
    assert (at[0] - at[2]).abs() > 1e-3
    torch.testing.assert_close(rotary(q, torch.tensor([5.0])).norm(), q.norm())
    torch.testing.assert_close(rotary(q, torch.tensor([0.0])), q)


def test_odd_width_has_no_pairs():
    with pytest.raises(ValueError, match="even width"):
        sinusoidal(torch.arange(3.0), 5)
