"""Kernels over texts and plain numbers: sexagesimal angles, and numbers that must be finite.

Must not know: engines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute

_HOURS = (
    r"^\s*(?P<sign>)(?P<d>\d{1,2})(?::|\s*[hH]\s*)(?P<m>\d{1,2})(?::|\s*[mM]\s*)"
    r"(?P<s>\d{1,2}(?:\.\d*)?)\s*[sS]?\s*$"
)
_HOURS_PACKED = r"^\s*(?P<sign>)(?P<d>\d{2})(?P<m>\d{2})(?P<s>\d{2}(?:\.\d*)?)\s*$"
_DEGREES = (
    r"^\s*(?P<sign>[+-]?)(?P<d>\d{1,3})(?::|\s*[dD]\s*)(?P<m>\d{1,2})(?::|\s*[mM]\s*)"
    r"(?P<s>\d{1,2}(?:\.\d*)?)\s*[sS]?\s*$"
)
_DEGREES_PACKED = r"^\s*(?P<sign>[+-]?)(?P<d>\d{2,3})(?P<m>\d{2})(?P<s>\d{2}(?:\.\d*)?)\s*$"


def finite(values: pa.Array) -> pa.Array:
    """The numbers, null in place of NaN and infinity."""
    array = pc.cast(values, pa.float64())
    return pc.if_else(pc.is_finite(array), array, pa.scalar(None, pa.float64()))


def hms_to_degrees(texts: pa.Array) -> pa.Array:
    """Hours, minutes and seconds as degrees; null for texts that are none."""
    return _angles(texts, (_HOURS, _HOURS_PACKED), scale=15.0, most=24)


def dms_to_degrees(texts: pa.Array) -> pa.Array:
    """Degrees, minutes and seconds as degrees; null for texts that are none."""
    return _angles(texts, (_DEGREES, _DEGREES_PACKED), scale=1.0, most=360)


def _angles(texts: pa.Array, patterns: tuple[str, ...], *, scale: float, most: int) -> pa.Array:
    result = np.full(len(texts), np.nan)
    for pattern in patterns:
        parts = pc.extract_regex(pc.cast(texts, pa.string()), pattern)
        found = np.asarray(pc.fill_null(pc.is_valid(parts), fill_value=False))
        if not found.any():
            continue
        sign, d, m, s = (parts.field(i).filter(pa.array(found)) for i in range(4))
        degrees, minutes, seconds = (
            pc.cast(x, pa.float64()).to_numpy(zero_copy_only=False) for x in (d, m, s)
        )
        value = scale * (degrees + minutes / 60.0 + seconds / 3600.0)
        value = np.where((minutes < 60) & (seconds < 60) & (degrees <= most), value, np.nan)
        negative = np.asarray(pc.equal(sign, "-"))
        result[found] = np.where(negative, -value, value)
    return pa.array(result, mask=np.isnan(result))
