"""Vectorised functions that SQL cannot spell: every engine registers each one under its name.

Must not know: engines. Arguments and results are Arrow arrays; nulls are the function's own business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from skygate.adql import kernels_motion as motion
from skygate.adql import kernels_sky as sky
from skygate.adql import kernels_text as text


@dataclass(frozen=True, slots=True)
class Kernel:
    """One function over whole columns. It is pure: equal arguments give equal results.

    In plans a call has one more argument, before these: the number of the run (`Mark.RUN_NUMBER`), by which
    an engine knows when to stop. The function does not get it.
    """

    name: str
    arguments: tuple[pa.DataType, ...]
    returns: pa.DataType
    function: Callable[..., pa.Array]


_LONG, _REAL, _TRUTH, _TEXT = pa.int64(), pa.float64(), pa.bool_(), pa.string()
_SHAPE = pa.list_(_REAL)
_CELLS = pa.list_(_LONG)

KERNELS: tuple[Kernel, ...] = (
    Kernel("sg_cell", (_REAL, _REAL, _LONG), _LONG, sky.cell),
    Kernel("sg_disc_cells", (_REAL, _REAL, _REAL, _LONG), _CELLS, sky.disc_cells),
    Kernel("sg_region_cells", (_SHAPE, _LONG), _CELLS, sky.region_cells),
    Kernel("sg_in_region", (_REAL, _REAL, _SHAPE), _TRUTH, sky.in_region),
    Kernel("sg_contains", (_SHAPE, _SHAPE), _TRUTH, sky.contains),
    Kernel("sg_intersects", (_SHAPE, _SHAPE), _TRUTH, sky.intersects),
    Kernel("sg_box", (_REAL, _REAL, _REAL, _REAL), _SHAPE, sky.box),
    Kernel("sg_area", (_SHAPE,), _REAL, sky.area),
    Kernel("sg_centroid", (_SHAPE,), _SHAPE, sky.centroid),
    Kernel("sg_healpix_index", (_LONG, _REAL, _REAL), _LONG, sky.healpix_index),
    Kernel("sg_healpix_center", (_LONG, _LONG), _SHAPE, sky.healpix_center),
    Kernel("sg_apply_pm", (_REAL, _REAL, _REAL, _REAL, _REAL), _SHAPE, sky.apply_pm),
    Kernel("sg_epoch_prop_pos", (_REAL,) * 8, _SHAPE, motion.epoch_prop_pos),
    Kernel("sg_hms_to_degrees", (_TEXT,), _REAL, text.hms_to_degrees),
    Kernel("sg_dms_to_degrees", (_TEXT,), _REAL, text.dms_to_degrees),
    Kernel("sg_finite", (_REAL,), _REAL, text.finite),
)
