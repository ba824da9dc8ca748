"""Finding a system or a recipe by what somebody typed: an id, a name, a part of one, a misspelling.

    score(query, item) = mean over the words q of the query of max over the words w of the item of near(q, w),    near in [0, 1]

1 stands for the same word, 0.9 for its beginning, less for a misspelling; the query written as one word counts too (wgangp, pixelcnn).
"""

import difflib
import re
import unicodedata
from functools import cache
from itertools import pairwise

from deepcanon import catalogue
from deepcanon.catalogue import Entry, RecipeInfo


def find(query: str, limit: int = 15) -> list[Entry | RecipeInfo]:
    """Systems and recipes near `query`, best first: each of its words is compared with each of theirs, misspelt or cut short as it may be."""
    scored = _scores(query)
    return [item for score, item in scored if score >= max(0.6, 0.85 * scored[0][0])][:limit]


def resolve(query: str) -> Entry | RecipeInfo:
    """The one system or recipe that `query` names: an id, a recipe, a name, an object or a file. ValueError with the nearest otherwise."""
    if query.upper() in catalogue.entries():
        return catalogue.entries()[query.upper()]
    if query in catalogue.recipes():
        return catalogue.recipes()[query]
    for names in (_called, _built_as, _kept_in):
        for entry in catalogue.entries().values():
            if _squash(query) in names(entry):
                return entry
    near = find(query, limit=3)
    if len(near) == 1 and _scores(query)[0][0] >= 0.9:
        return near[0]
    hint = f"did you mean {' or '.join(map(label, near))}?" if near else "see `deepcanon list systems`"
    raise ValueError(f"nothing is called '{query}'; {hint}")


def label(item: Entry | RecipeInfo) -> str:
    """How a message names a system or a recipe."""
    return f"'{item.name}'" if isinstance(item, RecipeInfo) else f"{item.id} ({item.name})"


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z0-9]+", plain.lower())


def _squash(text: str) -> str:
    return "".join(_words(text))


def _called(entry: Entry) -> set[str]:
    """The names of a system, squashed: "Variational autoencoder (VAE)" is called variationalautoencoder and vae."""
    bare, *aliases = re.split(r"[(),]", entry.name)
    return {_squash(name) for name in [entry.name, bare, *aliases]} - {""}


def _built_as(entry: Entry) -> set[str]:
    return {_squash(entry.where), _squash(entry.where.partition(":")[2])} - {""}


def _kept_in(entry: Entry) -> set[str]:
    module = entry.module.removeprefix("deepcanon.")
    return {_squash(module), _squash(module.rpartition(".")[2])} - {""}


@cache
def _scores(query: str) -> list[tuple[float, Entry | RecipeInfo]]:
    """How well every system and recipe answers a query, best first; between equals the one so called, then the one that says less else."""
    wanted, whole = _words(query), _squash(query)
    if not wanted:
        raise ValueError(f"nothing to look for in '{query}'")
    texts = [(e, _index(f"{e.id} {e.name} {e.where.rpartition('.')[2]} {e.recipe}")) for e in catalogue.entries().values()]
    texts += [(r, _index(f"{r.name} {' '.join(r.data)} {r.summary}")) for r in catalogue.recipes().values()]
    near = {word: _near(word, set().union(*(words for _, words in texts))) for word in {*wanted, whole}}

    def score(words: set[str]) -> float:
        best = {q: max((near[q].get(w, 0.0) for w in words), default=0.0) for q in near}
        return max(best[whole], sum(best[q] for q in wanted) / len(wanted))

    def order(scored: tuple[float, Entry | RecipeInfo]):
        item = scored[1]
        return -scored[0], not (isinstance(item, Entry) and whole in _called(item)), len(_words(item.name))

    return sorted([(score(words), item) for item, words in texts], key=order)


def _index(text: str) -> set[str]:
    """The words of a text, and each pair written as one: WGAN-GP is found as wgangp."""
    words = _words(text)
    return {*words, *map("".join, pairwise(words))}


def _near(word: str, vocabulary: set[str]) -> dict[str, float]:
    """How near each word of a vocabulary is: 1 the same, 0.9 the beginning, else the likeness of a misspelling."""
    matcher = difflib.SequenceMatcher(b=word)
    near = {}
    for other in vocabulary:
        matcher.set_seq1(other)
        if other == word:
            near[other] = 1.0
        elif other.startswith(word):
            near[other] = 0.9
        elif matcher.real_quick_ratio() > 0.7 and matcher.quick_ratio() > 0.7 and matcher.ratio() > 0.7:
            near[other] = 0.9 * matcher.ratio()
    return near
