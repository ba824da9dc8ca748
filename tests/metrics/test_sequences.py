"""BLEU and the word error rate against worked examples, sacreBLEU and jiwer."""

import math
import random

import jiwer
import pytest
import sacrebleu

from deepcanon.metrics import bleu, edit_distance, word_error_rate

WORDS = [
    "the", "a", "cat", "dog", "sat", "on", "under", "mat", ",", ".", "it's", "3.5", "1,000", '"so"',
    "well-known", "(yes)", "10-12", "Mat", "&", "co",
]


def sentences(seed, n, words=WORDS):
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=draw.randint(3, 14))) for _ in range(n)]


def altered(texts, seed):
    draw = random.Random(seed)
    return [" ".join(w if draw.random() > 0.25 else draw.choice(WORDS) for w in text.split(" ")) for text in texts]


@pytest.mark.row("MET-06")
def test_a_word_counts_as_often_as_a_reference_has_it():
    found = bleu(["the the the the the the the"], [["the cat is on the mat"]])
    assert found.precisions[0] == pytest.approx(2 / 7)
    assert found.precisions[1:] == (0, 0, 0)
    assert bleu(["the the the the the the the"], [["the cat is on the mat"]], smooth=False).score == 0
    several = bleu(["the the the the"], [["the cat", "the mat the"]])
    assert several.precisions[0] == 2 / 4


@pytest.mark.row("MET-06")
def test_identical_texts_are_one_and_short_ones_are_punished():
    texts = sentences(0, 5)
    assert bleu(texts, [[t] for t in texts]).score == pytest.approx(1)
    half = bleu(["a b c d e"], [["a b c d e f g h i j"]])
    assert half.brevity_penalty == pytest.approx(math.exp(1 - 2))
    assert half.score == pytest.approx(math.exp(-1))
    assert bleu(["a b c d e f"], [["a b c d e"]]).brevity_penalty == 1


@pytest.mark.row("MET-06")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lower", [False, True])
def test_it_equals_sacrebleu(seed, lower):
    first, second = sentences(seed, 12), sentences(seed + 50, 12)
    texts = altered(first, seed)
    expected = sacrebleu.corpus_bleu(texts, [first, second], lowercase=lower)
    found = bleu(texts, list(zip(first, second)), lower=lower)
    assert 100 * found.score == pytest.approx(expected.score, abs=1e-9)
    assert [100 * p for p in found.precisions] == pytest.approx(expected.precisions)
    assert (found.length, found.reference_length, found.brevity_penalty) == (expected.sys_len, expected.ref_len, pytest.approx(expected.bp))


@pytest.mark.row("MET-06")
@pytest.mark.parametrize("text", ["x", "a b", "nothing is right here at all", "the cat"])
def test_precisions_of_zero_are_smoothed_as_sacrebleu_does(text):
    reference = "the cat sat on the mat"
    assert 100 * bleu([text], [[reference]]).score == pytest.approx(sacrebleu.corpus_bleu([text], [[reference]]).score, abs=1e-9)


@pytest.mark.row("MET-06")
def test_text_is_given_as_people_write_it():
    pair = ["the cat sat on the mat"], [["The cat sat on the mat"]]
    assert 100 * bleu(*pair).score == pytest.approx(75.98, abs=0.005)
    assert bleu(*pair, lower=True).score == pytest.approx(1)
    assert bleu(*pair).signature == "refs:1|case:mixed|tok:13a|smooth:exp"
    assert bleu(["a\nb &amp; c"], [["a b & c"]]).score == 1


def test_missing_references_are_refused():
    with pytest.raises(ValueError, match="expected references for each of one translation or more, got 0 for 1"):
        bleu(["a"], [])
    with pytest.raises(ValueError, match="expected a list of one reference or more for each translation"):
        bleu(["a"], ["a"])


@pytest.mark.row("MET-23")
def test_errors_a_word_of_the_reference():
    assert word_error_rate(["the bat sat down"], ["the cat sat"]) == pytest.approx(2 / 3)
    assert word_error_rate(["a b c d e"], ["x"]) == 5
    assert word_error_rate(["a b", "c"], ["a b", "d"]) == pytest.approx(1 / 3)
    assert word_error_rate([""], ["a b"]) == 1


@pytest.mark.row("MET-23")
@pytest.mark.parametrize("seed", range(5))
def test_it_equals_jiwer(seed):
    references = sentences(seed, 8)
    transcripts = altered(references, seed + 1)[:6] + sentences(seed + 2, 2)
    assert word_error_rate(transcripts, references) == pytest.approx(jiwer.wer(references, transcripts), abs=1e-12)


@pytest.mark.row("MET-23")
def test_the_edit_distance_is_a_metric_and_counts_each_kind_once():
    assert (edit_distance("kitten", "sitting"), edit_distance("", "abc"), edit_distance("abc", "abc")) == (3, 3, 0)
    assert (edit_distance("ab", "abc"), edit_distance("abc", "ab"), edit_distance("abc", "axc"), edit_distance("ab", "ba")) == (1, 1, 1, 2)


def test_references_without_a_word_are_refused():
    with pytest.raises(ValueError, match="expected references with one word or more, got none"):
        word_error_rate(["a"], [" "])
    with pytest.raises(ValueError, match="expected a reference for each transcript, got 2 for 1"):
        word_error_rate(["a"], ["a", "b"])
