"""Two catalogue tables with cells and awkward rows, in DuckDB, and brute force beside them."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from tests.adql.in_duckdb import register_kernels, spelled

from skygate import wire
from skygate.adql import compile_query
from skygate.domain.catalog import (
    CELL_COLUMN,
    Catalog,
    Column,
    Datatype,
    Part,
    Schema,
    SkyPosition,
    Stats,
    Table,
)
from skygate.sky.cells import cell_of

D = Datatype
PART = Part("part.parquet", 1, 1, "", 0, 1)


def columns(stats=None):
    ra, dec = stats or (None, None)
    return (
        Column("id", D.LONG),
        Column("ra", D.DOUBLE, stats=ra),
        Column("dec", D.DOUBLE, stats=dec),
        Column("r", D.DOUBLE, unit="deg"),
        Column("spot", D.DOUBLE, "2", "point"),
        Column("disc", D.DOUBLE, "3", "circle"),
        Column("shape", D.DOUBLE, "*", "polygon"),
    )


def catalogue(rows=20_000):
    clean = (Stats(rows, 0, minimum=0.0, maximum=360.0), Stats(rows, 0, minimum=-90.0, maximum=90.0))
    big = Table("s", "big", columns(clean), rows=rows, position=SkyPosition("ra", "dec"), parts=(PART,))
    few = Table("s", "few", columns(), rows=500, position=SkyPosition("ra", "dec"), parts=(PART,))
    loose = Table("s", "loose", columns(), rows=500)
    return Catalog((Schema("s", (big, few, loose)),), "geometry")


def positions(n, seed):
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    m = n // 10
    # crowds at the poles and at RA 0
    dec[:m] = np.sign(rng.uniform(-1, 1, m)) * (90 - 10 ** rng.uniform(-5, 0.5, m))
    ra[m : 2 * m] = (10 ** rng.uniform(-5, 0.5, m) * np.sign(rng.uniform(-1, 1, m))) % 360
    dec[m : 2 * m] = rng.normal(size=m)
    return ra, dec


def few_positions(ra, dec, n=500, seed=2):
    """Near some of the others, from 0 to about 20 arcsec."""
    rng = np.random.default_rng(seed)
    i = rng.choice(len(ra), n, replace=False)
    step = 10 ** rng.uniform(-7, -2.3, n)
    turn = rng.uniform(0, 6.28, n)
    d = np.clip(dec[i] + step * np.sin(turn), -90, 90)
    return (ra[i] + step * np.cos(turn) / np.maximum(np.cos(np.radians(d)), 1e-6)) % 360, d


def arrow(ra, dec, bad=()):
    """Rows with radii and shapes of their own, then rows whose position is null, NaN or impossible."""
    n = len(ra)
    r = np.where(np.arange(n) % 7 == 0, 0.0, 10.0 ** -(np.arange(n) % 5))
    north = np.where(dec > 0, -1.0, 1.0)
    data = {
        "id": list(range(n + len(bad))),
        "ra": [*ra.tolist(), *(b[0] for b in bad)],
        "dec": [*dec.tolist(), *(b[1] for b in bad)],
        "r": [*r.tolist(), *[0.1] * len(bad)],
        "spot": [*np.stack([ra, dec], 1).tolist(), *[None] * len(bad)],
        "disc": [*np.stack([ra, dec, r], 1).tolist(), *[None] * len(bad)],
        "shape": [
            *np.stack([ra, dec, (ra + 0.5) % 360, dec, (ra + 0.5) % 360, dec + north], 1).tolist(),
            *[None] * len(bad),
        ],
    }
    schema = wire.arrow_schema(columns())
    table = pa.table(
        {name: pa.array(data[name], schema.field(name).type) for name in schema.names}, schema=schema
    )
    cells = cell_of(
        [np.nan if v is None else v for v in data["ra"]], [np.nan if v is None else v for v in data["dec"]]
    )
    return table.append_column(CELL_COLUMN, pa.array(cells, pa.int64(), mask=cells < 0))


class Engine:
    """DuckDB with the kernels and some tables."""

    def __init__(self, catalog, tables):
        self.catalog = catalog
        self.connection = duckdb.connect(":memory:", config={"threads": 2})
        register_kernels(self.connection)
        for name, table in tables.items():
            self.connection.register("incoming", table)
            self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")

    def plan(self, query):
        return compile_query(query, self.catalog)

    def sql(self, query):
        return spelled(self.plan(query), lambda table: table.name)

    def rows(self, query):
        return self.connection.execute(self.sql(query)).fetchall()

    def ids(self, query):
        return sorted(row[0] for row in self.rows(query))

    def explained(self, query):
        return self.connection.execute("EXPLAIN " + self.sql(query)).fetchall()[0][1].upper()
