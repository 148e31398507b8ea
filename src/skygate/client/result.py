"""An answer in hand: rows with their units and UCDs, on their way into the library of your choice."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from skygate import wire
from skygate.domain.catalog import Column

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from astropy.table import Table as AstropyTable

    from skygate.client.wires import Streamed

_SHOWN_ROWS = 10


class TruncatedWarning(UserWarning):
    """The answer has fewer rows than exist: MAXREC cut it."""


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The rows of an answer. `overflow` says that more rows exist than were delivered."""

    rows: pa.Table
    overflow: bool
    query: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Name, type, unit, UCD and description of each column."""
        return tuple(wire.column_of(field) for field in self.rows.schema)

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self.rows.num_rows)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        """The values of one column."""
        return self.rows.column(name)

    def __repr__(self) -> str:
        """The first rows in a box, with units."""
        from skygate.client.show import box

        shown = box(self.rows.slice(0, _SHOWN_ROWS), self.columns)
        more = f"\n… {len(self) - _SHOWN_ROWS} more" if len(self) > _SHOWN_ROWS else ""
        cut = ", cut off by MAXREC: more exist" if self.overflow else ""
        return f"{shown}{more}\n{len(self)} row{'' if len(self) == 1 else 's'}{cut}"

    def to_arrow(self) -> pa.Table:
        """As an Arrow table; the fields' metadata carry unit, ucd, description."""
        return self.rows

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas data frame. Whole numbers and booleans stay what they are when some are null."""
        import pandas as pd

        nullable = {
            str(pa.uint8()): pd.UInt8Dtype(),
            str(pa.int16()): pd.Int16Dtype(),
            str(pa.int32()): pd.Int32Dtype(),
            str(pa.int64()): pd.Int64Dtype(),
            str(pa.bool_()): pd.BooleanDtype(),
        }
        frame: pd.DataFrame = self.rows.to_pandas()
        for name, values in zip(self.rows.column_names, self.rows.columns, strict=True):
            if values.null_count and str(values.type) in nullable:
                kind = nullable[str(values.type)]
                frame[name] = kind.__from_arrow__(values)
        frame.attrs["units"] = {c.name: c.unit for c in self.columns if c.unit}
        return frame

    def to_polars(self) -> pl.DataFrame:
        """As a polars data frame."""
        import polars as pl

        frame = pl.from_arrow(self.rows)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_table(self) -> AstropyTable:
        """As an astropy table with units and descriptions; ucd, utype, xtype are in the columns' meta."""
        from skygate.client.astropy_tables import to_astropy

        told = {"query": self.query} if self.query else {}
        return to_astropy(self.columns, self.rows, {**told, "overflow": self.overflow})


def collected(rows: Streamed, query: str | None = None) -> Result:
    """The whole answer; raises where it breaks off."""
    table = pa.Table.from_batches(list(rows), rows.schema)
    return Result(table, bool(rows.outcome and rows.outcome.overflow), query)


def warn_if_cut(result: Result) -> Result:
    """The result itself, after a visible warning when it is not all."""
    if result.overflow:
        warnings.warn(
            TruncatedWarning(f"only the first {len(result)} rows: more exist (give maxrec for more)"),
            stacklevel=3,
        )
    return result
