"""Positions that a caller brings, from whatever library, as an Arrow table with `ra` and `dec` in degrees."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from skygate.errors import BadParameter, Where


def to_positions(given: Any) -> pa.Table:
    """An Arrow table of Arrow, pandas, polars or astropy positions, or of a mapping of columns.

    Raises `BadParameter` where there are no columns `ra` and `dec` of numbers.
    """
    table = _table(given)
    names = [n.lower() if n.lower() in ("ra", "dec") else n for n in table.column_names]
    table = table.rename_columns(names)
    missing = [name for name in ("ra", "dec") if name not in table.column_names]
    if missing:
        raise BadParameter(
            f"the positions have no column {' and no column '.join(missing)}",
            hint=f"expected ra and dec in ICRS degrees; there are: {', '.join(table.column_names) or 'none'}",
            where=Where(name="positions"),
        )
    for name in ("ra", "dec"):
        index = table.column_names.index(name)
        try:
            values = table.column(name).cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise BadParameter(
                f"column {name} of the positions is no number", where=Where(name="positions")
            ) from None
        table = table.set_column(index, name, values)
    return table


def _table(given: Any) -> pa.Table:
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    # which library a value is from is read off its class, so that none is imported for the question
    library = type(given).__module__.partition(".")[0]
    try:
        if library == "pandas":
            return pa.Table.from_pandas(given, preserve_index=False)
        if library == "polars":
            return given.to_arrow()
        if library == "astropy":
            from skygate.client.astropy_tables import astropy_columns, coordinate_columns

            return pa.table(
                astropy_columns(given) if hasattr(given, "colnames") else coordinate_columns(given)
            )
        return pa.table(dict(given))
    except (TypeError, ValueError, pa.ArrowException) as fault:
        raise BadParameter(
            f"these positions cannot be used: {str(fault)[:200]}",
            hint="give an Arrow, pandas, polars or astropy table, a SkyCoord, or a dict of columns",
            where=Where(name="positions"),
        ) from None
