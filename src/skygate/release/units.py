"""Units as files write them, to VOUnits 1.1 where that is possible; the original where it is not."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from astropy import units

_NONE = {"", "-", "--", "---", "1", "none", "unitless", "dimensionless", "n/a", "null", "adimensional"}
_SAME = {
    "degree": "deg", "degrees": "deg", "degs": "deg", "radian": "rad", "radians": "rad",
    "arcseconds": "arcsec", "arcsecs": "arcsec", "arcseconds/pixel": "arcsec/pixel", "asec": "arcsec",
    "arcminutes": "arcmin", "milliarcsec": "mas", "milliarcsecond": "mas", "milliarcseconds": "mas",
    "hours": "h", "hourangle": "h", "hour": "h", "hr": "h", "day": "d", "days": "d", "jd": "d", "mjd": "d",
    "seconds": "s", "sec": "s", "minutes": "min", "year": "yr", "years": "yr", "mag (ab)": "mag",
    "magnitude": "mag", "magnitudes": "mag", "mags": "mag", "counts": "count", "counts/s": "count/s",
    "e-": "electron", "e-/s": "electron/s", "electrons": "electron", "pixels": "pixel", "pix": "pixel",
    "percent": "%", "angstroms": "Angstrom", "microns": "um", "micron": "um", "kms": "km/s",
    "milliarcsec/year": "mas/yr", "mas/year": "mas/yr", "kelvin": "K", "ratio": "",
}  # fmt: skip
_LOOSE = re.compile(r"\s|[a-zA-Z][-+]?[0-9]")
"""Blanks, and exponents without a sign for power: read by astropy, not in VOUnits."""
SEXAGESIMAL = re.compile(r'^"?\s*[hd]+[:\s]?m+[:\s]?s+\s*"?$', re.IGNORECASE)
"""How files write the unit of sexagesimal texts: `"h:m:s"`, `"d:m:s"`."""


@lru_cache(maxsize=4096)
def normal_unit(text: str | None) -> tuple[str | None, str | None]:
    """(the unit in VOUnits, what is wrong with it); an unreadable unit is returned as it is."""
    plain = (text or "").strip()
    if plain.lower() in _NONE:
        return None, None
    if SEXAGESIMAL.match(plain):
        return plain, None
    known = _SAME.get(plain.lower(), plain)
    if known in ("", "%"):
        return known or None, None
    logarithm = re.fullmatch(r"\[(.+)\]|(?:log|dex)\((.+)\)", known)
    if logarithm:
        inner, problem = normal_unit(logarithm[1] or logarithm[2])
        return (
            (f"log({inner})", None)
            if inner and problem is None
            else (plain, problem or "no unit in brackets")
        )
    if not _LOOSE.search(known) and _parse(known, "vounit", strict=True) is not None:
        return known, None
    for form in ("vounit", "cds", "fits", "generic"):
        unit = _parse(known, form, strict=False)
        if unit is None:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                written = str(unit.to_string("vounit"))
        except ValueError:
            continue
        return written or None, None
    return plain, f"{plain!r} is no unit of VOUnits"


def unit_problem(unit: str | None) -> str | None:
    """What is wrong with a unit, None when it is VOUnits."""
    if unit is None:
        return None
    return normal_unit(unit)[1]


def _parse(text: str, form: str, *, strict: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if strict else "ignore")
            unit: Any = units.Unit(text, format=form)
    except (ValueError, TypeError, units.UnitsWarning):
        return None
    return unit


def is_degrees(unit: str | None) -> bool:
    """Whether the unit is the degree."""
    return normal_unit(unit)[0] == "deg"


def is_radians(unit: str | None) -> bool:
    """Whether the unit is the radian."""
    return normal_unit(unit)[0] == "rad"


def is_hours(unit: str | None) -> bool:
    """Whether the unit is the hour (of right ascension)."""
    return normal_unit(unit)[0] in ("h", "hourangle", "15deg")


def is_sexagesimal(unit: str | None) -> bool:
    """Whether the unit says hours or degrees, minutes and seconds in one text."""
    return unit is not None and SEXAGESIMAL.match(unit.strip()) is not None
