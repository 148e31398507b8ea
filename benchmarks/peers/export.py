"""An answer in memory becomes a file: Skygate's writers beside astropy's and polars', read back and compared.

Both sides begin with columns in memory in the form that is theirs (Arrow, or an astropy table or polars frame
over the same values) and end with a closed file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.bench import OBJECTS, Bench, parts
from benchmarks.peers.measure import Line, Side, in_turn
from skygate import wire
from skygate.domain.catalog import Column
from skygate.domain.query import About, Outcome
from skygate.formats import media

ROWS = 1_000_000
COLUMNS = [
    *("object_id", "ra", "dec", "tile", "ebv"),
    *(f"{n}_{b}" for n in ("mag_auto", "magerr_auto") for b in "grizy"),
    *(f"flags_{b}" for b in "grizy"),
]


@dataclass(slots=True)
class _Answer:
    """A table in memory as the writers get it."""

    columns: tuple[Column, ...]
    batches: list[pa.RecordBatch]
    outcome: Outcome | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.batches
        self.outcome = Outcome(sum(b.num_rows for b in self.batches), overflow=False)

    def close(self) -> None:
        """Nothing to free."""


def table_of(bench: Bench) -> pa.Table:
    """The first rows of the release, 20 columns."""
    found, rows = [], 0
    for path in parts(bench.root, OBJECTS):
        found.append(pq.read_table(path, columns=COLUMNS))
        rows += found[-1].num_rows
        if rows >= ROWS:
            break
    return pa.concat_tables(found).slice(0, ROWS).combine_chunks()


def _varied(table: pa.Table) -> pa.Table:
    """The same, with texts of 0 to 24 letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = np.array([letters[:n] for n in range(25)], dtype=object)
    picked = words[np.random.default_rng(4).integers(0, 25, table.num_rows)]
    at = table.schema.get_field_index("tile")
    field = table.schema.field("tile")
    return table.set_column(at, field, pa.array(picked, pa.string()))


def _fixed(table: pa.Table) -> pa.Table:
    """The same, its texts told to be of exactly 12 letters."""
    at = table.schema.get_field_index("tile")
    field = table.schema.field("tile")
    told = field.with_metadata({**(field.metadata or {}), b"arraysize": b"12"})
    return table.set_column(at, told, table.column("tile"))


def _write_ours(form: str, table: pa.Table, path: Path) -> Path:
    columns = tuple(wire.column_of(f) for f in table.schema)
    schema = wire.arrow_schema(columns)
    batches = [
        pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in table.to_batches(max_chunksize=65_536)
    ]
    with path.open("wb") as file:
        file.writelines(media.write(media.pick(form), _Answer(columns, batches), About()))
    return path


def _astropy(table: pa.Table, *, fixed: bool) -> Any:
    """An astropy table over the same values; texts as bytes of one length (its fastest), or as objects."""
    from astropy.table import Table

    columns = {n: table.column(n).to_numpy() for n in table.column_names}
    if fixed:
        columns["tile"] = columns["tile"].astype("S12")
    return Table(columns)


def _case(
    bench: Bench,
    name: str,
    said: str,
    *,
    form: str,
    table: pa.Table,
    peer: str,
    write: Callable[[Path], None],
    read: Callable[[Path], Any],
    calls: int,
) -> list[Line]:
    folder = bench.folder / f"export-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = folder / "ours", folder / "theirs"

    def their_file(_: int) -> Path:
        write(theirs)
        return theirs

    def checked(path: Path) -> Any:
        """Rows read back that are not as they were written: none."""
        return np.array([_differing(table, read(path))])

    try:
        sides = [
            Side("Skygate", lambda _: _write_ours(form, table, ours), checked),
            Side(peer, their_file, checked, calls=calls),
        ]
        lines = in_turn(name, said.format(rows=table.num_rows), sides, bench.calls(5, 2), warm=0)
        sizes = {"Skygate": ours.stat().st_size, peer: theirs.stat().st_size}
        return [
            replace(
                line,
                note=f"{sizes[line.side] / 1e6:.1f} MB",
                rows=table.num_rows,
                per_second=round(1000 * table.num_rows / line.wall_ms),
            )
            for line in lines
        ]
    finally:
        for path in (ours, theirs):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def _differing(table: pa.Table, found: dict[str, Any]) -> int:
    """How many values were read back that are not those of the table."""
    wrong = 0
    for name in table.column_names:
        expected = table.column(name).to_numpy()
        got = np.asarray(found[name])
        if len(got) != len(expected):
            return table.num_rows
        if expected.dtype == object:
            wrong += int(np.count_nonzero(_texts(got) != expected))
        else:
            wrong += int(np.count_nonzero(got.astype(expected.dtype) != expected))
    if wrong:
        raise ValueError(f"{wrong} values were read back that are not those that were written")
    return 0


def _texts(values: Any) -> Any:
    if values.dtype.kind == "O":
        return np.array([v.decode() if isinstance(v, bytes) else v for v in values], dtype=object)
    return (np.char.decode(values) if values.dtype.kind == "S" else values).astype(object)


def _read_votable(path: Path) -> dict[str, Any]:
    from astropy.io.votable import parse_single_table

    array = parse_single_table(path).array
    return {n: np.asarray(array[n].data) for n in array.dtype.names}


def _read_fits(path: Path) -> dict[str, Any]:
    from astropy.io import fits

    with fits.open(path) as file:
        table: Any = file[1]
        data = table.data
        return {n: np.array(data[n]) for n in data.names}


def _read_csv(path: Path) -> dict[str, Any]:
    import polars as pl

    kinds = {"tile": pl.String}
    frame = pl.read_csv(path, schema_overrides=kinds, infer_schema_length=None)
    return {n: frame[n].to_numpy() for n in frame.columns}


def _short(bench: Bench) -> pa.Table:
    """The rows; a tenth of them in a smoke run, since astropy takes its time."""
    table = table_of(bench)
    return table.slice(0, table.num_rows // 10) if bench.smoke else table


def _votable(bench: Bench, name: str, said: str, table: pa.Table, *, fixed: bool) -> list[Line]:
    from astropy.io import votable

    source = _astropy(table, fixed=fixed)

    def write(path: Path) -> None:
        document = votable.from_table(source)
        votable.writeto(document, os.fspath(path), tabledata_format="binary2")

    return _case(
        bench,
        name,
        said,
        form="votable",
        table=table,
        peer="astropy",
        write=write,
        read=_read_votable,
        calls=1,
    )


def votable_fixed(bench: Bench) -> list[Line]:
    """VOTable BINARY2, texts of one length."""
    said = "{rows:,} rows × 20 columns as VOTable BINARY2, texts of 12 letters"
    return _votable(bench, "export-votable-fixed", said, _fixed(_short(bench)), fixed=True)


def votable_variable(bench: Bench) -> list[Line]:
    """VOTable BINARY2, texts of 0 to 24 letters."""
    said = "{rows:,} rows × 20 columns as VOTable BINARY2, texts of 0 to 24 letters"
    return _votable(bench, "export-votable-variable", said, _varied(_short(bench)), fixed=False)


def fits_table(bench: Bench) -> list[Line]:
    """FITS binary table."""
    table = table_of(bench)
    source = _astropy(table, fixed=True)

    def write(path: Path) -> None:
        source.write(path, format="fits", overwrite=True)

    said = "{rows:,} rows × 20 columns as FITS"
    return _case(
        bench,
        "export-fits",
        said,
        form="fits",
        table=table,
        peer="astropy",
        write=write,
        read=_read_fits,
        calls=bench.calls(5, 2),
    )


def csv(bench: Bench) -> list[Line]:
    """Text."""
    import polars as pl

    table = table_of(bench)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    said = "{rows:,} rows × 20 columns as CSV"
    return _case(
        bench,
        "export-csv",
        said,
        form="csv",
        table=table,
        peer="polars",
        write=lambda path: frame.write_csv(path),
        read=_read_csv,
        calls=bench.calls(5, 2),
    )
