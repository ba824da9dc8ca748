"""What a column is as a whole: number, boolean, date, category, or nothing to learn from; decided once, from
all of its cells."""

import re
from collections.abc import Iterable

import numpy as np

from .table_cells import CODE, DATE, INFINITE, MISSING, MOST_WORDS, NUMBER, WORD, Column

TYPES = ("number", "category", "ignore")
MOST_CATEGORIES = 100           # a column of more distinct words holds names, not categories,
FEW = 20                        # and so does one of more than this many that are more than half of its rows
MOSTLY = 0.95                   # where more of a column than this are numbers (dates), other cells are errors
TRUTHS = ({"true": 1, "false": 0}, {"yes": 1, "no": 0}, {"t": 1, "f": 0}, {"y": 1, "n": 0})
ROW_NUMBER = re.compile(r"(?:.*[_\s.-])?(?:id|idx|index|row|nr|no)|unnamed: 0|.*[a-z]Id", re.IGNORECASE)
NAMES = {MISSING: "missing", INFINITE: "infinite", WORD: "no number", DATE: "a date and no number",
         CODE: "a code and no number"}


class Decision:
    """What is done with a column.

    Args:
        type: number, boolean, date, category, or ignore.
        why: of a column that is ignored, the reason.
        notes: what was done with its cells that its user should know.
    """

    def __init__(self, type: str, why: str = "", notes: Iterable[str] = ()):
        self.type, self.why, self.notes = type, why, list(notes)


def decide(column: Column, forced: str | None = None, *, target: bool = False) -> Decision:
    """The type of a column of features, or of the target.

    Args:
        forced: number, category or ignore, set by the user.

    Raises:
        ValueError: a cell that does not fit its column (row and column are named).
    """
    if forced == "ignore":
        return Decision("ignore", "set so")
    if not column.present:
        return Decision("ignore", "holds no value")
    if forced == "category":
        return category(column, target or bool(forced))
    if forced == "number":
        return forced_number(column)
    if column.typed in ("boolean", "category"):
        return Decision("boolean") if column.typed == "boolean" else category(column, target)
    return by_cells(column, target)


def by_cells(column: Column, target: bool) -> Decision:
    """The type that most cells speak for."""
    present, numbers, codes = column.present, column.count(NUMBER), column.count(CODE)
    if column.count(INFINITE) and numbers + column.count(INFINITE) + codes > present / 2:
        raise wrong_cell(column, INFINITE)
    if codes and numbers + codes == present:
        return category(column, target, ["its digits are taken for codes (leading zeros, or whole numbers "
                                         "beyond 2**53)"])
    if numbers == present:
        return number(column, target)
    if column.count(DATE) == present:
        return Decision("date", notes=["dates were read as days since 1970-01-01"])
    if truth_of(column) is not None:
        return Decision("boolean")
    if column.count(DATE) > MOSTLY * present:
        raise wrong_cell(column, next(kind for kind in (WORD, CODE, NUMBER) if column.count(kind)),
                         "a date (YYYY-MM-DD)")
    if numbers > present / 2 and (numbers > MOSTLY * present or measures(column)):
        raise wrong_cell(column, next(kind for kind in (WORD, DATE, CODE) if column.count(kind)))
    return category(column, target)


def measures(column: Column) -> bool:
    """Whether the numbers of a column can only be quantities: some are not whole, or there are many."""
    numbers = column.values[column.kinds == NUMBER]
    return bool((numbers != np.round(numbers)).any()) or len(np.unique(numbers)) > FEW


def number(column: Column, target: bool) -> Decision:
    """A column of numbers, all with the same currency or percent sign or all without."""
    signs = {sign: count for sign, count in column.signs.items() if sign != ", "}
    if len(signs) > 1:
        row, word = column.first[min(signs, key=lambda sign: signs[sign])]
        other = column.first[max(signs, key=lambda sign: signs[sign])][1]
        raise ValueError(f"column '{column.name}' has '{word}' in row {row + 1} and '{other}' elsewhere; "
                         "write all of its numbers with the same sign, or none")
    notes = [f"numbers were read without their sign '{sign}'" for sign in signs if sign]
    if ", " in column.signs:
        notes.append(f"thousands marks were removed, as in '{column.first[', '][1]}'")
    if not target and ROW_NUMBER.fullmatch(column.name) and counts_rows(column):
        return Decision("ignore", "numbers the rows")
    return Decision("number", notes=notes)


def forced_number(column: Column) -> Decision:
    """A column whose cells must all be numbers, dates or truths."""
    if column.count(INFINITE):
        raise wrong_cell(column, INFINITE)
    if column.typed == "boolean" or truth_of(column) is not None:
        return Decision("boolean")
    if column.count(DATE) and not column.count(WORD):
        return Decision("date", notes=["dates were read as days since 1970-01-01"])
    if column.count(WORD):
        raise wrong_cell(column, WORD)
    if column.count(CODE):
        return Decision("number",
                        notes=["codes such as " + repr(column.found(CODE)[1]) + " were read as numbers"])
    return number(column, target=True)


def category(column: Column, keep: bool, notes: Iterable[str] = ()) -> Decision:
    """A column of words, unless there are so many that they must be names."""
    count, notes = column.distinct(), list(notes)
    if column.codes is None:
        if keep:
            raise ValueError(f"column '{column.name}' has more than {MOST_WORDS:,} different words, too many "
                             f"for categories")
        return Decision("ignore", "; ".join([f"different words in most of its {len(column):,} rows", *notes]))
    assert count is not None
    if not keep and (count > MOST_CATEGORIES or (count > FEW and count > column.present / 2)):
        why = (f"{count:,} different words in {column.present:,} rows: names, not categories "
               f"(set types={{'{column.name}': 'category'}} to keep it)")
        return Decision("ignore", "; ".join([why, *notes]))
    return Decision("category", notes=notes)


def wrong_cell(column: Column, kind: int, expected: str = "a number") -> ValueError:
    """What is wrong with the first cell of a kind."""
    row, word = column.found(kind)
    shown = f"'{word}'" if kind not in (MISSING, INFINITE) else NAMES[kind]
    others = f" (and in {column.count(kind) - 1:,} other rows)" if column.count(kind) > 1 else ""
    hint = ("" if kind == INFINITE else "; correct it, name it in missing=[...] if it marks a missing value, "
            f"or set types={{'{column.name}': 'category'}}")
    where = f"in row {row + 1}{others}"
    return ValueError(f"column '{column.name}' is {shown} {where}, expected {expected}{hint}")


def missing_cell(column: Column) -> ValueError:
    """Which cell is missing."""
    row, count = column.found(MISSING)[0], column.count(MISSING)
    word = column.first.get(MISSING, (row, ""))[1]
    return ValueError(f"column '{column.name}' is {f'{word!r} (missing)' if word else 'empty'} in row "
                      f"{row + 1}; "
                      f"fill or drop such rows ({count:,} of {len(column):,})")


def truth_of(column: Column) -> dict[str, int] | None:
    """What each word of a boolean column means; None when it is not one: true and false, yes and no, t and f,
    y and n in any case."""
    words = {word.lower() for word in column.words}
    if column.codes is None or column.count(NUMBER, CODE, DATE, INFINITE) or len(words) > 2 or not words:
        return None
    meaning = next((meaning for meaning in TRUTHS if words <= meaning.keys()), None)
    return meaning and {word: meaning[word.lower()] for word in column.words}


def counts_rows(column: Column) -> bool:
    """Whether the values are 0, 1, 2 ... or 1, 2, 3 ... in the order of the rows."""
    if column.count(NUMBER) != len(column) or column.values[0] not in (0, 1):
        return False
    return len(column) > 1 and bool((np.diff(column.values) == 1).all())


def numbers_of(column: Column, type: str) -> np.ndarray:
    """The values of a number, boolean or date column as float64, NaN where missing."""
    if type == "boolean" and column.typed != "boolean":
        meaning = truth_of(column)
        if meaning is None:                             # a column of 0 and 1 where truths were learned
            return column.values
        values = np.array([meaning[word] for word in column.words] + [np.nan], dtype=np.float64)
        assert column.codes is not None
        return values[column.codes]
    return column.values


def words_of(column: Column) -> tuple[np.ndarray, list[str]]:
    """The words of a category, sorted, and the place of each cell among them, -1 where missing."""
    assert column.codes is not None
    order = sorted(range(len(column.words)), key=lambda i: column.words[i])
    place = np.full(len(order) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[column.codes], [column.words[i] for i in order]


def typed_column(name: str, values: np.ndarray, missing: np.ndarray, typed: str) -> Column:
    """A column whose source knows what it holds: number, boolean or date values with a mask of the missing
    ones."""
    values = np.where(missing, np.nan, values.astype(np.float64))
    kind = DATE if typed == "date" else NUMBER
    kinds = np.where(missing, MISSING, np.where(np.isinf(values), INFINITE, kind)).astype(np.uint8)
    different = np.unique(values[~missing])
    if len(different) > MOST_WORDS:
        return Column(name, kinds, values, None, [], typed=typed)
    names = {"boolean": ["False", "True"]}.get(typed, [])
    words = [names[int(value)] if names else written(value) for value in different.tolist()]
    codes = np.where(missing, -1, np.searchsorted(different, np.where(missing, 0, values))).astype(np.int32)
    return Column(name, kinds, values, codes, words, typed=typed)


def category_column(name: str, codes: np.ndarray, words: list[str]) -> Column:
    """A column whose source says that it holds categories: the number of each word, -1 where missing; words
    that do not occur are left out."""
    used, places = np.unique(codes[codes >= 0], return_inverse=True)
    kept = np.full(len(codes), -1, dtype=np.int32)
    kept[codes >= 0] = places
    kinds = np.where(codes < 0, MISSING, WORD).astype(np.uint8)
    return Column(name, kinds, np.full(len(codes), np.nan), kept, [words[i] for i in used.tolist()],
                  typed="category")


def written(value: float) -> str:
    """A number as a word: 3 for 3.0."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)
