"""Attention maps of nets written in several ways, rollout, and maps that show an alignment."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.explain import attention_maps, class_token_map, rollout
from deepcanon.layers.dot_product_attention import SelfAttention
from tests.explain.nets import ViT, convolutional


class Written(nn.Module):
    """One head of attention, written out or by torch's function."""

    def __init__(self, attend):
        super().__init__()
        self.attend, self.q, self.k = attend, nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x, causal=False, mask=None):
        return self.attend(self.q(x), self.k(x), x, causal, mask)

    def weights(self, x, causal=False, mask=None):
        scores = self.q(x) @ self.k(x).mT / 2
        if causal:
            scores = scores + torch.full((x.shape[1],) * 2, -torch.inf).triu(1)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1)


def fused(q, k, v, causal, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def written_out(soft):
    def attend(q, k, v, causal, mask):
        scores = q @ k.mT / 2
        scores = scores + torch.full(scores.shape[1:], -torch.inf).triu(1) if causal else scores
        return soft(scores if mask is None else scores.masked_fill(~mask, -torch.inf)) @ v

    return attend


SOFTMAX = [
    lambda s: s.softmax(-1),
    lambda s: s.softmax(2),
    lambda s: F.softmax(s, dim=-1),
    lambda s: torch.softmax(s, -1),
]


@pytest.mark.row("EXP-13")
@pytest.mark.parametrize("attend", [fused, *map(written_out, SOFTMAX)])
@pytest.mark.parametrize("given", ["plain", "causal", "masked"])
def test_maps_are_the_weights_that_are_used(attend, given):
    net, x = Written(attend), torch.randn(2, 5, 6)
    mask = torch.rand(2, 5, 5) > 0.4
    mask |= torch.eye(5, dtype=torch.bool)
    options = {"plain": (), "causal": (True,), "masked": (False, mask)}[given]
    (found,) = attention_maps(net, x, *options)
    torch.testing.assert_close(found, net.weights(x, *options))
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 5))
    torch.testing.assert_close(found @ x, net(x, *options))


@pytest.mark.row("EXP-13")
def test_the_scale_an_additive_mask_and_grouped_heads_count():
    class Grouped(nn.Module):
        def forward(self, q, k, v, bias):
            return F.scaled_dot_product_attention(q, k, v, bias, scale=0.7, enable_gqa=True)

    q, (k, v), bias = torch.randn(2, 4, 3, 5), torch.randn(2, 2, 2, 6, 5), torch.randn(3, 6)
    (found,) = attention_maps(Grouped(), q, k, v, bias)
    assert found.shape == (2, 4, 3, 6)
    torch.testing.assert_close(found @ v.repeat_interleave(2, 1), Grouped()(q, k, v, bias))


@pytest.mark.row("EXP-13")
def test_maps_of_torchs_and_the_librarys_own_layers():
    net, x = ViT().train(), torch.rand(2, 1, 16, 16)
    maps = attention_maps(net, x)
    assert [tuple(a.shape) for a in maps] == [(2, 2, 17, 17)] * 2
    for a in maps:
        torch.testing.assert_close(a.sum(-1), torch.ones(2, 2, 17))
    assert net.training
    for average in (True, False):
        layer, y = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(3, 4, 8)

        class Attending(nn.Module):
            def forward(self, y, layer=layer, average=average):
                self.seen = layer(y, y, y, average_attn_weights=average)
                return self.seen[0]

        attending = Attending()
        (found,) = attention_maps(attending, y)
        torch.testing.assert_close(attending.seen[1], found.mean(1) if average else found)
        torch.testing.assert_close(attending.seen[1], layer(y, y, y, average_attn_weights=average)[1])
    own = SelfAttention(8, 2).eval()
    (found,) = attention_maps(own, torch.randn(2, 200, 8))  # by the fused kernel or not
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 2, 200))


@pytest.mark.row("EXP-13")
def test_the_map_of_a_reversal_is_the_anti_diagonal():
    """The output at place i is the token at place 5 - i, and the map says so."""
    torch.manual_seed(0)

    class Reverser(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.place, self.output = (
                nn.Embedding(8, 16),
                nn.Embedding(6, 16),
                nn.Embedding(6, 16),
            )
            self.q, self.k, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 8)

        def forward(self, tokens):
            keys = self.k(self.token(tokens) + self.place.weight)
            queries = self.q(self.output.weight).expand(len(tokens), -1, -1)
            return self.head(F.scaled_dot_product_attention(queries, keys, self.token(tokens)))

    net, x = Reverser(), torch.randint(8, (400, 6))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(net(x).flatten(0, 1), x.flip(1).flatten()).backward()
        optimizer.step()
    new = torch.randint(8, (50, 6))
    (found,) = attention_maps(net, new)
    assert (found.argmax(-1) == 5 - torch.arange(6)).all()
    assert (net(new).argmax(-1) == new.flip(1)).float().mean() > 0.99


def test_nets_without_attention_and_input_that_is_none():
    with pytest.raises(ValueError, match="no attention was found in Sequential"):
        attention_maps(nn.Sequential(convolutional(), nn.Softmax(1)), torch.rand(1, 1, 8, 8))
    x = torch.rand(1, 5, 6)
    x[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="expected finite values, got 1 of 30"):
        attention_maps(Written(fused), x)


def test_rollout_by_hand():
    """Two layers: R = (A_2 / 2 + I / 2) (A_1 / 2 + I / 2), with A the mean over heads."""
    first = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])[
        None
    ]  # heads, mean [[.5, .5], [1, 0]]
    second = torch.tensor([[0.0, 1.0], [0.5, 0.5]]).expand(1, 2, 2, 2)
    a, b = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    torch.testing.assert_close(rollout([first, second])[0], b @ a)
    torch.testing.assert_close(rollout([first, second], residual=0.0)[0], second[0, 0] @ first[0].mean(0))


def test_rows_of_a_rollout_sum_to_one():
    maps = attention_maps(ViT(), torch.rand(2, 1, 16, 16))
    rolled = rollout(maps)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(2, 17))
    assert class_token_map(rolled).shape == (2, 4, 4)
    torch.testing.assert_close(class_token_map(rolled)[1, 2, 3], rolled[1, 0, 1 + 4 * 2 + 3])
    assert rollout([a.bfloat16() for a in maps]).dtype == torch.float32


def test_maps_that_are_none_are_refused(annotations_unchecked):
    good = torch.full((1, 2, 4, 4), 0.25)
    for maps in ([], [good[0]], [good[:, :, :3]], [good, torch.full((1, 2, 5, 5), 0.2)]):
        with pytest.raises(
            ValueError, match=r"expected self-attention maps \(B, H, N, N\) of one size, got \["
        ):
            rollout(maps)
    with pytest.raises(ValueError, match="expected attention maps whose rows sum to 1"):
        rollout([good * 2])
    for residual in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"expected a residual in \[0, 1\), got"):
            rollout([good], residual)
    for tokens in (4, 1):
        with pytest.raises(
            ValueError, match=f"expected a class token before a square of patches, got {tokens} tokens"
        ):
            class_token_map(torch.rand(1, tokens, tokens))
