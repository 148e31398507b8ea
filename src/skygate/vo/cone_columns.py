"""Which columns a cone search shows, and that exactly one each is its identifier, longitude and latitude.

Must not know: HTTP, how rows are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype, Table
from skygate.domain.query import Outcome
from skygate.ports import Waiting
from skygate.wire import arrow_schema

ID_UCD = "meta.id;meta.main"
RA_UCD = "pos.eq.ra;meta.main"
DEC_UCD = "pos.eq.dec;meta.main"
_MAIN = (ID_UCD, RA_UCD, DEC_UCD)
_NAME = "skygate_id"
_DESCRIPTION = "Name made of the ICRS position in degrees; the table has no identifier of its own"


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns of an answer: those `asked` of the service, and those `shown`.

    `made_id` says that the first shown column is made here, of the columns `ra` and `dec`.
    """

    asked: tuple[str, ...]
    shown: tuple[Column, ...]
    ra: str
    dec: str
    made_id: bool


def chosen(table: Table, verbosity: int) -> Choice:
    """Columns by verbosity: 1 the mandatory three, 2 the principal ones, 3 all (SCS 1.03, section 2.1).

    The table has a position. Other columns lose the three UCDs that must be unique (section 2.2).
    """
    if table.position is None:
        raise ValueError(f"{table.full_name} has no position")
    ra, dec = table.position.ra, table.position.dec
    identifier = _identifier(table)
    mandatory = [name for name in (identifier, ra, dec) if name is not None]
    asked = [
        column.name
        for column in table.columns
        if column.name in mandatory or verbosity == 3 or (verbosity == 2 and column.principal)
    ]
    main = {ra: RA_UCD, dec: DEC_UCD, **({identifier: ID_UCD} if identifier else {})}
    shown = [_with_ucd(c, main.get(c.name)) for c in table.columns if c.name in asked]
    if identifier is None:
        shown.insert(0, _made_column(table))
    return Choice(tuple(asked), tuple(shown), ra, dec, made_id=identifier is None)


def _identifier(table: Table) -> str | None:
    """The identifier, when it is of a type that SCS takes: text or a whole number."""
    column = table.column(table.identifier) if table.identifier else None
    if column is None or column.is_array or not (column.datatype.is_text or column.datatype.is_integer):
        return None
    return column.name


def _with_ucd(column: Column, main: str | None) -> Column:
    if main is not None:
        return replace(column, ucd=main)
    if column.ucd and column.ucd.lower() in _MAIN:
        return replace(column, ucd=column.ucd.split(";")[0])
    return column


def _made_column(table: Table) -> Column:
    name = _NAME
    while table.column(name) is not None:
        name += "_"
    return Column(name, Datatype.CHAR, arraysize="*", ucd=ID_UCD, description=_DESCRIPTION)


class Answer:
    """The service's rows under the shown columns. With `only_metadata` (SR=0) no overflow is told."""

    def __init__(self, rows: Waiting, choice: Choice, *, only_metadata: bool) -> None:
        self.columns: tuple[Column, ...] = choice.shown
        self._rows = rows
        self._choice = choice
        self._only_metadata = only_metadata

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, once."""
        schema = arrow_schema(self.columns)
        for batch in self._rows:
            arrays = [batch.column(name) for name in batch.schema.names]
            by_name = dict(zip(batch.schema.names, arrays, strict=True))
            if self._choice.made_id:
                by_name[self.columns[0].name] = _names(by_name[self._choice.ra], by_name[self._choice.dec])
            yield pa.RecordBatch.from_arrays([by_name[c.name] for c in self.columns], schema=schema)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""
        found = self._rows.outcome
        return replace(found, overflow=False) if found is not None and self._only_metadata else found

    @property
    def held_bytes(self) -> int | None:
        """Bytes of the service's rows."""
        return self._rows.held_bytes

    def close(self) -> None:
        """Free what the answer holds."""
        self._rows.close()


def _names(ra: pa.Array, dec: pa.Array) -> pa.Array:
    """Names such as `ICRS 010.6847083+41.2687500` (0.4 milliarcseconds fine)."""
    pairs = zip(ra.to_pylist(), dec.to_pylist(), strict=True)
    return pa.array([f"ICRS {r:011.7f}{d:+011.7f}" for r, d in pairs], pa.string())
