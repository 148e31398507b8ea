"""Binary record files: a header to skip, then rows of fixed NumPy types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from skygate.release.read.compression import seekable
from skygate.release.read.numeric import columns_of_dtype, record_batch
from skygate.release.read.source import Source, fault, is_wanted
from skygate.release.recipe import TableRecipe


def open_records(path: Path, recipe: TableRecipe) -> Source:
    """A record file; raises `BadRelease` when its size is not a whole number of records."""
    if not recipe.records:
        raise fault(
            path,
            "is a record file without a description",
            hint='give `records = [["ra", "<f8"], …]` for the table in release.toml',
        )
    try:
        kind = np.dtype([(name, code) for name, code in recipe.records])
    except (TypeError, ValueError) as error:
        raise fault("release.toml", f"table {recipe.name}: `records` is no record type: {error}") from error
    plain, free = seekable(path)
    size = plain.stat().st_size - recipe.skip_bytes
    if size < 0 or size % kind.itemsize:
        free()
        raise fault(
            path,
            f"{max(size, 0)} bytes after the header of {recipe.skip_bytes} are not whole records "
            f"of {kind.itemsize} bytes",
            hint="check `records` and `skip_bytes` in release.toml",
        )
    names = [n for n in kind.names or () if is_wanted(recipe, n)]
    columns, schema = columns_of_dtype(path, kind, names)

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        with plain.open("rb") as file:
            file.seek(recipe.skip_bytes)
            while len(rows := np.fromfile(file, kind, count=max_rows)):
                yield record_batch(rows, schema)

    return Source(columns, schema, read, size // kind.itemsize, {}, free)
