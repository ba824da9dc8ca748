"""The causal language model: its loss, its sampling law, and cached decoding against reading the whole window for each token."""

import math

import pytest
import torch

from deepcanon.language.causal import LanguageModel, draw, given, perplexity, truncate
from deepcanon.nets.gpt import GPT


class Letters:
    """a is 0, b is 1, and so on."""

    def encode(self, string):
        return [ord(character) - 97 for character in string]

    def decode(self, numbers):
        return "".join(chr(97 + number) for number in numbers)


@pytest.fixture
def model():
    """Sharp enough that greedy choices differ from row to row."""
    torch.manual_seed(0)
    net = GPT(26, 16, num_layers=2, num_heads=2, embed_dim=16, tied=False)
    for parameter in net.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.5)
    return LanguageModel(net, Letters())


def uncached(net, row, n):
    """Greedy continuation by whole forward passes, with the documented rule beyond the context: a full window keeps its later half."""
    row, first = list(row), max(0, len(row) - net.context)
    for _ in range(n):
        if len(row) - first > net.context:
            first = len(row) - net.context // 2
        row.append(net(torch.tensor([row[first:]]))[0, -1].argmax().item())
    return row


@pytest.mark.row("LLM-01")
def test_loss_is_the_mean_negative_log_probability(model):
    x = torch.randint(26, (3, 11))
    tokens, following = x[:, :-1], x[:, 1:]
    by_hand = -model.net(tokens).log_softmax(-1).gather(2, following[..., None])[..., 0]
    torch.testing.assert_close(model.loss((tokens, following)), by_hand.mean())
    torch.testing.assert_close(-model.log_prob(tokens, following), by_hand)
    metrics = model.metrics((tokens, following))
    torch.testing.assert_close(metrics["nll"], by_hand.mean(1))
    torch.testing.assert_close(metrics["bits_per_token"], by_hand.mean(1) / math.log(2))


def test_padding_does_not_count(model):
    x = torch.randint(26, (2, 11))
    tokens, following = x[:, :-1], x[:, 1:].clone()
    following[1, 4:] = -100
    kept = torch.cat([model.log_prob(tokens, x[:, 1:])[0], model.log_prob(tokens[1:, :4], following[1:, :4])[0]])
    torch.testing.assert_close(model.loss((tokens, following)), -kept.mean())
    torch.testing.assert_close(model.metrics((tokens, following))["nll"][1], -kept[10:].mean())


@pytest.mark.row("MET-07")
def test_perplexity():
    uniform = torch.full((4, 9), 1 / 7).log()
    assert perplexity(uniform).item() == pytest.approx(7, rel=1e-6)
    p = torch.rand(12).double()
    assert perplexity(p.log()).item() == pytest.approx(p.prod().item() ** (-1 / 12), rel=1e-9)
    padded = torch.cat([p.log(), torch.zeros(5).double()])
    assert perplexity(padded, torch.arange(17) < 12).item() == pytest.approx(perplexity(p.log()).item(), rel=1e-9)


@pytest.mark.row("LLM-01")
@pytest.mark.parametrize("prompt", ["q", "abc", "abcdefghijklmnop", "abcdefghijklmnopqrstuvw"])
def test_cached_greedy_equals_uncached_within_and_beyond_the_context(model, prompt):
    expected = uncached(model.net, Letters().encode(prompt), 45)
    assert Letters().encode(model.generate(prompt, 45)[0]) == expected
    assert len(set(expected[len(prompt) :])) > 3


def test_prompts_of_different_lengths_are_continued_as_if_alone(model):
    prompts = ["a", "hello", "zebra", "deepcanon"]
    together = model.generate(prompts, 6)
    assert together == [model.generate(prompt, 6)[0] for prompt in prompts]
    assert [len(text) for text in together] == [len(prompt) + 6 for prompt in prompts]
    assert len({text[-6:] for text in together}) > 1


def test_stream_gives_the_same_text_piece_by_piece(model):
    how = {"temperature": 0.9, "top_k": 8, "top_p": 0.95}
    pieces = list(model.stream("abc", 40, generator=torch.Generator().manual_seed(3), **how))
    whole = model.sample("abc", 40, generator=torch.Generator().manual_seed(3), **how)
    assert ["abc" + "".join(pieces)] == whole
    assert len(pieces) == 40


def test_stream_is_lazy_and_leaves_gradients_on(model):
    stream = model.stream("abc", 1_000_000)
    next(stream)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_sampled_tokens_can_be_trained_on(model):
    tokens = model.extend(torch.randint(26, (2, 3)), 5)
    assert tokens.shape == (2, 8)
    model.loss((tokens[:, :-1], tokens[:, 1:])).backward()


def test_sampling_leaves_the_mode_as_it_was(model):
    model.train()
    model.sample("abc", 3)
    assert model.training
    assert model.net.training


def test_draws_follow_the_softmax(model):
    logits = torch.randn(5) * 2
    counts = draw(logits.expand(40_000, 5), temperature=1.7, generator=torch.Generator().manual_seed(0)).bincount(minlength=5)
    torch.testing.assert_close(counts / 40_000, (logits / 1.7).softmax(0), atol=0.012, rtol=0)


@pytest.mark.parametrize(("how", "kept"), [({"top_k": 2}, 2), ({"top_k": 99}, 4), ({"top_p": 0.49}, 1), ({"top_p": 0.51}, 2), ({"top_p": 1.0}, 4),
                                           ({"top_k": 3, "top_p": 0.99}, 3)])
def test_truncation_keeps_the_likeliest(how, kept):
    p = torch.tensor([[0.15, 0.5, 0.05, 0.3], [0.5, 0.05, 0.3, 0.15]])
    expected = torch.zeros_like(p).scatter(1, p.topk(kept).indices, p.topk(kept).values)
    torch.testing.assert_close(truncate(p.log(), **how).softmax(-1), expected / expected.sum(1, keepdim=True))


def test_temperature_zero_and_one_candidate_are_greedy(model):
    x = torch.randint(26, (4, 5))
    assert model.extend(x, 9, temperature=0.0).equal(model.extend(x, 9, top_k=1))


def test_a_different_generator_gives_a_different_text(model):
    texts = {model.sample("abc", 20, generator=torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1)}
    assert len(texts) == 2


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(1, 0).long(), "a prompt is empty"),
        (torch.tensor([[1, 2], [-1, -1]]), "a prompt is empty"),
        (torch.tensor([[1, -1, 2]]), "-1 may stand at the end of a row only"),
        (torch.zeros(3).long(), "integer tokens"),
        (torch.zeros(1, 3), "integer tokens"),
    ],
)
def test_bad_prompts_are_refused_in_words(tokens, message):
    with pytest.raises(ValueError, match=message):
        given(tokens)


@pytest.mark.parametrize("how", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}])
def test_bad_sampling_options_are_refused_in_words(model, how):
    with pytest.raises(ValueError, match=next(iter(how))):
        model.sample("abc", 2, **how)


def test_no_new_tokens_is_no_error(model):
    assert model.sample("abc", 0) == ["abc"]


@pytest.mark.row("LLM-01")
def test_learns_a_text():
    torch.manual_seed(0)
    text = "deepcanon is not random " * 3
    letters = sorted(set(text))
    x = torch.tensor([letters.index(c) for c in text])[None]
    model = LanguageModel(GPT(len(letters), 72, num_layers=1, num_heads=2, embed_dim=32), Letters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        loss = model.loss((x[:, :-1], x[:, 1:]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    assert model.extend(x[:, :24], 24, temperature=0.0).equal(x[:, :48])


@pytest.mark.parametrize(("following", "message"), [
    (torch.zeros(5, 3, dtype=torch.long), r"expected next tokens of shape \(3, 5\), got \(5, 3\)"),
    (torch.zeros(15, dtype=torch.long), r"expected next tokens of shape \(3, 5\), got \(15,\)"),
    (torch.zeros(3, 1, dtype=torch.long), r"expected next tokens of shape \(3, 5\), got \(3, 1\)"),
    (torch.zeros(3, 5), r"expected integer next tokens, got torch\.float32"),
    (torch.full((3, 5), 26), r"expected tokens in the vocabulary, got 0\.\.0, and next tokens 26\.\.26"),
    (torch.full((3, 5), -1), r"expected tokens in the vocabulary, got 0\.\.0, and next tokens -1\.\.-1"),
])
def test_next_tokens_have_the_shape_of_the_tokens(model, following, message, annotations_unchecked):
    tokens = torch.zeros(3, 5, dtype=torch.long)
    for method in (model.loss, model.metrics, lambda batch: model.log_prob(*batch)):
        with pytest.raises(ValueError, match=f"^{message}$"):
            method((tokens, following))


def test_tokens_outside_the_vocabulary_are_named(model):
    tokens = torch.tensor([[3, 99]])
    with pytest.raises(ValueError, match=r"^expected tokens in the vocabulary, got 3\.\.99, and next tokens 1\.\.1$"):
        model.loss((tokens, torch.ones_like(tokens)))


def test_logits_have_one_row_a_token(model):
    tokens = torch.zeros(3, 5, dtype=torch.long)
    model.net.forward = lambda tokens: torch.zeros(5, 3, 26)
    with pytest.raises(ValueError, match=r"^expected logits of shape \(3, 5, 26\), got \(5, 3, 26\)$"):
        model.loss((tokens, tokens))


def test_a_batch_in_which_nothing_counts_has_loss_zero_and_no_gradient(model):
    tokens = torch.zeros(2, 5, dtype=torch.long)
    loss = model.loss((tokens, torch.full_like(tokens, -100)))
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in model.parameters())
    assert model.metrics((tokens, torch.full_like(tokens, -100)))["nll"].tolist() == [0, 0]


def test_the_loss_is_the_mean_over_the_tokens_that_count_of_all_rows(model):
    """Losses {4} and {1, 1, 1}: 1.75, not the 2.5 that is the mean of the rows."""
    losses = torch.tensor([[4.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    p = (-losses).exp()
    model.net.forward = lambda tokens: torch.stack([p, 1 - p], -1).log()
    tokens = torch.zeros(2, 3, dtype=torch.long)
    assert model.loss((tokens, torch.tensor([[0, -100, -100], [0, 0, 0]]))).item() == pytest.approx(1.75)


def test_next_tokens_may_be_int32(model):
    tokens = torch.randint(26, (2, 5))
    assert torch.equal(model.loss((tokens, tokens.int())), model.loss((tokens, tokens)))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_net_of_nan_draws_no_token(model, temperature):
    with torch.no_grad():
        model.net.head.weight[3] = math.nan
    with pytest.raises(ValueError, match=r"^the network's logits are nan: no token can be drawn$"):
        model.sample("abc", 3, temperature=temperature)


def test_perplexity_needs_a_mask_of_its_shape_and_a_token(annotations_unchecked):
    log_prob = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"^expected the mask of shape \(2, 3\), got \(2,\)$"):
        perplexity(log_prob, torch.tensor([True, False]))
    with pytest.raises(ValueError, match=r"^expected one token or more that counts, got none$"):
        perplexity(log_prob, torch.zeros(2, 3, dtype=torch.bool))
