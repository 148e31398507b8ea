"""Results as astropy tables, and astropy's tables and coordinates as positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column

if TYPE_CHECKING:
    from astropy.table import Table as AstropyTable


def to_astropy(columns: Sequence[Column], rows: pa.Table, meta: Mapping[str, Any]) -> AstropyTable:
    """The rows as an astropy table; nulls are masked, timestamps are ISO 8601 texts."""
    from astropy.table import Table

    table: Any = Table()
    for column, values in zip(columns, rows.columns, strict=True):
        table[column.name] = _column(column, values.combine_chunks())
    table.meta.update(meta)
    return table


def _column(column: Column, values: Any) -> Any:
    from astropy.table import Column as PlainColumn
    from astropy.table import MaskedColumn

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    data, mask = _values(values)
    told: dict[str, Any] = {
        "unit": _unit(column.unit),
        "description": column.description or None,
        "meta": {k: v for k in ("ucd", "utype", "xtype") if (v := getattr(column, k))},
    }
    return MaskedColumn(data, mask=mask, **told) if mask is not None else PlainColumn(data, **told)


def _unit(text: str | None) -> Any:
    """The unit that a text names, in VOUnits; one that astropy does not know is kept as text."""
    from astropy import units

    parse: Any = units.Unit
    if not text:
        return None
    known = parse(text, format="vounit", parse_strict="silent")
    if isinstance(known, units.UnrecognizedUnit):
        known = parse(text, parse_strict="silent")
    return known


def _values(values: pa.Array) -> tuple[Any, Any]:
    """(numpy values, mask or None)."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind):
        length = kind.list_size
        flat = values.values.slice(values.offset * length, len(values) * length)
        data, inner = _values(flat)
        outer = np.repeat(values.is_null().to_numpy(zero_copy_only=False), length)
        mask = outer if inner is None else outer | inner
        shape = (len(values), length)
        return data.reshape(shape), mask.reshape(shape) if mask.any() else None
    if pa.types.is_list(kind):
        data = np.empty(len(values), object)
        for i, value in enumerate(values):
            data[i] = np.array(
                [] if value.as_py() is None else value.as_py(), kind.value_type.to_pandas_dtype()
            )
        return data, values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    mask = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    if pa.types.is_timestamp(kind):
        texts = ["" if v is None else v.isoformat() for v in values.to_pylist()]
        return np.array(texts, dtype=np.str_), mask
    if pa.types.is_string(kind):
        return np.array(values.fill_null("").to_pylist(), dtype=np.str_), mask
    if mask is not None and not pa.types.is_floating(kind):
        values = values.fill_null(False if pa.types.is_boolean(kind) else 0)
    return np.array(values.to_numpy(zero_copy_only=False)), mask


def astropy_columns(table: Any) -> dict[str, Any]:
    """The columns of an astropy table as plain values; angles of `ra` and `dec` in degrees."""
    from astropy import units

    found: dict[str, Any] = {}
    for name in table.colnames:
        column = table[name]
        if name in ("ra", "dec") and getattr(column, "unit", None) is not None:
            column = units.Quantity(column).to(units.deg).value
        found[name] = column.tolist() if hasattr(column, "mask") else np.asarray(column)
    return found


def coordinate_columns(position: Any) -> dict[str, Any]:
    """A SkyCoord as ICRS degrees in `ra` and `dec`."""
    icrs = position.icrs
    return {"ra": np.atleast_1d(icrs.ra.deg), "dec": np.atleast_1d(icrs.dec.deg)}
