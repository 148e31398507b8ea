"""Texts to values: which type fits a column of texts, and the conversion to it.

Types only widen (boolean, integer, real, timestamp, text) and no value is lost on the way: integers beyond 64
signed bits, and columns that mix big integers with fractions, stay text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from skygate.release.compute import pc
from skygate.release.read.bytes_text import decoded

MISSING = ("", "null", "NULL", "Null", "NA", "N/A", "n/a", "None", "none", "--", "\\N")
"""Texts that mean "missing" among numbers (in a column of text only the empty one and the recipe's do)."""

_INTEGER = r"^[+-]?[0-9]+$"
_EXACT = 2**53
_PADDED = r"^\s*[+-]?0[0-9]{2,}\s*$"
"""Whole numbers padded with zeros to three digits or more: codes (007, 01234), not quantities."""
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?$|^[+-]?(?i:nan|inf|infinity)$"
_FEW = 20
"""Most texts among numbers that are taken for slips."""
_LONGEST = 18
"""Digits that surely make an integer of 64 bits."""
_DATE = r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?P<time>[T ][0-9].*)?$"
_COMMA = r"^[+-]?[0-9]*,[0-9]+$"


class Kind(StrEnum):
    """What the values of a column of texts are."""

    EMPTY = "empty"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    REAL = "real"
    TIMESTAMP = "timestamp"
    TEXT = "text"


ARROW: dict[Kind, pa.DataType] = {
    Kind.EMPTY: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TEXT: pa.string(),
}


def clean_missing(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """`texts` trimmed, with null for each text that means "missing"."""
    trimmed = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(trimmed, value_set=pa.array(nulls, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)


def to_integers(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """64-bit integers; raises `pa.ArrowInvalid` where a text is none (0x1F is a code, not a number)."""
    if any(pc.any(pc.match_substring(texts, mark)).as_py() for mark in ("x", "X")):
        raise pa.ArrowInvalid("a hexadecimal number")
    try:
        return pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        cleaned = clean_missing(texts, (*nulls, "nan", "NaN", "NAN"))
        return pc.cast(pc.replace_substring_regex(cleaned, r"^\+", ""), pa.int64())


def to_reals(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """Doubles (Fortran's `1.0D+03` too); raises `pa.ArrowInvalid` where a text is none."""
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        cleaned = clean_missing(texts, nulls)
        plain = pc.replace_substring_regex(cleaned, r"^([+-]?[0-9.]+)[dD]([+-]?[0-9]+)$", r"\1e\2")
        return pc.cast(plain, pa.float64())


def to_booleans(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """Booleans from the words true and false in any case; raises `pa.ArrowInvalid` elsewhere."""
    cleaned = pc.utf8_lower(clean_missing(texts, nulls))
    words = pc.is_in(cleaned, value_set=pa.array(["true", "false"]))
    if pc.any(pc.and_(pc.is_valid(cleaned), pc.invert(words))).as_py():
        raise pa.ArrowInvalid("not true or false")
    return pc.cast(pc.equal(cleaned, "true"), pa.bool_())


def to_timestamps(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """UTC timestamps in microseconds from ISO 8601; raises `pa.ArrowInvalid`.

    A final Z is allowed, and an offset such as +02:00 is taken off; times without either are UTC.
    """
    cleaned = clean_missing(texts, nulls)
    plain = pc.replace_substring_regex(cleaned, r"Z$", "")
    try:
        return pc.cast(plain, pa.timestamp("us"))
    except pa.ArrowInvalid:
        zoned = pc.match_substring_regex(plain, r"[0-9]:[0-9]{2}(:[0-9.]+)?[+-][0-9]{2}(:?[0-9]{2})?$")
        if not pc.any(zoned).as_py():
            raise
    timed = pc.if_else(
        pc.match_substring(plain, ":"), plain, pc.binary_join_element_wise(plain, "00:00:00", "T")
    )
    told = pc.if_else(zoned, plain, pc.binary_join_element_wise(timed, "Z", ""))
    return pc.cast(pc.cast(told, pa.timestamp("us", "UTC")), pa.timestamp("us"))


def to_texts(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> pa.Array:
    """The texts without blanks around them, null where nothing is left."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


OUTER_BLANKS = "blanks around the text left out"


def outer_blanks(texts: pa.Array) -> int:
    """How many texts lose blanks before or behind them; wholly blank ones are null and no loss."""
    trimmed = pc.utf8_trim_whitespace(texts)
    changed = pc.and_(pc.not_equal(trimmed, texts), pc.not_equal(trimmed, ""))
    return int(pc.sum(changed).as_py() or 0)


CONVERTERS: dict[Kind, Callable[[pa.Array, tuple[str, ...]], pa.Array]] = {
    Kind.EMPTY: to_texts,
    Kind.BOOLEAN: to_booleans,
    Kind.INTEGER: to_integers,
    Kind.REAL: to_reals,
    Kind.TIMESTAMP: to_timestamps,
    Kind.TEXT: to_texts,
}


def as_text(binary: pa.Array, *, leading: bool = False) -> pa.Array:
    """Bytes as text: each value UTF-8 where it is, else Windows-1252; after a NUL all is dropped.

    Blanks at the end are, and those at the beginning unless `leading` says that they mean something.
    """
    try:
        text = pc.cast(binary, pa.string())
    except pa.ArrowInvalid:
        text = pa.array([None if b is None else decoded(b) for b in binary.to_pylist()], pa.string())
    trim = pc.ascii_rtrim if leading else pc.ascii_trim
    trimmed = trim(text, characters=" \0\t\r")
    if pc.any(pc.match_substring(trimmed, "\0")).as_py():
        trimmed = trim(pc.replace_substring_regex(trimmed, "\0(?s:.*)$", ""), characters=" \t\r")
    return trimmed


def read_again(texts: pa.Array) -> pa.Array:
    """Texts that were read as Latin-1, each as it was meant (see `bytes_text`)."""
    odd = pc.fill_null(pc.invert(pc.string_is_ascii(texts)), fill_value=False)
    if not pc.any(odd).as_py():
        return texts
    meant = [decoded(text.encode("latin-1")) for text in pc.filter(texts, odd).to_pylist()]
    return pc.replace_with_mask(texts, odd, pa.array(meant, pa.string()))


@dataclass(slots=True)
class Guess:
    """The type that fits every text of a column seen so far. Feed it with `see`."""

    nulls: tuple[str, ...] = MISSING
    kind: Kind = Kind.EMPTY
    ascii: bool = True
    why: str = ""
    biggest: int = field(default=0)
    numbers: int = 0
    """Numbers, as long as `odd` is one of few."""
    odd: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """(row, text) of the texts that keep a column of numbers from being one, while they are few."""
    among: str = "numbers"
    """What most of the values are: numbers or dates."""
    commas: str | None = None
    """A number with a decimal comma, where all of a column are such."""
    _mixed: bool = True
    _chunks: int = 0

    def forget(self) -> None:
        """Begin anew."""
        self.kind, self.ascii, self.why, self.biggest = Kind.EMPTY, True, "", 0
        self.numbers, self.odd, self._mixed = 0, [], True
        self.among, self.commas, self._chunks = "numbers", None, 0

    def see(self, texts: pa.Array, *, rows_before: int = 0) -> None:
        """Widen the type until every text of this chunk fits."""
        if self.kind is not Kind.TEXT:
            self._widen(texts)
        if self._mixed:
            self._count(texts, rows_before)
        if self.kind in (Kind.TEXT, Kind.EMPTY) and self.ascii:
            self.ascii = bool(pc.all(pc.string_is_ascii(texts)).as_py() is not False)

    def _count(self, texts: pa.Array, rows_before: int) -> None:
        """Count numbers and the few other texts; gives up where these are many."""
        if self.kind in (Kind.INTEGER, Kind.REAL):
            self.numbers += len(texts) - texts.null_count
            return
        if self.kind is not Kind.TEXT:
            return
        cleaned = clean_missing(texts, self.nulls)
        self._note_commas(cleaned)
        number = pc.match_substring_regex(cleaned, _NUMBER)
        if not self.numbers and not self.odd:
            dates, plain = (
                pc.sum(m).as_py() or 0 for m in (pc.match_substring_regex(cleaned, _DATE), number)
            )
            self.among = "dates" if dates > plain else "numbers"
        if self.among == "dates":
            number = _real_dates(cleaned)
        else:
            number = pc.and_(number, pc.invert(_beyond_64_bits(cleaned)))
        self.numbers += int(pc.sum(number).as_py() or 0)
        hits = pc.indices_nonzero(pc.invert(pc.fill_null(number, fill_value=True)))
        self.odd += [(rows_before + i.as_py(), texts[i.as_py()].as_py()) for i in hits.slice(0, _FEW + 1)]
        if len(self.odd) > _FEW:
            self.odd, self._mixed = [], False

    def _note_commas(self, cleaned: pa.Array) -> None:
        known = cleaned.drop_null()
        if len(known):
            all_such = pc.all(pc.match_substring_regex(known, _COMMA)).as_py()
            first = not self._chunks
            self.commas = known[0].as_py() if all_such and (first or self.commas) else None
            self._chunks += 1

    @property
    def slips(self) -> list[tuple[int, str]]:
        """`odd`, when most values are numbers."""
        return self.odd if self.numbers >= 2 * len(self.odd) else []

    def _widen(self, texts: pa.Array) -> None:
        if self.kind in (Kind.EMPTY, Kind.INTEGER, Kind.REAL):
            padded = first_padded(texts, self.nulls)
            if padded is not None:
                self.kind, self.why = Kind.TEXT, f"values read as text ({padded[:40]!r} has leading zeros)"
                self._mixed = False
                return
        if self.kind is Kind.EMPTY:
            first = clean_missing(texts, self.nulls)
            if first.null_count == len(first):
                return
            self.kind = self._first_kind(texts)
            self.why = f"values read as {self.kind}"
            return
        if self._fits(self.kind, texts):
            return
        if self.kind is Kind.INTEGER and self.biggest <= _EXACT and self._fits(Kind.REAL, texts):
            self.kind, self.why = Kind.REAL, "integers and fractions"
            return
        self._become_text(texts)

    def _first_kind(self, texts: pa.Array) -> Kind:
        for kind in (Kind.INTEGER, Kind.REAL, Kind.BOOLEAN, Kind.TIMESTAMP):
            if self._fits(kind, texts):
                return kind
        return Kind.TEXT

    def _fits(self, kind: Kind, texts: pa.Array) -> bool:
        try:
            values = CONVERTERS[kind](texts, self.nulls)
        except pa.ArrowInvalid:
            return False
        if kind is Kind.INTEGER and len(values) > values.null_count:
            ends = pc.min_max(values).as_py()
            self.biggest = max(self.biggest, abs(ends["min"]), abs(ends["max"]))
        if kind is Kind.REAL and len(values) > values.null_count:
            ends = pc.min_max(values).as_py()
            if max(-ends["min"], ends["max"]) >= _EXACT:  # the next whole number is rounded to it
                return not self._wide_integers(texts)
        return True

    def _wide_integers(self, texts: pa.Array) -> bool:
        """Whether some text is a whole number that a double would round."""
        trimmed = pc.utf8_trim_whitespace(texts)
        whole = pc.filter(trimmed, pc.match_substring_regex(trimmed, _INTEGER))
        return any(abs(int(w)) > _EXACT for w in whole.to_pylist() if w is not None and len(w) > 15)

    def _become_text(self, texts: pa.Array) -> None:
        odd = first_misfit(self.kind, texts, self.nulls)
        shown = "" if odd is None else f" ({odd[1][:40]!r} among {self.kind} values)"
        self.kind, self.why = Kind.TEXT, f"values read as text{shown}"


def _beyond_64_bits(texts: pa.Array) -> pa.Array:
    """Which texts are whole numbers that no integer of 64 bits holds."""
    long = pc.and_(pc.greater(pc.binary_length(texts), _LONGEST), pc.match_substring_regex(texts, _INTEGER))
    if not pc.any(long, min_count=0).as_py():
        return long
    found = [bool(is_long) and not -(2**63) <= int(text) < 2**63 for text, is_long in _both(texts, long)]
    return pa.array(found, mask=texts.is_null().to_numpy(zero_copy_only=False))


def _both(texts: pa.Array, flags: pa.Array) -> zip[tuple[Any, Any]]:
    return zip(texts.to_pylist(), flags.to_pylist(), strict=True)


def _real_dates(texts: pa.Array) -> pa.Array:
    """Which texts begin with a day that there is."""
    parts = pc.extract_regex(texts, _DATE)
    year, month, day = (
        pc.struct_field(parts, n).fill_null("0").cast(pa.int64()).to_numpy() for n in ("year", "month", "day")
    )
    good = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    first = (np.where(good, year, 1) - 1970).astype("M8[Y]").astype("M8[M]") + np.where(good, month - 1, 0)
    days = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(np.int64)
    return pa.array(good & (day <= days), mask=texts.is_null().to_numpy(zero_copy_only=False))


def first_padded(texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> str | None:
    """The first text that is a whole number padded with zeros (007, not 05 nor 000.12)."""
    # Few texts begin so, and a regular expression costs ten times as much as the look at the beginning.
    near: Any = pc.starts_with(texts, "0")
    for sign in ("+", "-", " "):
        near = pc.or_(near, pc.starts_with(texts, sign))
    texts = pc.filter(texts, near)
    padded = pc.match_substring_regex(texts, _PADDED)
    if not pc.any(padded).as_py():
        return None
    found = clean_missing(pc.filter(texts, padded), nulls).drop_null()
    return str(found[0].as_py()) if len(found) else None


def first_misfit(kind: Kind, texts: pa.Array, nulls: tuple[str, ...] = MISSING) -> tuple[int, str] | None:
    """(index, text) of the first text that is no value of `kind`; None when all are."""
    low, high = 0, len(texts)
    convert = CONVERTERS[kind]
    if high == 0 or _converts(convert, texts, nulls):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _converts(convert, texts.slice(low, middle - low), nulls):
            low = middle
        else:
            high = middle
    return low, str(texts[low].as_py())


def _converts(
    convert: Callable[[pa.Array, tuple[str, ...]], pa.Array], texts: pa.Array, nulls: tuple[str, ...]
) -> bool:
    try:
        convert(texts, nulls)
    except pa.ArrowInvalid:
        return False
    return True
