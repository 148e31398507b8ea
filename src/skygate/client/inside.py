"""The short way to a house in the same process: rows without requests, where a question is plain.

Must not know: services. `connection.py` plugs a house in; whatever is not plain goes by HTTP, as from afar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from skygate import wire
from skygate.client.result import Result
from skygate.ports import Rows


class Answer(NamedTuple):
    """Rows, and what accompanies them as metadata of their schema."""

    rows: Rows
    metadata: Mapping[str, str]


class Inside(Protocol):
    """A house in this process. None where the question must go by HTTP; raises what a service raises."""

    def query(self, adql: str, maxrec: int | None) -> Answer | None:
        """The answer to ADQL."""
        ...

    def cone(
        self,
        table: str,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        columns: Sequence[str] | None,
        maxrec: int | None,
    ) -> Answer | None:
        """The rows around a position."""
        ...

    def crossmatch(
        self,
        table: str,
        positions: pa.Table,
        radius_deg: float,
        nearest: bool,
        columns: Sequence[str] | None,
        maxrec: int | None,
    ) -> Answer | None:
        """The rows around many positions."""
        ...


def read(answer: Answer, query: str | None = None) -> Result:
    """The whole answer; raises what breaks it off."""
    rows = answer.rows
    try:
        batches = list(rows)
        outcome = rows.outcome
    finally:
        rows.close()
    table = pa.Table.from_batches(batches) if batches else wire.arrow_schema(rows.columns).empty_table()
    told = table.replace_schema_metadata(dict(answer.metadata))
    return Result(told, bool(outcome and outcome.overflow), query)
