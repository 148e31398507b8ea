"""Pairs of columns that may be a table's sky position, by UCDs and names.

Must not know: values, files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from skygate.domain.catalog import Column
from skygate.release.position_names import OTHER_FRAMES, PAIRS
from skygate.release.read.source import regular_name
from skygate.release.ucds import has_words
from skygate.release.units import is_degrees

_NEED_DEGREES = {"l", "lambda"}
"""Names that mean a longitude only when the file says degrees."""


_HOURS = ("rah", "ra_h", "ra_hr", "ra_hrs", "ra_hour", "ra_hours", "rahr", "rahour", "rahours")
_BESIDE_HOURS = ("dec", "de", "decd", "dec_d", "dec_deg", "decdeg", "dedeg", "de_deg", "dec_degrees")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns that may be longitude and latitude, and why. `frame` only where UCDs or names tell one."""

    lon: Column
    lat: Column
    frame: str | None
    why: str
    hours: bool = False
    """Whether the name says that the right ascension is in hours."""


def pairs_of(columns: Sequence[Column], metadata: Mapping[str, str]) -> Iterator[Pair]:
    """Pairs that may be a position, best first."""
    yield from _by_ucd(columns, ("pos.eq.ra", "meta.main"), ("pos.eq.dec", "meta.main"), None)
    regular: dict[str, Column] = {}
    for column in columns:
        regular.setdefault(regular_name(column.name), column)
    named = [
        Pair(regular[a], regular[b], None, f"names {a}, {b}")
        for a, b in PAIRS
        if a in regular and b in regular
    ]
    yield from sorted(named, key=lambda pair: pair.lon.datatype.is_text)
    yield from _by_ucd(columns, ("pos.eq.ra",), ("pos.eq.dec",), None)
    yield from _in_hours(regular)
    for name, column in regular.items():
        match = re.fullmatch(r"ra_(\w+)|(\w+)_ra", name)
        if match is None or re.search(r"err|sig|pm|var|unc|offset", name):
            continue
        others = [f"dec_{match[1]}", f"de_{match[1]}"] if match[1] else [f"{match[2]}_dec", f"{match[2]}_de"]
        other = next((regular[o] for o in others if o in regular), None)
        if other is not None:
            yield Pair(column, other, None, f"names {name}, {regular_name(other.name)}")
    yield from _by_ucd(columns, ("pos.galactic.lon",), ("pos.galactic.lat",), "GALACTIC")
    yield from _by_ucd(columns, ("pos.ecliptic.lon",), ("pos.ecliptic.lat",), "ECLIPTIC")
    for a, b, frame in OTHER_FRAMES:
        if a in regular and b in regular:
            lon, lat = regular[a], regular[b]
            if a not in _NEED_DEGREES or (is_degrees(lon.unit) and is_degrees(lat.unit)):
                yield Pair(lon, lat, frame, f"names {a}, {b}")
    yield from _of_mixins(columns, metadata)


def frame_of(lon: Column, lat: Column) -> str | None:
    """GALACTIC or ECLIPTIC where the UCDs or the names of two columns say so, EQUATORIAL, or None."""
    for word, frame in (("eq.ra", "EQUATORIAL"), ("galactic.lon", "GALACTIC"), ("ecliptic.lon", "ECLIPTIC")):
        if (lon.ucd or "").lower().startswith(f"pos.{word}"):
            return frame
    names = regular_name(lon.name), regular_name(lat.name)
    if names in PAIRS:
        return "EQUATORIAL"
    return next((frame for a, b, frame in OTHER_FRAMES if (a, b) == names), None)


def _in_hours(regular: Mapping[str, Column]) -> Iterator[Pair]:
    if {"ram", "ras"} <= regular.keys():
        return
    for a in _HOURS:
        b = next((b for b in _BESIDE_HOURS if b in regular), None)
        if a in regular and b is not None:
            yield Pair(regular[a], regular[b], None, f"names {a}, {b}", hours=True)


def _of_mixins(columns: Sequence[Column], metadata: Mapping[str, str]) -> Iterator[Pair]:
    """Pairs such as `sc.l`, `sc.b` whose frame the file gives with the column."""
    by_name = {c.name: c for c in columns}
    for name, lon in by_name.items():
        stem, dot, last = name.rpartition(".")
        wanted = {"l": ("b", "GALACTIC"), "lon": ("lat", "ECLIPTIC"), "ra": ("dec", None)}.get(last)
        if not dot or wanted is None or f"frame:{name}" not in metadata:
            continue
        lat = by_name.get(f"{stem}.{wanted[0]}")
        if lat is not None:
            yield Pair(lon, lat, wanted[1], f"coordinates {stem}")


def _by_ucd(
    columns: Sequence[Column], lon: tuple[str, ...], lat: tuple[str, ...], frame: str | None
) -> Iterator[Pair]:
    def pick(words: tuple[str, ...]) -> list[Column]:
        first = words[0]
        return [c for c in columns if has_words(c.ucd, *words) and (c.ucd or "").lower().startswith(first)]

    for one, other in zip(pick(lon), pick(lat), strict=False):
        yield Pair(one, other, frame, f"UCD {one.ucd}")
