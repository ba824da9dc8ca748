"""GPT against transformers' GPT-2, its published size, causality, and decoding against the full forward."""

import math

import pytest
import torch
from torch import nn

from deepcanon.nets.gpt import GPT, Decoder, check


def small(**how):
    torch.manual_seed(0)
    return GPT(65, 32, num_layers=2, num_heads=4, embed_dim=32, **how).eval()


def tokens(batch=2, length=20, vocab_size=65):
    return torch.randint(vocab_size, (batch, length), generator=torch.Generator().manual_seed(0))


def load_gpt2(net: GPT, reference: nn.Module) -> None:
    """The weights of transformers' GPT-2, which stores its matrices transposed."""
    source = reference.transformer.state_dict()
    names = {"wte": "token", "wpe": "position", "ln_f": "norm", "ln_1": "norm1", "ln_2": "norm2", "h": "blocks", "attn": "attention"}
    state = {}
    for key, value in source.items():
        key = key.replace("attn.c_attn", "attn.qkv").replace("attn.c_proj", "attn.out").replace("mlp.c_fc", "up").replace("mlp.c_proj", "down")
        matrix = value.ndim == 2 and any(part in key for part in ("qkv", "out", "up", "down"))
        state[".".join(names.get(part, part) for part in key.split("."))] = value.T if matrix else value
    net.load_state_dict(state | {"head.weight": reference.lm_head.weight})


@pytest.mark.row("LLM-01")
def test_logits_equal_transformers():
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=65, n_positions=32, n_embd=32, n_layer=2, n_head=4)
    reference = transformers.GPT2LMHeadModel(config).eval()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.2)
    net = small()
    for block in net.blocks:
        block.gelu = nn.GELU("tanh")
    load_gpt2(net, reference)
    torch.testing.assert_close(net(tokens()), reference(tokens()).logits, atol=1e-5, rtol=1e-5)
    logits, _ = (decoder := Decoder(net))(tokens(), decoder.start(2))
    torch.testing.assert_close(logits, reference(tokens()).logits[:, -1], atol=1e-5, rtol=1e-5)


@pytest.mark.row("LLM-01")
def test_size_is_the_published_one():
    with torch.device("meta"):
        assert count(GPT(50257, 1024)) == 124_439_808
        assert count(GPT(50257, 1024, num_layers=48, num_heads=25, embed_dim=1600)) == 1_557_611_200
        assert count(GPT(50257, 1024, tied=False)) == 124_439_808 + 50257 * 768
        assert count(GPT(65, 64, num_layers=4, num_heads=4, embed_dim=128, bias=False)) == 804_096


def test_a_text_beyond_the_context_is_refused():
    with pytest.raises(ValueError, match="40 tokens do not fit the context of 32"):
        small()(tokens(1, 40))


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_initial_weights():
    net = GPT(300, 200, num_layers=8, num_heads=4, embed_dim=128)
    assert net.token.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert net.blocks[3].up.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert net.blocks[3].down.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.02)
    assert net.blocks[3].attention.out.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.02)
    assert net.blocks[3].attention.qkv.bias.abs().max() == 0
    x = torch.randint(300, (4, 200))
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), torch.randint(300, (800,)))
    assert loss.item() == pytest.approx(math.log(300), abs=0.1)


@pytest.mark.row("LLM-01")
def test_a_position_sees_the_past_only():
    net, x = small(), tokens(1)
    changed = x.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % 65
    torch.testing.assert_close(net(x)[:, :12], net(changed)[:, :12], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(net(x[:, :12]), net(x)[:, :12], atol=1e-6, rtol=1e-5)
    embedded = net.token(x).detach().requires_grad_()
    stream = embedded
    for block in net.blocks:
        stream = block(stream)
    (slope,) = torch.autograd.grad(stream[0, 7].sum(), embedded)
    assert (slope[0, 8:] == 0).all()
    assert (slope[0, :8] != 0).any(-1).all()


@pytest.mark.row("LLM-01")
@pytest.mark.parametrize("how", [{}, {"bias": False, "tied": False}])
def test_cached_decoding_equals_the_full_forward(how):
    net, x = small(**how), tokens(3)
    decoder = net.decoder()
    caches = decoder.start(3)
    _, caches = decoder(x[:, :7], caches)
    for t in range(7, 20):
        logits, caches = decoder(x[:, t : t + 1], caches)
        torch.testing.assert_close(logits, net(x[:, : t + 1])[:, -1], atol=1e-5, rtol=0)


def test_decoding_in_bfloat16_is_close():
    net, x = small(), tokens(3)
    decoder = net.decoder(torch.bfloat16)
    logits, _ = decoder(x, decoder.start(3))
    expected = net(x)[:, -1]
    assert logits.dtype == torch.bfloat16
    assert (logits - expected).norm() < 0.02 * expected.norm()


def test_decoder_drops_nothing_out():
    net = small(dropout=0.5).train()
    decoder = net.decoder()
    logits, _ = decoder(tokens(), decoder.start(2))
    torch.testing.assert_close(logits, net.eval()(tokens())[:, -1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(2, 33).long(), "33 tokens do not fit the context of 32"),
        (torch.zeros(2, 3), "integer tokens"),
        (torch.zeros(3).long(), "integer tokens"),
        (torch.zeros(2, 3, dtype=torch.bool), r"expected integer tokens \(B, T\), int32 or int64, got torch\.bool \(2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.uint8), "int32 or int64, got torch.uint8"),
    ],
)
def test_bad_input_is_refused_in_words(bad, message):
    with pytest.raises(ValueError, match=message):
        check(bad, 32)


def test_tokens_may_be_int32():
    net = small()
    assert torch.equal(net(tokens().int()), net(tokens()))


def test_decoding_refuses_other_rows_and_a_full_context():
    decoder = small().decoder()
    with pytest.raises(ValueError, match=r"^expected the 3 rows that the caches began with, got 1$"):
        decoder(tokens(1), decoder.start(3))
    _, caches = decoder(tokens(2, 32), decoder.start(2))
    with pytest.raises(ValueError, match=r"^33 tokens do not fit the context of 32$"):
        decoder(tokens(2, 1), caches)
