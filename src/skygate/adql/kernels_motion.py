"""Kernels that move stars along straight lines in space.

Must not know: engines. Source: "rigorous treatment of the space motion", ESA SP-1200
volume 1, section 1.5.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

pc: Any = pyarrow.compute

Reals = NDArray[np.float64]

KM_PER_S_IN_AU_PER_YEAR = 1.0 / 4.740470463533349
MAS = np.pi / (180.0 * 3600.0 * 1000.0)


def epoch_prop_pos(
    ra: pa.Array,
    dec: pa.Array,
    parallax: pa.Array,
    pmra: pa.Array,
    pmdec: pa.Array,
    radial_velocity: pa.Array,
    ref_epoch: pa.Array,
    out_epoch: pa.Array,
) -> pa.Array:
    """Positions [ra, dec] at `out_epoch`: degrees, mas, mas/yr, km/s, Julian years.

    A null motion or velocity counts as 0, a null or non-positive parallax as infinite distance; a null
    position or epoch gives null.
    """
    ra_deg, dec_deg, t0, t1 = (_reals(a) for a in (ra, dec, ref_epoch, out_epoch))
    px, mu_a, mu_d, rv = (np.nan_to_num(_reals(a)) for a in (parallax, pmra, pmdec, radial_velocity))
    with np.errstate(all="ignore"):
        lon, lat, years = np.radians(ra_deg), np.radians(dec_deg), t1 - t0
        p = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)])
        q = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
        r = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        radial = rv * KM_PER_S_IN_AU_PER_YEAR * np.maximum(px, 0.0) * MAS
        moved = r * (1.0 + radial * years) + (p * mu_a + q * mu_d) * MAS * years
        out_ra = np.degrees(np.arctan2(moved[1], moved[0])) % 360.0
        out_dec = np.degrees(np.arctan2(moved[2], np.hypot(moved[0], moved[1])))
    good = np.isfinite(out_ra) & np.isfinite(out_dec) & (np.abs(dec_deg) <= 90)
    return _points(out_ra, out_dec, good)


def _reals(values: pa.Array) -> Reals:
    return pc.fill_null(pc.cast(values, pa.float64()), np.nan).to_numpy(zero_copy_only=False)


def _points(ra: Reals, dec: Reals, good: NDArray[np.bool_]) -> pa.Array:
    flat = pa.array(np.column_stack([ra, dec])[good].ravel())
    ends = np.concatenate([[0], np.cumsum(np.where(good, 2, 0))])
    offsets = pa.array(ends, pa.int32(), mask=np.concatenate([~good, [False]]))
    return pa.ListArray.from_arrays(offsets, flat)
