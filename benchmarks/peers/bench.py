"""The rows that everybody gets: made once, published by Skygate, and from the release copied into PostgreSQL.

Table `objects` is that of `benchmarks.publish`; `others` has a tenth of its rows, four fifths of them at
the place of an object (0.2″ of noise), to be matched with it; `fewer` half as many as that, every second one
of `others` moved once more.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.peers import pgrows
from benchmarks.peers.pgrows import copy_in, sql_type
from benchmarks.peers.postgres import Cluster
from benchmarks.publish import chunks, run, source
from skygate.assembly import cache_builder
from skygate.settings import Settings
from skygate.stores.releases import FolderReleases

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

    from skygate.client import Client

Array = np.ndarray[Any, Any]
OBJECTS, OTHERS, FEWER = "bench.objects", "bench_others.others", "bench_fewer.fewer"
CELL = "_healpix_29"
EVERY = 10
_BATCH = 250_000
_PIECE = 16 << 20


@dataclass(slots=True)
class Bench:
    """What cases work with. `postgres` and `connection` are None where `why_not` says why."""

    rows: int
    smoke: bool
    folder: Path
    root: Path
    gate: Client
    sample: dict[str, Array]
    """Identifiers and positions of random objects."""
    postgres: Cluster | None = None
    connection: psycopg.Connection[Any] | None = None
    why_not: str = ""
    loaded: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Wall and CPU seconds of each step of loading PostgreSQL."""

    def calls(self, usual: int, smoke: int = 3) -> int:
        """How often a case is to ask."""
        return smoke if self.smoke else usual


def fits_of_objects(folder: Path, rows: int) -> Path:
    """The source file of `objects`, made when it is not there."""
    kept = folder / f"objects-{rows}"
    target = kept / "objects.fits"
    if not target.exists():
        kept.mkdir(parents=True, exist_ok=True)
        source(kept, "fits", rows).rename(target)
    return target


def fits_of_others(folder: Path, rows: int) -> Path:
    """The source file of `others`, made when it is not there."""
    ra, dec = (np.concatenate(x) for x in zip(*_every_tenth(rows), strict=True))
    return _moved(folder / f"objects-{rows}" / "others.fits", ra, dec, seed=2)


def fits_of_fewer(folder: Path, rows: int) -> Path:
    """The source file of `fewer`, made when it is not there."""
    from astropy.table import Table

    others = Table.read(fits_of_others(folder, rows))
    ra, dec = (np.asarray(others[name], dtype=np.float64)[::2] for name in ("ra", "dec"))
    return _moved(folder / f"objects-{rows}" / "fewer.fits", ra, dec, seed=3)


def _moved(target: Path, ra: Array, dec: Array, seed: int) -> Path:
    """A FITS table of places beside these, made when it is not there: a fifth 8″ away, the rest 0.2″."""
    from astropy.table import Table

    if target.exists():
        return target
    rng = np.random.default_rng(seed)
    far = rng.uniform(size=len(ra)) < 0.2
    angle, away = rng.uniform(0, 2 * np.pi, len(ra)), np.where(far, 8.0, 0.2) / 3600
    away = away * np.sqrt(rng.uniform(0.05, 1, len(ra)))
    made = {
        "other_id": np.arange(len(ra)) + 1_000_000_000 * (seed - 1),
        "ra": (ra + away * np.cos(angle) / np.cos(np.radians(dec))) % 360,
        "dec": dec + away * np.sin(angle),
        "flux": rng.gamma(2, 10, len(ra)).astype("f4"),
    }
    Table(made).write(target)
    return target


def _every_tenth(rows: int) -> Iterator[tuple[Array, Array]]:
    for chunk in chunks(rows):
        yield chunk["ra"][::EVERY], chunk["dec"][::EVERY]


def publish_all(folder: Path, rows: int, *, keep: bool) -> Path:
    """The directory of all releases, each published when it is not there (or is not to be kept)."""
    root = folder / f"objects-{rows}" / "root"
    if not keep:
        shutil.rmtree(root, ignore_errors=True)
    sources = {"bench": fits_of_objects, "bench_others": fits_of_others, "bench_fewer": fits_of_fewer}
    for name, made in sources.items():
        if not (root / "releases" / name).exists():
            run(made(folder, rows), root, rows, name=name)
    warm(root)
    return root


def warm(root: Path) -> None:
    """Build the caches that `skygate publish` builds after its last step, and say how long that took."""
    store, builder = FolderReleases(root), cache_builder(Settings())
    for name in store.names():
        release = store.load(name)
        for table in builder.missing(release):
            began, used = time.perf_counter(), time.process_time()
            builder.build(release, table, lambda done: None)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
            print(f"Skygate: caches of {table.full_name}: {wall:.1f} s, CPU {cpu:.1f} s", flush=True)


def settle(gate: Client, root: Path) -> None:
    """Read what was built once, as PostgreSQL's pages are warmed, and ask until it is in use."""
    for path in root.glob("releases/*/*/cache/*/*/*"):
        with path.open("rb", buffering=0) as file:
            while file.read(_PIECE):
                pass
    for _ in range(4):
        for name in (OBJECTS, OTHERS, FEWER):
            gate.query(f"SELECT MIN(ra) FROM {name}")  # which only an engine can tell
        time.sleep(1.5)


def parts(root: Path, full_name: str) -> list[Path]:
    """The Parquet files of a table in the order of the sky."""
    release, _, name = full_name.partition(".")
    table = next(t for t in FolderReleases(root).load(release).tables if t.name == name)
    return [Path(p.path) for p in sorted(table.parts, key=lambda p: p.first_cell or -1)]


def columns_of(root: Path, full_name: str, names: list[str]) -> dict[str, Array]:
    """Whole columns of a table, in the order of the sky."""
    read = [pq.read_table(path, columns=names) for path in parts(root, full_name)]
    return {name: np.concatenate([_array(t.column(name).combine_chunks()) for t in read]) for name in names}


def batches(root: Path, full_name: str) -> Iterator[dict[str, Array]]:
    """All columns of a table, cell included, in the order of the sky."""
    for path in parts(root, full_name):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                yield {n: _array(batch.column(n)) for n in batch.schema.names}


def _array(values: pa.Array) -> Array:
    """Values as NumPy's; texts as bytes of one length. Raises ValueError where there are nulls."""
    import pyarrow as pa

    if values.null_count:
        raise ValueError("a column has nulls: the rows of both sides would not be the same")
    if isinstance(values, pa.ChunkedArray):  # what combine_chunks gives of no chunks, or of many
        values = pa.concat_arrays(values.chunks)
    if not pa.types.is_string(values.type):
        return values.to_numpy(zero_copy_only=False)
    offsets = np.frombuffer(values.buffers()[1], "i4")[values.offset :][: len(values) + 1]
    widths = set(np.unique(np.diff(offsets)).tolist())
    if len(widths) > 1:
        raise ValueError(f"texts are of {len(widths)} lengths")
    width = int(widths.pop()) if widths else 1
    return np.frombuffer(values.buffers()[2], f"S{width}", len(values), int(offsets[0]))


def sample_of(root: Path, count: int) -> dict[str, Array]:
    """Random objects: identifier and position."""
    whole = columns_of(root, OBJECTS, ["object_id", "ra", "dec"])
    rows = len(whole["ra"])
    picked = np.random.default_rng(5).choice(rows, min(count, rows), replace=False)
    return {name: values[picked] for name, values in whole.items()}


def load_postgres(bench: Bench) -> None:
    """COPY both tables, in the order of the sky, build the indexes, tell the planner, warm the pages.

    Steps are measured. Making arrays out of the release is not: a person would have them from elsewhere.
    """
    assert bench.postgres is not None
    assert bench.connection is not None
    connection = bench.connection
    for full_name, table in ((OBJECTS, "objects"), (OTHERS, "others")):
        first = next(batches(bench.root, full_name))
        types = ", ".join(f'"{_renamed(n)}" {sql_type(v.dtype)} NOT NULL' for n, v in first.items())
        pgrows.run(connection, f"CREATE TABLE {table} ({types})")
        _measured(bench, f"COPY {table}", lambda t=table, f=full_name: _copy(bench, t, f))
    steps = {
        "identifier index": "CREATE UNIQUE INDEX ON objects (object_id)",
        "q3c index": "CREATE INDEX objects_q3c ON objects (q3c_ang2ipix(ra, dec))",
        "pgSphere index": "CREATE INDEX objects_sphere ON objects "
        "USING gist (spoint(radians(ra), radians(dec)))",
        "q3c index of others": "CREATE INDEX others_q3c ON others (q3c_ang2ipix(ra, dec))",
        "VACUUM, ANALYZE": "VACUUM (ANALYZE) objects, others",
    }
    for name, statement in steps.items():
        _measured(bench, name, lambda s=statement: pgrows.run(connection, s))
    for relation in ("objects", "objects_q3c", "objects_sphere", "objects_object_id_idx", "others"):
        pgrows.run(connection, "SELECT pg_prewarm(%s::regclass)", [relation])


def _renamed(name: str) -> str:
    return "hpx29" if name == CELL else name


def _copy(bench: Bench, table: str, full_name: str) -> float:
    """Copy a table; gives the seconds that reading the release took, which do not count."""
    assert bench.connection is not None
    waited = [0.0, 0.0]

    def read() -> Iterator[dict[str, Array]]:
        source = batches(bench.root, full_name)
        while True:
            began, used = time.perf_counter(), time.process_time()
            columns = next(source, None)
            waited[0] += time.perf_counter() - began
            waited[1] += time.process_time() - used
            if columns is None:
                return
            yield columns

    copy_in(bench.connection, table, read())
    bench.loaded[f"COPY {table}"] = (-waited[0], -waited[1])
    return waited[0]


def _measured(bench: Bench, name: str, act: Any) -> None:
    assert bench.postgres is not None
    behind, own = bench.postgres.cpu_s(), time.process_time()
    began = time.perf_counter()
    act()
    wall = time.perf_counter() - began
    cpu = time.process_time() - own + bench.postgres.cpu_s() - behind
    less = bench.loaded.get(name, (0.0, 0.0))
    bench.loaded[name] = (wall + less[0], cpu + less[1])
    print(f"PostgreSQL: {name}: {wall:.1f} s, CPU {cpu:.1f} s", flush=True)
