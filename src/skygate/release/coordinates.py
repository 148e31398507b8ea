"""Positions as files write them to ICRS degrees: sexagesimal texts, hours, radians, other frames.

Must not know: tables and their columns.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from astropy import units
from astropy.coordinates import (
    FK4,
    FK5,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    Galactic,
    SkyCoord,
)
from astropy.time import Time
from numpy.typing import NDArray

from skygate.errors import BadRelease
from skygate.release.compute import pc

Reals = NDArray[np.float64]

_PARTS = re.compile(r"^(ICRS|FK5|FK4|GALACTIC|ECLIPTIC)(?:\(([BJ]\d+(?:\.\d+)?)\))?$")
_ALIASES = {
    "eq_fk5": "FK5", "eq_fk4": "FK4", "fk5": "FK5", "fk4": "FK4", "icrs": "ICRS", "galactic": "GALACTIC",
    "gal": "GALACTIC", "ecliptic": "ECLIPTIC", "ecl_fk5": "ECLIPTIC", "ecl": "ECLIPTIC", "j2000": "FK5",
    "b1950": "FK4", "fk4-no-e": "FK4", "icrf": "ICRS",
}  # fmt: skip
_SEXAGESIMAL = (
    r"^\s*(?P<sign>[+-−]?)\s*(?P<first>\d{1,3})\s*[:hHdD°\s]\s*(?P<minutes>\d{1,2}(?:\.\d*)?)"
    r"(?:\s*[:mM'′\s]\s*(?P<seconds>\d{1,2}(?:\.\d*)?)\s*[sS\"″]?)?\s*[mM'′]?\s*$"
).replace("+-−", "+\\-−")

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_ENDS = {"hours": 24.0, "degrees": 360.0, "latitude": 90.0}
_AXES = {
    "hours": ("hours", "degrees"),
    "sexagesimal": ("hours", "degrees"),
    "dms": ("degrees", "degrees"),
    "texts": ("degrees", "degrees"),
    "parts": ("degrees", "degrees"),
}
_PER_DEGREE = {"arcmin": 60.0, "arcsec": 3600.0}


def frame_name(text: str, equinox: str | None = None) -> str:
    """The frame as ICRS, FK5, FK4, GALACTIC or ECLIPTIC, with other equinoxes as in `FK4(B1900)`.

    Raises `BadRelease` for frames that are not known.
    """
    plain = text.strip()
    name = _ALIASES.get(plain.lower(), plain.upper())
    match = _PARTS.match(name)
    if match is None:
        raise BadRelease(
            f"unknown frame {text!r}", hint="expected ICRS, FK5, FK4, GALACTIC or ECLIPTIC, e.g. FK4(B1900)"
        )
    base, year = match[1], match[2]
    if year is None and equinox and base in ("FK5", "FK4"):
        digits = re.search(r"\d{4}(?:\.\d+)?", equinox)
        letter = "B" if equinox.strip().upper().startswith("B") or base == "FK4" else "J"
        year = f"{letter}{float(digits[0]):g}" if digits else None
    usual = {"FK5": "J2000", "FK4": "B1950", "ECLIPTIC": "J2000"}
    return base if year is None or usual.get(base) == year else f"{base}({year})"


def frame_of_equinox(equinox: str | None) -> str | None:
    """The frame of an equinox alone: FK4 before 1984, else FK5 (FITS 4.0, section 8.3)."""
    year = re.search(r"\d{4}(?:\.\d+)?", equinox or "")
    if year is None:
        return None
    return frame_name("FK4" if float(year[0]) < 1984.0 else "FK5", equinox)


def sexagesimal_to_number(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(numbers in the unit of the first part, mask of the texts that are none): `-12:30:00` is -12.5."""
    parts = pc.extract_regex(texts, _SEXAGESIMAL)
    first, minutes, seconds = (
        pc.cast(_empty_is_zero(pc.struct_field(parts, name)), pa.float64())
        for name in ("first", "minutes", "seconds")
    )
    size = pc.add(first, pc.add(pc.divide(minutes, 60.0), pc.divide(seconds, 3600.0)))
    sign = pc.struct_field(parts, "sign")
    negative = pc.is_in(sign, value_set=pa.array(["-", "−"]))
    out_of_range = pc.or_kleene(pc.greater(minutes, 60.0), pc.greater(seconds, 60.0))
    wrong = pc.and_(
        pc.is_valid(texts), pc.or_(pc.is_null(parts), pc.fill_null(out_of_range, fill_value=False))
    )
    return pc.if_else(negative, pc.negate(size), size), wrong


def angles_of_texts(texts: pa.Array, axis: str) -> tuple[pa.Array, pa.Array]:
    """(numbers, mask of the texts that are no such angle) of `axis` hours, degrees or latitude.

    Numbers are null where the text is no angle; hours end at 24, longitudes at 360, latitudes at 90.
    """
    numbers, wrong = sexagesimal_to_number(texts)
    beyond = pc.fill_null(pc.greater(pc.abs(numbers), _ENDS[axis]), fill_value=False)
    foreign = has_mark(texts, "d" if axis == "hours" else "h")
    wrong = pc.or_(wrong, pc.or_(beyond, pc.fill_null(foreign, fill_value=False)))
    return pc.if_else(wrong, pa.scalar(None, pa.float64()), numbers), wrong


def numbers_of_texts(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(numbers, mask of the texts that are none) of plain decimal numbers in texts."""
    plain = pc.utf8_trim_whitespace(texts)
    good = pc.match_substring_regex(plain, _NUMBER)
    read = pc.cast(pc.if_else(good, plain, pa.scalar(None, pa.string())), pa.float64())
    return read, pc.fill_null(pc.invert(good), fill_value=False)


def has_mark(texts: pa.Array, mark: str) -> pa.Array:
    """Whether each text marks its first part as hours (`h`) or as degrees (`d`: also D and °)."""
    letters = "[hH]" if mark == "h" else "[dD°]"
    return pc.match_substring_regex(texts, rf"^\s*[+\-−]?\s*\d{{1,3}}\s*{letters}\s*\d")


def _empty_is_zero(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar("0"), texts)


def axes_of(form: str) -> tuple[str, str]:
    """How longitude and latitude are written, in numbers: `hours` is `("hours", "degrees")`."""
    first, comma, second = form.partition(", ")
    if comma:
        return first, second
    return _AXES.get(form, (form, form))


def in_degrees(lon: Reals, lat: Reals, form: str) -> tuple[Reals, Reals]:
    """Longitude and latitude, written as `form` says, in degrees."""
    first, second = axes_of(form)
    return _degrees(lon, first), _degrees(lat, second)


def _degrees(values: Reals, axis: str) -> Reals:
    if axis == "radians":
        return np.degrees(values)
    return values * 15.0 if axis == "hours" else values / _PER_DEGREE.get(axis, 1.0)


def to_icrs(lon_deg: Reals, lat_deg: Reals, frame: str, *, epoch: float | None) -> tuple[Reals, Reals]:
    """ICRS degrees of positions in `frame`; NaN where the input is no position.

    `epoch` (Julian year) is when an FK4 position was observed; it defaults to the equinox.
    """
    if frame == "ICRS":
        return lon_deg, lat_deg
    good = np.isfinite(lon_deg) & np.isfinite(lat_deg) & (np.abs(lat_deg) <= 90.0)
    ra, dec = np.full(lon_deg.shape, np.nan), np.full(lat_deg.shape, np.nan)
    if good.any():
        coordinates: Any = SkyCoord(
            lon_deg[good] * units.deg, lat_deg[good] * units.deg, frame=_astropy_frame(frame, epoch)
        ).icrs
        spherical: Any = coordinates.spherical
        ra[good], dec[good] = spherical.lon.deg, spherical.lat.deg
    return ra, dec


def _astropy_frame(frame: str, epoch: float | None) -> BaseCoordinateFrame:
    match = _PARTS.match(frame)
    if match is None:
        raise BadRelease(f"unknown frame {frame!r}")
    base, year = match[1], match[2]
    if base == "FK5":
        return FK5(equinox=Time(year or "J2000"))
    if base == "FK4":
        equinox = Time(year or "B1950")
        return FK4(equinox=equinox, obstime=equinox if epoch is None else Time(epoch, format="jyear"))
    if base == "ECLIPTIC":
        return BarycentricMeanEcliptic(equinox=Time(year or "J2000"))
    return Galactic()


def normalised(ra_deg: Reals, dec_deg: Reals) -> tuple[Reals, NDArray[np.bool_]]:
    """(right ascension in [0, 360) where it is one, mask of the true positions).

    A position needs |dec| <= 90 and a right ascension at most one turn beyond [0, 360): farther values
    (-999, 9999) are marks of something missing, and stay as they are.
    """
    good = (
        np.isfinite(ra_deg)
        & np.isfinite(dec_deg)
        & (np.abs(dec_deg) <= 90.0)
        & (ra_deg >= -360.0)
        & (ra_deg <= 720.0)
    )
    odd = good & ((ra_deg < 0.0) | (ra_deg >= 360.0))
    if not odd.any():
        return ra_deg, good
    wrapped = np.mod(ra_deg, 360.0, out=ra_deg.astype(np.float64), where=odd)
    # A tiny negative angle rounds up to a whole turn.
    return np.where(wrapped == 360.0, 0.0, wrapped), good
