"""The rows of a table's Parquet parts, row group by row group, as what is made beside a release reads them.

Must not know: what is made of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from skygate.domain.catalog import Part, Table
from skygate.errors import BrokenRelease


def row_groups(table: Table, columns: Sequence[str] | None = None) -> Iterator[tuple[Part, pa.RecordBatch]]:
    """The row groups of every part in order, each as one batch, of these columns (of all by default).

    Raises `BrokenRelease` for a part that cannot be read or has another size than its manifest says.
    """
    wanted = None if columns is None else list(columns)
    for part in table.parts:
        try:
            if os.stat(part.path).st_size != part.size_bytes:
                raise BrokenRelease(
                    f"a data file of {table.full_name} has another size than its manifest says"
                )
            with pq.ParquetFile(part.path) as file:
                for number in range(file.num_row_groups):
                    rows = file.read_row_group(number, columns=wanted).combine_chunks()
                    for batch in rows.to_batches():
                        yield part, batch
        except (OSError, pa.ArrowException) as fault:
            raise BrokenRelease(f"a data file of {table.full_name} cannot be read: {fault}") from fault
