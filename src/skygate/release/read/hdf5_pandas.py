"""Tables that pandas wrote as HDF5: what their types mean, and which layouts only unpickling could read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from skygate.release.compute import pc
from skygate.release.read.source import fault, text_of

_TIME = re.compile(r"datetime64(?:\[(s|ms|us|ns)(?:, .*)?\])?")
_HINT = 'write it with to_hdf(…, format="table", data_columns=True), or as Parquet'


def refuse_pickled(path: Path, node: Any) -> None:
    """Raise `BadRelease` for layouts whose column names are pickled, which is not read."""
    group = node.parent if isinstance(node, h5py.Dataset) else node
    kind = text_of(group.attrs.get("pandas_type", ""))
    blocks = isinstance(node, h5py.Dataset) and any(
        n.startswith("values_block_") for n in node.dtype.names or ()
    )
    if kind in ("frame", "series") or (kind.startswith("frame_table") and blocks):
        said = "fixed layout" if kind in ("frame", "series") else "table layout without data_columns"
        raise fault(path, f"is in pandas' {said}, whose column names are pickled", hint=_HINT)


def refuse_where_fixed(path: Path, file: h5py.File) -> None:
    """Raise `BadRelease` where a file without any table holds pandas' fixed layout."""

    def visit(_: str, node: Any) -> None:
        if isinstance(node, h5py.Group):
            refuse_pickled(path, node)

    file.visititems(visit)


def told_type(dataset: Any, member: str) -> pa.DataType | None:
    """What pandas says that a column stored as integers is: booleans, times; None for all else."""
    said = text_of(dataset.attrs.get(f"{member}_dtype", ""))
    if said == "bool":
        return pa.bool_()
    match = _TIME.fullmatch(said)
    return None if match is None else pa.timestamp(match[1] or "ns")


def as_told(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    """Stored integers as what they mean; the least integer is pandas' time that is none."""
    if pa.types.is_boolean(kind):
        return pa.array(values.astype(np.bool_))
    stored = values.astype(np.int64)
    times = pa.array(stored, mask=stored == np.iinfo(np.int64).min).view(kind)
    return pc.cast(times, pa.timestamp("us"), safe=False)


def below_microseconds(values: np.ndarray[Any, Any], kind: pa.DataType) -> int:
    """How many times of a column are rounded to microseconds."""
    if not pa.types.is_timestamp(kind) or kind.unit != "ns":
        return 0
    stored = values.astype(np.int64)
    return int(np.count_nonzero((stored % 1000 != 0) & (stored != np.iinfo(np.int64).min)))
