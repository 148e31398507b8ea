"""The texts of a table's position as numbers, batch after batch: a column keeps to one way of writing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from skygate.release.compute import pc
from skygate.release.coordinates import angles_of_texts, axes_of, has_mark, numbers_of_texts
from skygate.release.read.source import fault

TEXT_FORMS = ("sexagesimal", "dms", "texts")
"""Ways of writing positions in text columns: longitudes in hours, in degrees, both plain numbers."""


@dataclass(slots=True)
class Misfits:
    """The texts of one column that are no angle: how many, and the first of them."""

    count: int
    row: int
    value: str


@dataclass(slots=True)
class Angles:
    """Reads the texts of one position. `strict`: what is no angle is refused, else it gives no position."""

    form: str
    strict: bool
    misfits: dict[str, Misfits] = field(default_factory=dict[str, Misfits])
    """By column of the file."""
    marked: bool | None = None
    """Whether longitudes carry the mark of degrees; None before the first one."""

    def read(self, texts: pa.Array, source: str, *, is_longitude: bool, rows_before: int) -> pa.Array:
        """Numbers in the unit of the form, null where there is no angle; raises `BadRelease`."""
        if self.form == "texts":
            numbers, wrong = numbers_of_texts(texts)
        else:
            axis = axes_of(self.form)[0] if is_longitude else "latitude"
            if is_longitude:
                self._one_mark(texts, source, rows_before)
            numbers, wrong = angles_of_texts(texts, axis)
        first = pc.index(wrong, pa.scalar(value=True)).as_py()
        if first < 0:
            return numbers
        row, value = rows_before + first + 1, str(texts[first].as_py())[:60]
        if self.strict:
            what = "is no number" if self.form == "texts" else "is no sexagesimal angle"
            hint = "list it under the column's `nulls`, or leave the row out, in release.toml"
            raise fault(f"column {source}", f"row {row}: {value!r} {what}", hint=hint, token=value)
        known = self.misfits.setdefault(source, Misfits(0, row, value))
        known.count += int(pc.sum(wrong).as_py() or 0)
        return numbers

    def _one_mark(self, texts: pa.Array, source: str, rows_before: int) -> None:
        """Refuse a longitude in degrees among ones in hours or unmarked: nobody knows what these are."""
        written = pc.match_substring_regex(texts, r"^\s*[+\-−]?\s*\d{1,3}\s*[:hHdD°\s]\s*\d")
        marks = pc.if_else(written, has_mark(texts, "d"), pa.scalar(None, pa.bool_()))
        there = marks.drop_null()
        if not len(there):
            return
        if self.marked is None:
            self.marked = bool(there[0].as_py())
        first = pc.index(marks, pa.scalar(not self.marked)).as_py()
        if first < 0:
            return
        value = str(texts[first].as_py())[:60]
        others = "in degrees" if self.marked else "not marked as degrees"
        raise fault(
            f"column {source}",
            f"row {rows_before + first + 1}: {value!r} does not go with the rows before, which are {others}",
            hint="write all rows of the column in one way: hours (h or :) or degrees (d or °)",
            token=value,
        )
