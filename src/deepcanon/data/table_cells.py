"""What the cells of a column hold: each distinct text is looked at once, each chunk of rows once.

A cell is a number, a code (digits that are a name: `007`, or more digits than a number can hold), a date, a
word, missing or infinite. What the column is as a whole is decided in `table_columns`, when all of its cells
have been seen.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MISSING, NUMBER, CODE, INFINITE, DATE, WORD = range(6)
MISSING_MARKS = frozenset({"?", "na", "n/a", "#n/a", "-", "null", "none", "nan"})       # in small letters
MOST_WORDS = 10_000             # distinct texts of a column that are remembered
CURRENCY = r"[$€£¥₹]|USD|EUR|GBP|CHF|JPY"
EXACT = 2**53                   # whole numbers up to here are exact in float64
EPOCH = np.datetime64("1970-01-01")
Signs = dict[int, tuple[str, ...]]      # of each distinct text that has some


def patterns(decimal: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A number; many of them, one a line; a number with a thousands mark, a currency or a percent sign."""
    point = re.escape(decimal)
    number = rf"[+-]?(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    marks = r"[ \u00a0\u202f'" + ("," if decimal == "." else ".") + "]"
    grouped = rf"[0-9]{{1,3}}(?:(?P<group>{marks})[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)(?:{point}[0-9]+)?"
    plain = rf"[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+"
    marked = re.compile(rf"(?P<sign>[+-]?)(?P<before>{CURRENCY})?\s?(?P<inner>[+-]?)"
                        rf"(?P<number>{grouped}|{plain})\s?(?P<after>%|{CURRENCY})?")
    return re.compile(number), re.compile(rf"(?:{number}\n)*+"), marked


PATTERNS = {decimal: patterns(decimal) for decimal in ".,"}
CODES = re.compile(r"^[+-]?(?:0[0-9]|[0-9]{16})", re.MULTILINE)
CODE_CELL = re.compile(r"[+-]?(?:0[0-9].*|[0-9]{16,})")
INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T "
                      r"][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?")


class Column:
    """A column of a table.

    Args:
        name: of the column.
        kinds: (N,) uint8, what each cell is: `MISSING`, `NUMBER` and so on.
        values: (N,) float64, numbers, and dates as days since 1970; NaN elsewhere.
        codes: (N,) int32, the place of the cell in `words`, -1 where missing; None when there are more
            distinct texts than `MOST_WORDS`.
        words: the distinct texts.
        typed: what the source itself says of the column: number, boolean, date or category; "" for text.
        signs: how many numbers have which currency or percent sign ("" for none), and ", " for thousands
            marks.
        first: of each kind and sign, the first row and the text of its cell.
    """

    def __init__(self, name: str, kinds: np.ndarray, values: np.ndarray, codes: np.ndarray | None,
                 words: list[str], *,
                 typed: str = "", signs: dict[str, int] | None = None,
                 first: dict[Any, tuple[int, str]] | None = None):
        self.name, self.kinds, self.values, self.codes, self.words = name, kinds, values, codes, words
        self.typed, self.signs, self.first = typed, signs or {}, first or {}

    def __len__(self) -> int:
        return len(self.kinds)

    def count(self, *kinds: int) -> int:
        """How many cells are of one of these kinds."""
        return int(np.isin(self.kinds, kinds).sum())

    def found(self, kind: int) -> tuple[int, str]:
        """The first row of that kind, from 0, and the text of its cell."""
        row = int((self.kinds == kind).argmax())
        word = {MISSING: "missing", INFINITE: "infinite"}.get(kind, f"{self.values[row]:g}")
        return self.first.get(kind, (row, word))

    @property
    def present(self) -> int:
        """Cells that are not missing."""
        return len(self) - self.count(MISSING)

    def distinct(self) -> int | None:
        """How many different values there are; None when there are too many to have been counted."""
        if self.codes is not None:
            return len(self.words)
        seen = self.values[np.isin(self.kinds, (NUMBER, DATE, CODE))]
        return len(np.unique(seen)) if self.count(WORD) == 0 else None


class Cells:
    """Takes the texts of a column in, a chunk of rows at a time.

    Args:
        name: of the column.
        decimal: "." or ",".
        missing: texts that stand for a missing value, exactly as written; None: `MISSING_MARKS` in any case.
    """

    def __init__(self, name: str, decimal: str, missing: frozenset[str] | None):
        self.name, self.decimal, self.missing = name, decimal, missing
        self.words: dict[str, int] | None = {}
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []          # kinds, values, codes
        self.signs: dict[str, int] = {}
        self.first: dict[Any, tuple[int, str]] = {}
        self.rows = 0

    def add(self, cells: Sequence[str]) -> None:
        """The cells of the next rows."""
        import pandas as pd

        stripped = np.empty(len(cells), dtype=object)
        stripped[:] = [cell.strip() for cell in cells]
        places, words = pd.factorize(stripped)
        kinds, values, signs = read_words(words.tolist(), self.decimal, self.missing)
        counts = np.bincount(places, minlength=len(words))
        rows = first_rows(places, len(words))
        for i in np.flatnonzero(kinds != NUMBER).tolist():
            self.note(int(kinds[i]), int(rows[i]), words[i])
        if signs:
            for i in np.flatnonzero(kinds == NUMBER).tolist():
                for sign in signs.get(i, ("",)):
                    self.signs[sign] = self.signs.get(sign, 0) + int(counts[i])
                    self.note(sign, int(rows[i]), words[i])
        elif number_count := int(counts[kinds == NUMBER].sum()):
            self.signs[""] = self.signs.get("", 0) + number_count
            self.note("", *self.first_number(kinds, rows, words))
        self.parts.append((kinds[places], values[places], self.coded(kinds, words)[places]))
        self.rows += len(cells)

    def note(self, what: Any, row: int, word: str) -> None:
        """Remember the first row of a kind or sign."""
        row += self.rows
        if what not in self.first or row < self.first[what][0]:
            self.first[what] = (row, word)

    @staticmethod
    def first_number(kinds: np.ndarray, rows: np.ndarray, words: Any) -> tuple[int, str]:
        place = np.flatnonzero(kinds == NUMBER)
        best = place[rows[place].argmin()]
        return int(rows[best]), words[best]

    def coded(self, kinds: np.ndarray, words: Any) -> np.ndarray:
        """The number of each word among all words seen so far, -1 for a missing one."""
        codes = np.full(len(words), -1, dtype=np.int32)
        if self.words is not None and len(words) > MOST_WORDS + 1:
            self.words = None
        if self.words is not None:
            for i in np.flatnonzero(kinds != MISSING).tolist():
                codes[i] = self.words.setdefault(words[i], len(self.words))
            if len(self.words) > MOST_WORDS:
                self.words = None
        return codes

    def column(self) -> Column:
        """All that was taken in."""
        kinds, values, codes = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        kept = None if self.words is None else codes
        return Column(self.name, kinds, values, kept, list(self.words or ()), signs=self.signs,
                      first=self.first)


def first_rows(places: np.ndarray, count: int) -> np.ndarray:
    """The first row of each of `count` numbers."""
    rows = np.zeros(count, dtype=np.int64)
    rows[places[::-1]] = np.arange(len(places) - 1, -1, -1)
    return rows


def read_words(words: list[str], decimal: str,
               missing: frozenset[str] | None) -> tuple[np.ndarray, np.ndarray, Signs]:
    """The kind and the value of each distinct text, and the signs of those that have some."""
    lines = "\n".join(words) + "\n"
    if PATTERNS[decimal][1].fullmatch(lines) and not CODES.search(lines):
        numbers = words if decimal == "." else lines.replace(",", ".").split()
        values = np.array(list(map(float, numbers)), dtype=np.float64)
        return np.where(np.isinf(values), INFINITE, NUMBER).astype(np.uint8), values, {}
    kinds, values, signs = np.full(len(words), WORD, dtype=np.uint8), np.full(len(words), np.nan), {}
    for i, word in enumerate(words):
        kinds[i], values[i], some = read_word(word, decimal, missing)
        if some:
            signs[i] = some
    if (kinds == DATE).any():
        rows = np.flatnonzero(kinds == DATE)
        values[rows] = days([words[i] for i in rows.tolist()])
        kinds[rows[np.isnan(values[rows])]] = WORD
    return kinds, values, signs


def read_word(word: str, decimal: str, missing: frozenset[str] | None) -> tuple[int, float, tuple[str, ...]]:
    """The kind, the value and the signs of one text."""
    if not word or (word.lower() in MISSING_MARKS if missing is None else word in missing):
        return MISSING, np.nan, ()
    number, _, marked = PATTERNS[decimal]
    plain = word.replace("\u2212", "-")
    if number.fullmatch(plain):
        value = float(plain.replace(",", "."))
        code = CODE_CELL.fullmatch(plain) and (plain.lstrip("+-").startswith("0") or abs(int(plain)) > EXACT)
        return CODE if code else INFINITE if np.isinf(value) else NUMBER, value, ()
    if INFINITY.fullmatch(plain):
        return INFINITE, np.nan, ()
    if ISO_DATE.fullmatch(word):
        return DATE, np.nan, ()
    match = marked.fullmatch(plain)
    if match is None or (match["sign"] and match["inner"]) or CODE_CELL.fullmatch(match["number"]):
        return WORD, np.nan, ()
    digits = match["number"].replace(match["group"], "") if match["group"] else match["number"]
    sign = (match["before"] or "") + (match["after"] or "")
    value = float(match["sign"] + match["inner"] + digits.replace(",", "."))
    return NUMBER, value, (sign, ", ") if match["group"] else (sign,)


def days(dates: Iterable[str]) -> np.ndarray:
    """ISO dates as days since 1970, NaN for a day that there is not."""
    import pandas as pd

    times = pd.to_datetime(list(dates), format="ISO8601", utc=True, errors="coerce").tz_localize(None)
    return days_of(times.to_numpy())


def days_of(times: np.ndarray) -> np.ndarray:
    """Times of NumPy as days since 1970."""
    return np.where(np.isnat(times), np.nan, (times - EPOCH) / np.timedelta64(1, "D"))
