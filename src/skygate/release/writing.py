"""How a pair of columns writes its angles, judged by units and sampled values, or why it holds none.

Must not know: the recipe, frames other than whether longitudes are counted in hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.release.compute import pc
from skygate.release.coordinates import angles_of_texts, has_mark, numbers_of_texts
from skygate.release.units import is_degrees, is_hours, is_radians, is_sexagesimal, normal_unit

_FEW = 100
"""One text in so many may be no angle; of ten texts and more, one always may."""
_NARROW_DEG = 1.0
"""Pairs in arcsec or arcmin that never leave this range are offsets from somewhere, not positions."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A way of writing (see `position.FORMATS`), or None and what does not fit."""

    form: str | None
    misfit: str = ""
    hint: str = ""


def writing_of(
    lon: Column, lat: Column, sample: pa.Table, *, equatorial: bool, named_hours: bool = False
) -> Writing:
    """How a pair is written. `named_hours`: the longitude's name says hours, where no unit says otherwise."""
    if lon.is_array or lat.is_array or lon.xtype or lat.xtype:
        return Writing(None, "they hold arrays or times")
    if lon.datatype.is_text and lat.datatype.is_text:
        return _of_texts(lon, lat, sample, equatorial)
    if lon.datatype.is_number and lat.datatype.is_number:
        return _of_numbers(lon, lat, sample, named_hours)
    text = lon if lon.datatype.is_text else lat
    if not (lon.datatype.is_text or lon.datatype.is_number) or not (
        lat.datatype.is_text or lat.datatype.is_number
    ):
        return Writing(None, "they hold no angles")
    texts = _sampled(sample, text.name)
    number = None if texts is None else _first(texts, numbers_of_texts(texts)[1])
    said = f"row {number[0]}: {number[1]!r} in {text.name} is no number" if number else ""
    return Writing(None, said or f"{text.name} holds texts, the other column numbers")


def _of_numbers(lon: Column, lat: Column, sample: pa.Table, named_hours: bool) -> Writing:
    if named_hours and lon.unit is None:
        ends = _ends(sample, lon.name)
        if ends is None or ends[0] < -24.0 or ends[1] > 24.0:
            return Writing(None, f"{lon.name} goes beyond 24 hours")
        first = "hours"
    else:
        first = _axis(lon.unit)
    second = _axis(lat.unit)
    for column, axis in ((lon, first), (lat, second)):
        if axis is None or (column is lat and axis == "hours"):
            return Writing(
                None, f"the unit of {column.name} is {column.unit}", 'unit = "deg", if it is wrong'
            )
    assert first is not None
    assert second is not None
    if {first, second} & set(_SMALL) and _is_narrow(sample, (lon.name, first), (lat.name, second)):
        return Writing(None, "they never leave one degree around zero: offsets?")
    if first == second or (first, second) == ("hours", "degrees"):
        return Writing(first)
    return Writing(f"{first}, {second}")


_SMALL = {"arcmin": 60.0, "arcsec": 3600.0}


def _axis(unit: str | None) -> str | None:
    """The way of writing that a unit means."""
    if unit is None or is_degrees(unit):
        return "degrees"
    if is_radians(unit):
        return "radians"
    if is_hours(unit):
        return "hours"
    plain = normal_unit(unit)[0]
    return plain if plain in _SMALL else None


def _is_narrow(sample: pa.Table, *columns: tuple[str, str]) -> bool:
    for name, axis in columns:
        ends = _ends(sample, name)
        if axis not in _SMALL or ends is None or max(map(abs, ends)) / _SMALL[axis] > _NARROW_DEG:
            return False
    return True


def _ends(sample: pa.Table, name: str) -> tuple[float, float] | None:
    index = sample.schema.get_field_index(name)
    if index < 0 or not pc.count(sample.column(index)).as_py():
        return None
    found = pc.min_max(sample.column(index)).as_py()
    return float(found["min"]), float(found["max"])


def _of_texts(lon: Column, lat: Column, sample: pa.Table, equatorial: bool) -> Writing:
    texts = [_sampled(sample, c.name) for c in (lon, lat)]
    lons, lats = texts
    if lons is None or lats is None or not pc.count(lons).as_py() or not pc.count(lats).as_py():
        both = is_sexagesimal(lon.unit) and is_sexagesimal(lat.unit)
        return Writing(_sexagesimal_form(lon, equatorial, None) if both else None)
    marked, hourly = (_share(has_mark(lons, mark)) for mark in "dh")
    if marked and hourly:
        # Refused with its row when the rows are read: nobody can say what such a column means.
        return Writing("dms")
    form = _sexagesimal_form(lon, equatorial, "d" if marked else "h" if hourly else None)
    axis = "hours" if form == "sexagesimal" else "degrees"
    ways = (
        (form, angles_of_texts(lons, axis)[1], angles_of_texts(lats, "latitude")[1], "sexagesimal angle"),
        ("texts", numbers_of_texts(lons)[1], numbers_of_texts(lats)[1], "number"),
    )
    best = min(ways, key=lambda way: _share(way[1]) + _share(way[2]))
    for column, values, wrong in ((lon, lons, best[1]), (lat, lats, best[2])):
        if not _are_few(wrong, values):
            return _misfit(column, values, wrong, best[3])
    return Writing(best[0])


def _misfit(column: Column, values: pa.Array, wrong: pa.Array, what: str) -> Writing:
    row, value = _first(values, wrong) or (0, "")
    hint = "list what means “missing” under the column's nulls"
    if pc.any(pc.match_substring_regex(values, r"^\s*[+-]?\d+,\d+\s*$")).as_py():
        hint = "write a decimal point, not a comma"
    return Writing(None, f"row {row}: {value!r} in {column.name} is no {what}", hint)


def _sexagesimal_form(lon: Column, equatorial: bool, mark: str | None) -> str:
    """`sexagesimal` (longitude in hours) or `dms` (in degrees): by the mark, the unit, the frame."""
    if mark is not None and equatorial:
        return "dms" if mark == "d" else "sexagesimal"
    in_degrees = (lon.unit or "").strip(' "').lower().startswith("d") and is_sexagesimal(lon.unit)
    return "dms" if in_degrees or not equatorial else "sexagesimal"


def _are_few(wrong: pa.Array, values: pa.Array) -> bool:
    bad, count = _share(wrong), int(pc.count(values).as_py())
    return bad <= count // _FEW or (bad == 1 and count >= 10)


def _share(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _first(texts: pa.Array, mask: pa.Array) -> tuple[int, str] | None:
    """(row from 1, text) of the first hit."""
    at = pc.index(mask, pa.scalar(value=True)).as_py()
    return (at + 1, str(texts[at].as_py())[:60]) if at >= 0 else None


def _sampled(sample: pa.Table, name: str) -> pa.Array | None:
    index = sample.schema.get_field_index(name)
    if index < 0:
        return None
    values = sample.column(index).combine_chunks()
    return values if pa.types.is_string(values.type) else None
