"""BLEU (Papineni et al. 2002): how many of a translation's n-grams stand in a reference.

    p_n = sum_g min(count(g), max_r count_r(g)) / sum_g count(g)        g the n-grams of all translations, n = 1 ... 4
    BP = 1 if c > r else exp(1 - r / c)                                 c, r the lengths of translations and references
    BLEU = BP exp(1/4 sum_n log p_n)

Counts are summed over the whole corpus before they are divided. r takes, for each translation, the reference whose
length is nearest, the shorter one of two. Text is cut into words by the rules of mteval-v13a, as sacreBLEU does (Post
2018, arXiv 1804.08771): give it as people write it, not tokenised. A precision of 0 counts as 1 / 2, 1 / 4, ... of a
match, again as there; `smooth=False` leaves it, and BLEU is then 0.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from deepcanon.metrics.classification import ratio

ORDER = 4
SPLITS = [
    (re.compile(r"([\{-~\[-` -&\(-\+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
]
ENTITIES = {"<skipped>": "", "-\n": "", "\n": " ", "&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}


class Bleu(NamedTuple):
    """The score in [0, 1], its parts, and the settings without which two scores cannot be compared."""

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    length: int
    reference_length: int
    signature: str


def thirteen_a(text: str) -> list[str]:
    """Words and marks of a text by the rules of mteval-v13a."""
    for entity, character in ENTITIES.items():
        text = text.replace(entity, character)
    text = f" {text.rstrip()} "
    for pattern, parts in SPLITS:
        text = pattern.sub(parts, text)
    return text.split()


def bleu(translations: Sequence[str], references: Sequence[Sequence[str]], *, lower: bool = False,
         smooth: bool = True, tokenize: Callable[[str], list[str]] = thirteen_a) -> Bleu:
    """BLEU of a corpus.

    Args:
        translations: one text a sentence.
        references: for each translation, one reference or more.
        lower: whether capitals count as small letters.
        smooth: whether a precision of 0 is replaced.
        tokenize: text -> words.

    Raises:
        ValueError: no translation, or one without a reference.
    """
    if not translations or len(translations) != len(references):
        raise ValueError("expected references for each of one translation or more, "
                         f"got {len(references)} for {len(translations)}")
    if isinstance(references[0], str) or not all(references):
        raise ValueError("expected a list of one reference or more for each translation")
    cut = (lambda text: tokenize(text.lower())) if lower else tokenize
    matches, totals, c, r = [0] * ORDER, [0] * ORDER, 0, 0
    for translation, texts in zip(translations, references):
        words, others = cut(translation), [cut(text) for text in texts]
        c, r = c + len(words), r + min((abs(len(o) - len(words)), len(o)) for o in others)[1]
        for n in range(1, ORDER + 1):
            ours, allowed = ngrams(words, n), Counter()
            for other in others:
                allowed |= ngrams(other, n)
            matches[n - 1] += (ours & allowed).total()
            totals[n - 1] += ours.total()
    precisions = tuple(ratio(m, t) for m, t in zip(matches, totals))
    penalty = (1.0 if c > r else math.exp(1 - r / c)) if c else 0.0
    used = smoothed(precisions, totals) if smooth else precisions
    score = penalty * math.exp(sum(map(math.log, used)) / ORDER) if all(used) else 0.0
    return Bleu(score, precisions, penalty, c, r, signature(references, lower, tokenize, smooth))


def signature(references: Sequence[Sequence[str]], lower: bool, tokenize: Callable, smooth: bool) -> str:
    """What the score depends on besides the texts, in sacreBLEU's words."""
    counts = {len(texts) for texts in references}
    cut = "13a" if tokenize is thirteen_a else getattr(tokenize, "__name__", "own")
    return (f"refs:{counts.pop() if len(counts) == 1 else 'several'}|case:{'lower' if lower else 'mixed'}|tok:{cut}|"
            f"smooth:{'exp' if smooth else 'none'}")


def ngrams(words: Sequence[str], n: int) -> Counter:
    """How often each run of n words occurs."""
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def smoothed(precisions: Sequence[float], totals: Sequence[int]) -> list[float]:
    """The precisions with 1 / (2 N), 1 / (4 N), ... for those of 0 among N n-grams; all 0 where no word is right."""
    if not precisions[0]:
        return [0.0] * len(precisions)
    found, share = [], 1.0
    for p, total in zip(precisions, totals):
        share /= 2 if total and not p else 1
        found.append(p or (share / total if total else 0.0))
    return found


def word_error_rate(transcripts: Sequence[str], references: Sequence[str]) -> float:
    """Insertions, deletions and substitutions of words that make the transcripts the references, a word of the references.

    It is above 1 where words are inserted. Words are what stands between spaces.

    Raises:
        ValueError: other numbers of transcripts than of references, or references without a word.
    """
    if len(transcripts) != len(references):
        raise ValueError(f"expected a reference for each transcript, got {len(references)} for {len(transcripts)}")
    words = sum(len(reference.split()) for reference in references)
    if not words:
        raise ValueError("expected references with one word or more, got none")
    return sum(edit_distance(a.split(), b.split()) for a, b in zip(transcripts, references)) / words


def edit_distance(a: Sequence, b: Sequence) -> int:
    """The fewest insertions, deletions and substitutions that make a into b (Levenshtein 1966).

        D_ij = min(D_{i-1,j} + 1, D_{i,j-1} + 1, D_{i-1,j-1} + [a_i != b_j])
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        costs = [i]
        for y, (diagonal, above) in zip(b, pairwise(row)):
            costs.append(min(above + 1, costs[-1] + 1, diagonal + (x != y)))
        row = costs
    return row[-1]
