"""Captioning: the decoder by its equations, what is learned, attention that finds its place, search, and attention that draws."""

import copy
import itertools
import math

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import captions
from deepcanon.data.caption_data import opened, words_of
from deepcanon.engine import Adam, fit, options
from deepcanon.language.causal import perplexity
from deepcanon.nets.caption_decoder import AdditiveAttention, CaptionDecoder, conv_maps
from deepcanon.vision.caption import Captioner, word_nll
from deepcanon.vision.caption_search import beam_search
from deepcanon.vision.hard_attention import HardCaptioner, Places, likeliest_place, to_go

WORDS = ["<fill>", "<start>", "<end>", "<unk>", "a", "b", "c"]


@pytest.fixture
def annotations_unchecked(monkeypatch):
    """What a user meets, whose calls are not checked against the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


class Cells(nn.Module):
    """The image as it is: each pixel a place, each channel a feature."""

    def forward(self, x):
        return x


def decoder(vocab_size: int = 7, features: int = 3, attention: bool = True, **how) -> CaptionDecoder:
    attend = AdditiveAttention(features, 5, width=4, **how) if attention else None
    return CaptionDecoder(vocab_size, features, embed_dim=4, hidden_dim=5, attention=attend)


def captioner(attention: bool = True, **how) -> Captioner:
    return Captioner(Cells(), decoder(attention=attention), WORDS, **how)


# the decoder


@pytest.mark.row("VIS-33", "VIS-34")
@pytest.mark.parametrize("attention", [True, False])
def test_the_decoder_by_its_equations(attention):
    net, v, words = decoder(attention=attention).double(), torch.randn(2, 6, 3, dtype=torch.float64), torch.randint(7, (2, 4))
    told = net(v, words)
    h, before = (v.mean(1) @ net.first.weight.T + net.first.bias).tanh(), torch.ones(2, dtype=torch.long)
    for t in range(4):
        e, z = net.word.weight[before], []
        if attention:
            a = net.attention
            scores = torch.stack([(v[:, i] @ a.of_place.weight.T + a.of_place.bias + h @ a.of_state.weight.T).tanh() @ a.score.weight[0]
                                  for i in range(6)], 1)
            p = scores.exp() / scores.exp().sum(1, keepdim=True)
            z = [sum(p[:, i, None] * v[:, i] for i in range(6))]
            torch.testing.assert_close(told.weights[:, t], p, atol=1e-6, rtol=0)         # the softmax is in float32
        else:
            assert (told.weights[:, t] == 1 / 6).all()
        h = net.cell(torch.cat([e, *z], 1), h)
        torch.testing.assert_close(told.logits[:, t], torch.cat([h, *z], 1) @ net.out.weight.T + net.out.bias, atol=1e-6, rtol=0)
        before = words[:, t]
    torch.testing.assert_close(told.used, told.weights)


@pytest.mark.row("VIS-33")
def test_without_attention_only_the_start_sees_the_image():
    net, v, words = decoder(attention=False), torch.randn(1, 6, 3), torch.tensor([[4, 5, 2]])
    moved = v[:, torch.randperm(6)]
    torch.testing.assert_close(net(v, words).logits, net(moved, words).logits)           # where things are is lost
    assert not torch.allclose(net(v, words).logits, net(v + 1, words).logits)
    said, h = torch.tensor([4]), torch.randn(1, 5)
    assert torch.equal(net.step(v, said, h)[0], net.step(v + 1, said, h)[0])


@pytest.mark.row("VIS-34")
def test_weights_sum_to_one_and_uniform_scores_give_the_mean_feature():
    net, v, h = decoder(), torch.randn(3, 6, 3), torch.randn(3, 5)
    weights = net.attention(v, h)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    nn.init.zeros_(net.attention.score.weight)
    torch.testing.assert_close(net.attention(v, h), torch.full((3, 6), 1 / 6))
    seen = []
    net.cell.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.step(v, torch.tensor([4, 4, 4]), h)
    torch.testing.assert_close(seen[0][:, 4:], v.mean(1))


@pytest.mark.row("VIS-35")
def test_near_temperature_0_soft_attention_is_that_of_the_highest_score():
    net, v, words = decoder(temperature=1e-6), torch.randn(2, 6, 3), torch.tensor([[4, 5, 2], [6, 2, 0]])
    soft, hard = net(v, words), net(v, words, likeliest_place)
    torch.testing.assert_close(soft.logits, hard.logits, atol=1e-6, rtol=0)
    assert torch.equal(soft.weights.argmax(-1), hard.used.argmax(-1))
    warm = copy.deepcopy(net)
    warm.attention.temperature = 1.0
    torch.testing.assert_close((warm.attention(v, words[:, :1].expand(2, 5).float()).log() / 1e-6).softmax(1),
                               net.attention(v, words[:, :1].expand(2, 5).float()))


@pytest.mark.row("VIS-33")
@pytest.mark.parametrize(("halvings", "features", "side"), [(1, 12, 12), (2, 24, 6), (3, 24, 3)])
def test_the_encoder_halves_the_image(halvings, features, side):
    encoder, found = conv_maps(2, 6, halvings, standardize=nn.Softshrink(0.1))
    assert encoder(torch.rand(2, 2, 24, 24)).shape == (2, found, side, side)
    assert found == features
    assert isinstance(encoder[0], nn.Softshrink)


# the captioner


@pytest.mark.row("VIS-33")
@pytest.mark.parametrize("coverage", [0.0, 0.7])
def test_the_loss_is_that_of_the_words_that_are_there(coverage):
    method, x, words = captioner(coverage=coverage), torch.rand(2, 3, 2, 2), torch.tensor([[4, 5, 2, 0], [6, 2, 0, 0]])
    told = method.told((x, words))
    p = told.logits.softmax(-1)
    there = [(0, 0, 4), (0, 1, 5), (0, 2, 2), (1, 0, 6), (1, 1, 2)]
    nll = -sum(p[i, t, k].log() for i, t, k in there) / 5
    missed = [(1 - sum(told.weights[i, t, place] for t in range(n))) ** 2 for i, n in ((0, 3), (1, 2)) for place in range(4)]
    found = method.loss((x, words))
    torch.testing.assert_close(found["nll"], nll)
    torch.testing.assert_close(found["loss"], nll + coverage * sum(missed) / 8)
    metrics = method.metrics((x, words))
    assert metrics["weight"].tolist() == [3, 2]
    assert method.weight((x, words)) == 5
    assert float((metrics["nll"] * metrics["weight"]).detach().sum() / 5) == pytest.approx(float(nll.detach()))
    assert not word_nll(told.logits, words)[1, 2:].any()


def conv_captioner(vocabulary: list[str], attention: bool) -> Captioner:
    """Three convolutions to 6 x 6 places, with or without attention."""
    encoder = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 48, 3, 2, 1), nn.ReLU())
    attend = AdditiveAttention(48, 64, width=32) if attention else None
    return Captioner(encoder, CaptionDecoder(len(vocabulary), 48, embed_dim=32, hidden_dim=64, attention=attend), vocabulary)


@pytest.mark.row("VIS-33", "VIS-34")
@pytest.mark.parametrize("attention", [True, False])
def test_twenty_pairs_are_learned_by_heart(attention, embedded_only):
    data = captions("digit_captions", batch=20).take(range(20))
    method = conv_captioner(data.metadata.get("vocabulary") or captions("digit_captions").metadata["vocabulary"], attention)
    with options(quiet=True):
        fit(method, data, Adam(5e-3), steps=250 if attention else 400)
    (x, words), mask = data.at(0), data.at(0)[1] != 0
    log_p = -word_nll(method.told((x, words)).logits, words).detach()
    assert perplexity(log_p, mask) < 1.1
    split = opened("digit_captions", "train")
    images, texts = split.x[:20].float() / 255, [" ".join(words_of(text[0])) for text in split.texts[:20]]
    assert method.generate(images, beam=1) == texts
    assert method.generate(images, beam=3) == texts


class Grid:
    """Images of 3 x 3 cells of 4 x 4: noise, but for one, which holds one of three patterns; the caption names it."""

    patterns = torch.stack([torch.eye(4), torch.eye(4).flip(0), F.pad(torch.ones(2, 2), (1, 1, 1, 1))])

    def __init__(self, seed: int, n: int):
        generator = torch.Generator().manual_seed(seed)
        self.kind, self.place = (torch.randint(high, (n,), generator=generator) for high in (3, 9))
        cells = 0.35 * torch.rand(n, 9, 4, 4, generator=generator)
        cells[torch.arange(n), self.place] += 0.65 * self.patterns[self.kind]
        self.x = cells.view(n, 3, 3, 4, 4).transpose(2, 3).reshape(n, 1, 12, 12)
        self.words = torch.stack([4 + self.kind, torch.full((n,), 2)], 1)

    def at(self, step: int):
        rows = torch.arange(32 * step, 32 * step + 32) % len(self.x)
        return self.x[rows], self.words[rows]


@pytest.mark.row("VIS-34")
def test_attention_goes_to_the_one_cell_that_tells():
    encoder = nn.Sequential(nn.Conv2d(1, 24, 4, stride=4), nn.ReLU(), nn.Conv2d(24, 24, 1), nn.ReLU())
    attend = AdditiveAttention(24, 16, width=16)
    method = Captioner(encoder, CaptionDecoder(7, 24, embed_dim=8, hidden_dim=16, attention=attend), WORDS)
    with options(quiet=True):
        fit(method, Grid(0, 512), Adam(1e-2), steps=250)
    test = Grid(1, 200)
    told = method.told((test.x, test.words))
    weight = told.weights[torch.arange(200), 0, test.place]
    assert weight.mean() > 0.8
    looked = method.look(test.x[:50], beam=1)
    assert [c.words for c in looked] == [[WORDS[4 + k]] for k in test.kind[:50].tolist()]
    assert looked[0].weights.shape == (1, 3, 3)
    assert sum(int(c.weights[0].argmax()) == p for c, p in zip(looked, test.place.tolist())) > 45
    torch.testing.assert_close(looked[7].weights[0].flatten(), told.weights[7, 0])


@pytest.mark.row("VIS-33")
def test_generation_is_step_by_step_what_the_decoder_finds_likeliest():
    method, x = captioner().eval(), torch.rand(3, 3, 2, 2)
    sentences = method.generate(x, beam=1, longest=6)
    for image, sentence in zip(x, sentences):
        said = [WORDS.index(word) for word in sentence.split()]
        for t in range(min(len(said) + 1, 6)):
            words = torch.tensor([[*said[:t], 0]])
            expected = said[t] if t < len(said) else 2
            assert method.told((image[None], words)).logits[0, t].argmax() == expected


def test_verbs_leave_everything_as_it_was():
    method, x = captioner(), torch.rand(2, 3, 2, 2)
    method.decoder.dropout.p = 0.5
    before = copy.deepcopy(method.state_dict())
    assert method.generate(x) == method.generate(x)
    assert method.training
    assert method.decoder.dropout.training
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert not method.look(x)[0].weights.requires_grad


# search


def chain(depth: int = 3, vocab: int = 4, seed: int = 0):
    """A step whose logits are a table of the words so far, which the state counts; and the log probability of a sentence."""
    table = 2 * torch.randn(vocab**depth + 2, vocab, generator=torch.Generator().manual_seed(seed))

    def step(said, h):
        h = (h * vocab + said[:, None]) % (vocab**depth)
        return table[h[:, 0].long()], h

    def score(sentence):
        h, total, before = torch.zeros(1, 1), 0.0, 0
        for word in sentence:
            logits, h = step(torch.tensor([before]), h)
            total, before = total + float(logits[0].log_softmax(-1)[word]), word
            if word == 3:
                return total
        return total

    return step, score


@pytest.mark.row("VIS-33")
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_all_sentences_finds_the_likeliest(seed):
    step, score = chain(seed=seed)
    ours = beam_search(step, torch.zeros(2, 1), start=0, end=3, width=64, longest=4)
    every = list(itertools.product(range(4), repeat=4))
    best = max(every, key=score)
    cut = best[: best.index(3) + 1] if 3 in best else best
    for row in ours.tolist():
        assert tuple(row[: len(cut)]) == cut
        assert set(row[len(cut):]) <= {3}
    greedy = beam_search(step, torch.zeros(1, 1), start=0, end=3, width=1, longest=4)[0].tolist()
    assert score(greedy) <= score(cut)


def test_what_no_search_can_mean(annotations_unchecked):
    step, _ = chain()
    for how in ({"width": 0}, {"longest": 0}):
        with pytest.raises(ValueError, match="expected a beam of 1 or more and sentences of 1 word or more"):
            beam_search(step, torch.zeros(1, 1), start=0, end=3, **how)
    with pytest.raises(ValueError, match="the logits are nan: no word can be chosen"):
        beam_search(lambda said, h: (torch.full((1, 4), math.nan), h), torch.zeros(1, 1), start=0, end=3)


# hard attention


def gradients(module: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return torch.autograd.grad(loss, [p for p in module.parameters() if p.requires_grad], allow_unused=True)


@pytest.mark.row("VIS-35")
@pytest.mark.parametrize("baseline", [0.0, -1.3])
@pytest.mark.parametrize("entropy", [0.0, 0.5])
def test_the_score_function_is_right_on_average(baseline, entropy):
    """Its gradient, averaged over all places of all words by their probability, is that of the expected loss."""
    inner = captioner(pick=likeliest_place).double().eval()
    inner.decoder.attention.forward = exact(inner.decoder.attention)
    method = HardCaptioner(inner, entropy_weight=entropy).eval()
    method.baseline = method.baseline.double().fill_(baseline)
    x, words = torch.rand(1, 3, 1, 3, dtype=torch.float64), torch.tensor([[5, 2]])
    expected, average = 0.0, None
    for places in itertools.product(range(3), repeat=2):
        s = torch.tensor([places])
        told = inner.decoder(inner.features(x), words, Places(s))
        p = (told.weights * told.used).sum(-1).prod()
        spread = -(told.weights * told.weights.log()).sum(-1).sum()
        expected = expected + p * (word_nll(told.logits, words).sum() - entropy * spread) / 2
        estimate = gradients(inner, method.loss((x, words), places=s)["loss"])
        parts = [p.detach() * (g if g is not None else 0) for g in estimate]
        average = parts if average is None else [a + g for a, g in zip(average, parts)]
    for exact_one, ours in zip(gradients(inner, expected), average):
        if exact_one is not None:
            torch.testing.assert_close(ours, exact_one, atol=1e-6, rtol=0)


def exact(attention):
    """The attention's weights in the type of its inputs, without the detour over float32."""

    def forward(features, h):
        scores = attention.score((attention.of_place(features) + attention.of_state(h).unsqueeze(1)).tanh()).squeeze(-1)
        return scores.softmax(-1)

    return forward


@pytest.mark.row("VIS-35")
def test_places_are_drawn_by_their_weights():
    weights = torch.tensor([0.1, 0.6, 0.3]).expand(4_000, 3)
    drawn = Places()(weights)
    assert (drawn.sum(1) == 1).all()
    torch.testing.assert_close(drawn.mean(0), weights[0], atol=0.03, rtol=0)
    assert Places(torch.tensor([[2, 0]]))(weights[:1]).tolist() == [[0, 0, 1]]
    some = Places(torch.tensor([[2], [2]]), torch.tensor([True, False]))(weights[:2])
    torch.testing.assert_close(some, torch.stack([weights[0], torch.tensor([0.0, 0.0, 1.0])]))
    assert likeliest_place(weights[:1]).tolist() == [[0, 1, 0]]
    assert to_go(torch.tensor([[1.0, 2.0, 4.0]])).tolist() == [[7.0, 6.0, 4.0]]


@pytest.mark.row("VIS-35")
def test_images_that_learn_by_the_mean_have_the_gradient_of_soft_attention():
    x, words = torch.rand(4, 3, 2, 2), torch.tensor([[4, 2, 0], [5, 6, 2], [6, 2, 0], [5, 2, 0]])
    inner = captioner(pick=likeliest_place).eval()
    soft = Captioner(inner.encoder, inner.decoder, WORDS)
    method = HardCaptioner(inner, mean_share=1.0, entropy_weight=0.0)
    for a, b in zip(gradients(inner, method.loss((x, words))["loss"]), gradients(soft, soft.loss((x, words))["loss"])):
        torch.testing.assert_close(a, b)
    draws = [HardCaptioner(inner, mean_share=share, entropy_weight=0.0).loss((x, words))["nll"] for share in (0.0, 0.0, 1.0, 1.0)]
    assert draws[0] != draws[1]
    assert draws[2] == draws[3]


@pytest.mark.row("VIS-35")
def test_the_baseline_follows_the_log_probability_of_a_word():
    method, x, words = HardCaptioner(captioner(pick=likeliest_place), decay=0.75), torch.rand(2, 3, 2, 2), torch.tensor([[4, 2, 0], [5, 6, 2]])
    loss = method.loss((x, words))
    assert float(method.baseline) == pytest.approx(-0.25 * float(loss["nll"]))
    kept = method.baseline.clone()
    method.eval().loss((x, words))
    assert torch.equal(method.baseline, kept)
    assert 0 < float(loss["entropy"]) <= math.log(4)
    assert method.metrics((x, words))["nll"].shape == (2,)
    torch.testing.assert_close(method.metrics((x, words))["nll"], method.captioner.metrics((x, words))["nll"])
    assert method.weight((x, words)) == 5


@pytest.mark.row("VIS-35")
def test_hard_attention_learns_where_to_look():
    encoder = nn.Sequential(nn.Conv2d(1, 24, 4, stride=4), nn.ReLU(), nn.Conv2d(24, 24, 1), nn.ReLU())
    net = CaptionDecoder(7, 24, embed_dim=8, hidden_dim=16, attention=AdditiveAttention(24, 16, width=16))
    method = HardCaptioner(Captioner(encoder, net, WORDS, pick=likeliest_place), entropy_weight=0.01)
    with options(quiet=True):
        fit(method, Grid(0, 512), Adam(1e-2), steps=400)
    test = Grid(1, 200)
    found = torch.stack([caption.weights[0].flatten() for caption in method.look(test.x, beam=1)])
    assert set(found.flatten().tolist()) == {0.0, 1.0}
    assert (found.argmax(1) == test.place).float().mean() > 0.8
    assert sum(text == WORDS[4 + k] for text, k in zip(method.generate(test.x), test.kind.tolist())) > 160


# what cannot be meant


@pytest.mark.parametrize(("x", "words", "message"), [
    (torch.zeros(2, 3, 2, 2), torch.zeros(1, 3, dtype=torch.long), r"expected word numbers int64 \(2, T\), got torch\.int64 \(1, 3\)"),
    (torch.zeros(2, 3, 2, 2), torch.zeros(2, 3), r"got torch\.float32 \(2, 3\)"),
    (torch.zeros(2, 3, 2, 2), torch.zeros(2, 0, dtype=torch.long), r"got torch\.int64 \(2, 0\)"),
    (torch.zeros(2, 3, 2, 2), torch.full((2, 3), 7), r"expected word numbers in 0\.\.6, got 7\.\.7"),
    (torch.zeros(2, 3, 2, 2), torch.full((2, 3), -1), r"expected word numbers in 0\.\.6, got -1\.\.-1"),
    (torch.zeros(2, 4, 2, 2), torch.zeros(2, 3, dtype=torch.long), r"expected features \(B, L, 3\), got \(2, 4, 4\)"),
    (torch.zeros(2, 3, 2, 2, dtype=torch.uint8), torch.zeros(2, 3, dtype=torch.long), r"expected images \(B, C, H, W\) of real numbers"),
    (torch.full((2, 3, 2, 2), math.nan), torch.zeros(2, 3, dtype=torch.long), "expected finite values, got 24 of 24")])
def test_batches_that_are_none_are_refused(x, words, message, annotations_unchecked):
    for method in (captioner(), HardCaptioner(captioner(pick=likeliest_place))):
        for refuse in (method.loss, method.metrics):
            with pytest.raises(ValueError, match=message):
                refuse((x, words))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected a vocabulary of 7 words, got 6"):
        Captioner(Cells(), decoder(), WORDS[:-1])
    for inner in (captioner(), captioner(attention=False, pick=likeliest_place)):
        with pytest.raises(ValueError, match="hard attention needs a decoder with attention and a captioner with pick=likeliest_place"):
            HardCaptioner(inner)
    with pytest.raises(ValueError, match="expected a temperature above 0, got 0"):
        AdditiveAttention(3, 4, temperature=0.0)
