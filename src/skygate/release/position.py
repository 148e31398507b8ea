"""Which columns hold a table's sky position, how they are written, and in which frame.

The recipe decides; then UCDs, names, units and values, in this order. What was found says by what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.errors import BadRelease
from skygate.release.compute import pc
from skygate.release.coordinates import frame_name, frame_of_equinox
from skygate.release.position_pairs import Pair, frame_of, pairs_of
from skygate.release.read.source import fault, regular_name
from skygate.release.recipe import TableRecipe
from skygate.release.writing import Writing, writing_of

RECIPE_FORMATS = ("degrees", "radians", "hours", "sexagesimal", "dms")
"""How the recipe may say that positions are written."""
PARTS = ("RAh", "RAm", "RAs"), ("DE-", "DEd", "DEm", "DEs")
"""The seven columns in which the CDS writes sexagesimal positions."""
_EQUATORIAL = ("ICRS", "FK")
_VAGUE = frozenset({"alpha", "l", "lambda"})
"""Names that often mean something else: nothing is said where they hold no longitude."""


@dataclass(frozen=True, slots=True)
class Found:
    """The position's source columns (one each, or the CDS parts), how they are written, and why."""

    ra: tuple[str, ...]
    dec: tuple[str, ...]
    form: str
    frame: str
    epoch: float | None
    why: str
    against: str | None = None
    """The frame that the file tells, where the recipe says another one."""

    @property
    def is_plain(self) -> bool:
        """Whether the columns are ICRS degrees already."""
        return self.form == "degrees" and self.frame == "ICRS"


def find_position(
    recipe: TableRecipe,
    columns: Sequence[Column],
    sample: pa.Table,
    *,
    metadata: Mapping[str, str],
) -> Found | None:
    """The position among source columns (their units as published), or None; raises `BadRelease`."""
    if recipe.no_position:
        return None
    by_name = {c.name: c for c in columns}
    if recipe.position is not None:
        return _of_recipe(recipe, by_name, sample, metadata)
    for pair in pairs_of(columns, metadata):
        told = told_frame(pair.lon, pair.lat, metadata)
        frame = pair.frame or (told if told and told.startswith(_EQUATORIAL) else "ICRS")
        equatorial = frame.startswith(_EQUATORIAL)
        form = writing_of(pair.lon, pair.lat, sample, equatorial=equatorial, named_hours=pair.hours).form
        if form is not None:
            epoch = _epoch(pair.lon.name, metadata, sample)
            return Found((pair.lon.name,), (pair.lat.name,), form, frame, epoch, pair.why)
    if all(p in by_name for p in (*PARTS[0], *PARTS[1])):
        frame = told_frame(by_name["RAh"], by_name["DEd"], metadata) or "ICRS"
        frame = frame if frame.startswith(_EQUATORIAL) else "ICRS"
        return Found(*PARTS, "parts", frame, _epoch("RAh", metadata, sample), "names RAh … DEs")
    return None


def unused_pair(
    columns: Sequence[Column], sample: pa.Table, *, metadata: Mapping[str, str]
) -> tuple[Pair, Writing] | None:
    """The first pair that by UCDs or names is a position but holds none, and what does not fit."""
    for pair in pairs_of(columns, metadata):
        frame = pair.frame or frame_of(pair.lon, pair.lat)
        if (frame is None and not pair.hours) or regular_name(pair.lon.name) in _VAGUE:
            continue
        equatorial = frame in (None, "EQUATORIAL")
        found = writing_of(pair.lon, pair.lat, sample, equatorial=equatorial, named_hours=pair.hours)
        if found.misfit:
            return pair, found
    return None


def _of_recipe(
    recipe: TableRecipe, by_name: Mapping[str, Column], sample: pa.Table, metadata: Mapping[str, str]
) -> Found:
    said = recipe.position
    assert said is not None
    names = [_asked(recipe, asked, by_name) for asked in (said.ra, said.dec)]
    lon, lat = by_name[names[0]], by_name[names[1]]
    try:
        told = told_frame(lon, lat, metadata)
    except BadRelease:
        if said.frame is None:
            raise
        told = None
    frame = frame_name(said.frame) if said.frame is not None else told or "ICRS"
    equatorial = frame.startswith(_EQUATORIAL)
    seen = writing_of(lon, lat, sample, equatorial=equatorial)
    form = said.format or seen.form
    if form == "sexagesimal" and seen.form == "dms":
        form = "dms"
    if form not in RECIPE_FORMATS and (said.format is not None or form is None):
        misfit = f": {seen.misfit}" if seen.misfit else ""
        what = f"unknown format {form!r}" if form else f"{said.ra} and {said.dec} hold no angles{misfit}"
        raise fault(
            "release.toml",
            f"table {recipe.name}, position: {what}",
            hint=seen.hint or "expected format " + ", ".join(RECIPE_FORMATS),
        )
    epoch = said.epoch if said.epoch is not None else _epoch(lon.name, metadata, sample)
    against = told if told is not None and told != frame else None
    if against and not (against.startswith(_EQUATORIAL) and equatorial) and not _is_own(lon, lat, metadata):
        against = None
    return Found((names[0],), (names[1],), form, frame, epoch, "recipe", against)


def _asked(recipe: TableRecipe, asked: str, by_name: Mapping[str, Column]) -> str:
    """The file's name of a column that the recipe's position names; raises `BadRelease`."""
    entry = recipe.column(asked)
    name = asked
    if asked not in by_name and entry is not None and entry.source:
        name = entry.source
    if name not in by_name:
        name = next((n for n in by_name if regular_name(n) == asked), name)
    if name not in by_name:
        raise fault(
            "release.toml",
            f"table {recipe.name}: there is no column {asked!r} for the position",
            hint="the file has " + ", ".join(list(by_name)[:40]),
        )
    return name


def told_frame(lon: Column, lat: Column, metadata: Mapping[str, str]) -> str | None:
    """The frame that the file tells for these columns, by UCDs, names, metadata; None where nothing does.

    Raises `BadRelease` for a frame that is not known: taking it for ICRS would misplace every row.
    """
    by_columns = frame_of(lon, lat)
    if by_columns in ("GALACTIC", "ECLIPTIC"):
        return by_columns
    own = metadata.get(f"frame:{lon.name}")
    equinox = metadata.get(f"equinox:{lon.name}") if own else metadata.get("equinox")
    if own is None and re.search(r"b?1950", lon.name, re.IGNORECASE):
        return "FK4"
    told = own or metadata.get("frame")
    if told is None:
        return frame_of_equinox(metadata.get("equinox"))
    try:
        name = frame_name(told, equinox)
    except BadRelease:
        raise BadRelease(
            f"the file says that {lon.name} and {lat.name} are in the frame {told!r}, which is not known",
            hint="state it: position = { ra = …, dec = …, frame = … }, or no_position = true",
        ) from None
    return name if name.startswith(_EQUATORIAL) or by_columns is None else None


def _is_own(lon: Column, lat: Column, metadata: Mapping[str, str]) -> bool:
    """Whether the file tells the frame of just these columns."""
    return frame_of(lon, lat) is not None or f"frame:{lon.name}" in metadata


def _epoch(lon: str, metadata: Mapping[str, str], sample: pa.Table) -> float | None:
    """The Julian year of the positions, from the file or from a column that says one for all rows."""
    told = metadata.get(f"epoch:{lon}") or metadata.get("epoch")
    match = re.search(r"\d{4}(?:\.\d+)?", told or "")
    if match:
        return float(match[0])
    for name in sample.schema.names:
        if regular_name(name) not in ("ref_epoch", "refepoch", "epoch_ref"):
            continue
        values = sample.column(name)
        if pa.types.is_floating(values.type) and pc.count(values).as_py():
            ends = pc.min_max(values).as_py()
            if ends["min"] == ends["max"] and 1800 < ends["min"] < 2200:
                return float(ends["min"])
    return None


def looks_like_hours(found: Found, columns: Sequence[Column], sample: pa.Table) -> bool:
    """Whether right ascensions without a unit, read as degrees, fill just 0 to 24 on a tall piece of sky."""
    ranges = _degree_ranges(found, sample)
    if ranges is None or any(c.name == found.ra[0] and c.unit for c in columns):
        return False
    (west, east), (south, north) = ranges
    return 0 <= west < 1.5 and 22.5 < east < 24 and north - south > 60


def _degree_ranges(found: Found, sample: pa.Table) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The ranges of both coordinates of a pair read as degrees; None where they tell nothing."""
    if found.form != "degrees" or sample.num_rows < 100:
        return None
    ranges: list[tuple[float, float]] = []
    for name in (found.ra[0], found.dec[0]):
        values = sample.column(name)
        if not pa.types.is_floating(values.type) or not pc.count(values).as_py():
            return None
        ends = pc.min_max(values).as_py()
        ranges.append((ends["min"], ends["max"]))
    return ranges[0], ranges[1]


def looks_like_radians(found: Found, sample: pa.Table) -> bool:
    """Whether an unlabelled pair read as degrees fills just the range of radians (only a doubt)."""
    ranges = _degree_ranges(found, sample)
    if ranges is None:
        return False
    (west, east), (south, north) = ranges
    return west >= 0 and 5.5 < east < 6.2832 and -1.5708 < south < -0.5 and 0.5 < north < 1.5708
