"""Small releases made of synthetic stars, for tests of everything that reads one.

`make_release(root)` writes release `mini` (or another name) and returns it as the store loads it:

- `mini.stars`: positions around both poles, around RA 0, in a dense cluster and all over the sky; six rows
  without a position; columns of every kind, with nulls and NaN;
- `mini.notes`: no positions; `star_id` is a key to `mini.stars`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Key, Release, SkyPosition, Table
from skygate.release.layout import TableWriter
from skygate.release.manifest import describe_file, write_described, write_manifest
from skygate.release.profile import Profile
from skygate.release.stored import FileEntry
from skygate.sky.cells import cell_of
from skygate.stores.releases import FolderReleases
from skygate.wire import arrow_schema

STARS = (
    Column("id", Datatype.LONG, ucd="meta.id;meta.main", description="Identifier"),
    Column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension"),
    Column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main", description="Declination"),
    Column("mag_g", Datatype.FLOAT, unit="mag", ucd="phot.mag;em.opt.G", description="Magnitude, some null"),
    Column("mag_r", Datatype.DOUBLE, unit="mag", ucd="phot.mag;em.opt.R", description="Magnitude, some NaN"),
    Column("flags", Datatype.SHORT, ucd="meta.code", description="Bits"),
    Column("n_obs", Datatype.INT, ucd="meta.number", description="Observations"),
    Column("quality", Datatype.UNSIGNED_BYTE, description="0 to 9"),
    Column("variable", Datatype.BOOLEAN, description="Varies, some null"),
    Column("name", Datatype.UNICODE, arraysize="*", ucd="meta.id", description="Name, some null"),
    Column("seen", Datatype.CHAR, arraysize="*", xtype="timestamp", description="First seen"),
    Column("flux", Datatype.FLOAT, arraysize="3", unit="nJy", description="Flux in three bands"),
    Column("epochs", Datatype.DOUBLE, arraysize="*", unit="d", description="Times, any number of them"),
    Column("Class Name", Datatype.CHAR, arraysize="8*", description="A name that must be delimited"),
)
NOTES = (
    Column("star_id", Datatype.LONG, description="mini.stars.id"),
    Column("note", Datatype.UNICODE, arraysize="*", description="What was noted"),
)


def positions(rows: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """RA and Dec in degrees: a fifth each around the poles, RA 0 and a cluster, the rest everywhere."""
    rng = np.random.default_rng(seed)
    fifth = rows // 5
    ra = rng.uniform(0, 360, rows)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    dec[:fifth] = 90 - np.abs(rng.normal(0, 0.5, fifth))
    dec[fifth : 2 * fifth] = -90 + np.abs(rng.normal(0, 0.5, fifth))
    ra[2 * fifth : 3 * fifth] = rng.normal(0, 0.3, fifth) % 360
    dec[2 * fifth : 3 * fifth] = rng.normal(0, 3, fifth)
    ra[3 * fifth : 4 * fifth] = rng.normal(210.8, 0.01, fifth)
    dec[3 * fifth : 4 * fifth] = rng.normal(54.35, 0.01, fifth)
    order = rng.permutation(rows)
    return ra[order], dec[order]


def stars(rows: int, seed: int = 7) -> pa.RecordBatch:
    """Shaped rows of `stars`, as a publish makes them (the last six without a position)."""
    rng = np.random.default_rng(seed + 1)
    ra, dec = positions(rows, seed)
    cells = cell_of(ra, dec)
    lost = np.arange(rows) >= rows - 6
    cells[lost] = -1
    some = rng.uniform(0, 1, rows)
    red = rng.uniform(10, 24, rows)
    red[some > 0.99] = np.nan
    lengths = np.arange(rows) % 4
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    columns = [
        pa.array(np.arange(1, rows + 1)),
        pa.array(ra, mask=lost),
        pa.array(dec, mask=lost),
        pa.array(rng.uniform(10, 24, rows).astype("f4"), mask=some < 0.05),
        pa.array(red),
        pa.array(rng.integers(-5, 1000, rows).astype("i2")),
        pa.array(rng.integers(0, 100_000, rows).astype("i4")),
        pa.array(rng.integers(0, 10, rows).astype("u1")),
        pa.array(some > 0.5, mask=some < 0.1),
        pa.array([f"Star {i} α" if i % 7 else None for i in range(rows)], pa.string()),
        pa.array(np.datetime64("2020-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")),
        pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(100, 5, 3 * rows).astype("f4")), 3),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(rng.uniform(5e4, 6e4, int(offsets[-1])))),
        pa.array(["STAR" if value < 0.7 else "GALAXY" for value in some]),
        pa.array(cells),
    ]
    schema = arrow_schema(STARS).append(pa.field(CELL_COLUMN, pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def notes(rows: int) -> pa.RecordBatch:
    """Rows of `notes`: one for every tenth star."""
    ids = np.arange(1, rows + 1, 10)
    texts = [f"note on {i}" for i in ids]
    return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(texts)], schema=arrow_schema(NOTES))


def _measured(table: Table, batch: pa.RecordBatch) -> Table:
    profile = Profile(table)
    profile.add(batch)
    stats = profile.finish().stats
    return replace(table, columns=tuple(replace(c, stats=stats.get(c.name)) for c in table.columns))


def make_release(
    root: Path,
    name: str = "mini",
    *,
    rows: int = 5_000,
    seed: int = 7,
    file_rows: int = 1_000,
    change: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
    measured: bool = False,
) -> Release:
    """Publish a small release into `root` (a new version each time) and load it.

    `change` makes other rows of the stars; `measured` says that the columns have statistics.
    """
    position = SkyPosition("ra", "dec", 2016.0)
    tables = (
        Table(name, "stars", STARS, "Synthetic stars", position=position, identifier="id"),
        Table(name, "notes", NOTES, "Notes on stars"),
    )
    keys = (Key(f"{name}.notes", f"{name}.stars", (("star_id", "id"),), "the star of a note"),)
    made = stars(rows, seed)
    shaped = (made if change is None else change(made), notes(rows))
    return release_of(root, name, tables, shaped, keys=keys, file_rows=file_rows, measured=measured)


def release_of(
    root: Path,
    name: str,
    tables: Sequence[Table],
    shaped: Sequence[pa.RecordBatch],
    *,
    keys: tuple[Key, ...] = (),
    file_rows: int = 1_000,
    measured: bool = False,
) -> Release:
    """Publish tables of shaped rows (with their cells where there are positions) and load the release."""
    store = FolderReleases(root)
    with store.stage(name) as staging:
        files: list[FileEntry] = []
        finished: list[Table] = []
        for table, batch in zip(tables, shaped, strict=True):
            writer = TableWriter(table, staging.root, scratch=staging.work / table.name, file_rows=file_rows)
            for start in range(0, batch.num_rows, 700):
                writer.add(batch.slice(start, 700))
            done = writer.finish()
            finished.append(_measured(done.table, batch) if measured else done.table)
            files.extend(done.files)
        release = Release(
            name=name,
            version=staging.version,
            title="A small release",
            description="Synthetic stars for tests.",
            creators=("A. Tester",),
            licence="CC0-1.0",
            published_at="2026-01-01T00:00:00Z",
            tables=tuple(finished),
            keys=keys,
        )
        (staging.root / "release.toml").write_text(f'name = "{name}"\n')
        files.append(describe_file(staging.root, staging.root / "release.toml"))
        files.append(write_described(staging.root, release))
        write_manifest(staging.root, files)
        staging.commit()
    return store.load(name)
