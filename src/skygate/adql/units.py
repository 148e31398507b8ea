"""Conversion factors between units for IN_UNIT.

Must not know: trees. Units are read as VOUnits (IVOA VOUnits 1.1) first, then in the spellings of catalogues.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from skygate.errors import BadQuery

_TOO_LARGE = re.compile(r"\d{20}|(?:\*\*|\^)[\s(]*[+-]?\s*\d{3}|[eE][+-]?\d{3}|10[+-]\d{3}")
"""Numbers that no unit has, and that astropy would calculate for ever."""
_FORMATS = ("vounit", "cds", "fits", "generic")


@lru_cache(maxsize=1024)
def factor_between(source: str | None, target: str) -> float:
    """What values in `source` are multiplied with to be in `target`; raises `BadQuery`."""
    if not source:
        raise BadQuery(
            "IN_UNIT needs a value whose unit is known", hint="only columns and sums of them have units"
        )
    if not target.strip():
        raise BadQuery(f"a value in {source} cannot be made unitless")
    wanted = _read(target, ("vounit",))
    if wanted is None:
        raise BadQuery(
            f"`{target}` is not a unit", hint="units are written as in VOUnits: deg, mas/yr, km/s, Jy"
        )
    known = _read(source, _FORMATS)
    if known is None:
        raise BadQuery(f"the unit of the value, `{source}`, cannot be converted")
    if not known.is_equivalent(wanted):
        raise BadQuery(f"{source} cannot be converted to {target}", hint="both units must measure the same")
    try:
        factor, inverse = float(known.to(wanted)), float(wanted.to(known))
    except (ValueError, TypeError, ArithmeticError):
        factor = inverse = math.inf
    if not (math.isfinite(factor) and math.isfinite(inverse) and factor and inverse):
        raise BadQuery(f"{source} cannot be converted to {target} by a factor")
    return _tidy(factor, inverse)


def _tidy(factor: float, inverse: float) -> float:
    """The factor without the rounding of long conversions: 0.001 and not 0.0010000000000000002."""
    for value, back in ((factor, False), (inverse, True)):
        whole = round(value)
        if 1 <= whole <= 1e15 and abs(value - whole) <= 1e-12 * whole:
            return 1.0 / whole if back else float(whole)
    return factor


def _read(text: str, formats: tuple[str, ...]) -> Any:
    """An astropy unit, or None where no format can read it."""
    import warnings

    from astropy import units

    if len(text) > 200 or _TOO_LARGE.search(text):
        return None
    for form in formats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                unit = units.Unit(text, format=form)
            except (ValueError, TypeError, KeyError, ArithmeticError):
                continue
        if not isinstance(unit, units.UnrecognizedUnit):
            return unit
    return None
