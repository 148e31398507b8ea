"""Numbers of groups of rows by SQL and from pyramids: the same answers, sums but for their rounding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import anyio
import numpy as np
import pyarrow as pa
import pytest

from releases_made import NOTES, notes, positions, release_of
from skygate import wire
from skygate.adql import compile_query
from skygate.domain.account import ANONYMOUS
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, SkyPosition, Table
from skygate.domain.density import SkyDensityAsked
from skygate.domain.query import Outcome, Query
from skygate.domain.tally import Tally
from skygate.engines.caches import Caches
from skygate.engines.duck import DuckEngine
from skygate.engines.pyramid import Pyramids
from skygate.errors import BadQuery, HouseError
from skygate.services.densities import DensitiesService
from skygate.services.places import Places
from skygate.services.queries import Bounds, QueriesService
from skygate.services.releases import ReleasesService
from skygate.sky.cells import cell_of
from skygate.stores.releases import FolderReleases

BOUNDS = Bounds(
    seconds=60,
    default_maxrec=1_000_000,
    hard_maxrec=1_000_000,
    memory_bytes=256 << 20,
    spool_memory_bytes=32 << 20,
    spool_disk_bytes=1 << 30,
    room_memory_bytes=64 << 20,
    room_disk_bytes=1 << 30,
    max_query_bytes=300_000,
    max_positions=1_000,
)
ROWS = 6_000
THINGS = (
    Column("id", Datatype.LONG, ucd="meta.id;meta.main"),
    Column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
    Column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
    Column("mag", Datatype.FLOAT, unit="mag"),
    Column("flux", Datatype.DOUBLE, unit="Jy"),
    Column("rare", Datatype.DOUBLE),
    Column("tiny", Datatype.UNSIGNED_BYTE),
    Column("short", Datatype.SHORT),
    Column("whole", Datatype.INT),
    Column("long", Datatype.LONG),
    Column("Odd name", Datatype.INT),
    Column("vast", Datatype.LONG),
    Column("endless", Datatype.FLOAT),
    Column("nan", Datatype.DOUBLE),
    Column("huge", Datatype.DOUBLE),
    Column("name", Datatype.UNICODE, arraysize="*"),
    Column("pair", Datatype.FLOAT, arraysize="2"),
)
EXACT = ("mag", "flux", "rare", "tiny", "short", "whole", "long", '"Odd name"')
WHOLE = ("tiny", "short", "whole", "long", '"Odd name"')
LEFT = ("id", "ra", "dec", "vast", "endless", "nan", "huge")
"""Columns whose values are not in the pyramid: identifier, position, and those whose sums are no numbers."""


class NoEngine:
    """Proves that a question came to no plan."""

    dialect = "duckdb"

    def run(self, *_: object) -> None:
        raise HouseError("the engine was asked")

    def close(self) -> None:
        """Nothing."""


def things() -> pa.RecordBatch:
    """Shaped rows: the last forty without a position, `rare` with so many nulls that cells have no value."""
    rng = np.random.default_rng(3)
    ra, dec = positions(ROWS)
    lost = np.arange(ROWS) >= ROWS - 40
    cells = cell_of(ra, dec)
    cells[lost] = -1
    some = rng.uniform(0, 1, ROWS)
    endless = rng.normal(0, 1, ROWS).astype("f4")
    endless[::500] = np.inf
    nan = rng.normal(0, 1, ROWS)
    nan[::700] = np.nan
    columns = [
        pa.array(np.arange(ROWS)),
        pa.array(ra, mask=lost),
        pa.array(dec, mask=lost),
        pa.array(rng.normal(20, 3, ROWS).astype("f4"), mask=some < 0.1),
        pa.array(rng.normal(0, 1, ROWS) * 10.0 ** rng.integers(-8, 8, ROWS)),
        pa.array(rng.normal(0, 1, ROWS), mask=some > 0.02),
        pa.array(rng.integers(0, 256, ROWS).astype("u1")),
        pa.array(rng.integers(-(2**15), 2**15, ROWS).astype("i2"), mask=some < 0.3),
        pa.array(rng.integers(-(2**31), 2**31, ROWS).astype("i4")),
        pa.array(rng.integers(-(2**40), 2**40, ROWS), mask=some < 0.01),
        pa.array(rng.integers(0, 9, ROWS).astype("i4")),
        pa.array(rng.integers(2**60, 2**62, ROWS)),
        pa.array(endless),
        pa.array(nan),
        pa.array(rng.uniform(1e307, 1e308, ROWS)),
        pa.array([f"n{i}" if i % 3 else None for i in range(ROWS)]),
        pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2.0 * ROWS, dtype="f4")), 2),
        pa.array(cells),
    ]
    schema = wire.arrow_schema(THINGS).append(pa.field(CELL_COLUMN, pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    tables = (
        Table("mini", "things", THINGS, position=SkyPosition("ra", "dec"), identifier="id"),
        Table("mini", "notes", NOTES),
    )
    release = release_of(made, "mini", tables, (things(), notes(200)))
    caches = Caches(native=False)
    for table in caches.missing(release):
        assert caches.build(release, table, lambda rows: None)
    return made


@pytest.fixture(scope="module")
def ways(root: Path) -> Iterator[dict[str, QueriesService]]:
    engine = DuckEngine(root / "releases", memory_bytes=256 << 20, threads=2)

    def service(engine, tallies):
        releases = ReleasesService(FolderReleases(root))
        places = Places(2, waiting=9, wait_s=9)
        return QueriesService(
            releases, engine, places, bounds=BOUNDS, compiler=compile_query, tallies=tallies
        )

    yield {
        "sql": service(engine, None),
        "pyramid": service(NoEngine(), Pyramids()),
        "either": service(engine, Pyramids()),
    }
    engine.close()


def ask(service: QueriesService, text: str, maxrec: int | None = None) -> tuple[pa.Table, Outcome]:
    async def story():
        return await service.run(ANONYMOUS, Query(text, maxrec))

    rows = anyio.run(story)
    schema = wire.arrow_schema(rows.columns)
    batches = list(rows)
    for batch in batches:
        assert batch.schema.equals(schema, check_metadata=True)
        batch.validate(full=True)
    found = pa.Table.from_batches(batches, schema)
    assert rows.outcome is not None
    assert rows.outcome.rows == found.num_rows
    return found, rows.outcome


def same(one: pa.Table, other: pa.Table) -> None:
    assert one.schema.equals(other.schema, check_metadata=True)
    assert one.to_pylist() == other.to_pylist()


def doubles(values: pa.ChunkedArray) -> np.ndarray:
    return values.cast(pa.float64(), safe=False).to_numpy()


def by_cell(table: pa.Table) -> pa.Table:
    return table.sort_by("c")


SHAPES = (
    "SELECT ivo_healpix_index({k}, ra, dec) AS c, COUNT(*) AS n FROM mini.things GROUP BY c",
    "SELECT IVO_HEALPIX_INDEX({k}, t.ra, t.dec) c, COUNT(1) FROM things AS t GROUP BY 1",
    "SELECT COUNT(*) AS n, (ivo_healpix_index({k}, POINT(ra, dec))) AS c FROM things GROUP BY "
    "ivo_healpix_index({k}, POINT(ra, dec))",
    "SELECT ivo_healpix_index({k}, POINT('ICRS', \"ra\", DEC)) AS c, COUNT(*), COUNT(*) AS again FROM things "
    "GROUP BY ivo_healpix_index({k}, POINT(ra, dec))",
    "SELECT ivo_healpix_index(({k}), (ra), (things.dec)) AS c FROM things GROUP BY 1 ORDER BY 1",
    "SELECT ivo_healpix_index({k} + 1 - 1, ra, dec) AS c, COUNT('x') AS n FROM things GROUP BY c LIMIT 99999",
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [*range(11)])
def test_rows_in_cells(ways, shape, order):
    text = shape.format(k=order)
    (one, told), (other, _) = (ask(ways[way], text) for way in ("sql", "pyramid"))
    same(by_cell(one), by_cell(other))
    assert not told.overflow
    assert other["c"].null_count == 1  # forty rows have no position
    assert other["c"].to_pylist() == by_cell(other)["c"].to_pylist()


@pytest.mark.parametrize("column", EXACT)
@pytest.mark.parametrize("order", [None, 0, 3, 8])
def test_values_in_cells(ways, column, order):
    exact = [f"COUNT({column}) AS a", f"MIN({column}) AS b", f"MAX({column}) AS d"]
    exact += [f"COUNT(CAST({column} AS DOUBLE PRECISION))", f"MAX(CAST({column} AS DOUBLE PRECISION))"]
    if column in WHOLE:
        exact += [f"SUM({column}) AS e"]
    rounded = [f"SUM({column}) AS s", f"AVG({column}) AS m", f"AVG(CAST({column} AS DOUBLE PRECISION)) AS o"]
    cell, group = ("", "")
    if order is not None:
        cell, group = f"ivo_healpix_index({order}, ra, dec) AS c,", "GROUP BY c ORDER BY c"
    text = f"SELECT {cell} {', '.join(exact + rounded)} FROM things {group}"
    more = f"SELECT {cell} SUM(ABS({column})) AS s, COUNT({column}) AS n FROM things {group}"
    one, other, most = (ask(ways[w], t)[0] for w, t in (("sql", text), ("pyramid", text), ("sql", more)))
    assert one.num_rows == other.num_rows >= 1
    names = ["s", "m", "o"]
    same(one.drop_columns(names), other.drop_columns(names))
    known = doubles(most["n"]) > 0
    room = 4e-16 * doubles(most["s"])[known]  # for each term of a sum
    for name in names:
        assert one.schema.field(name).equals(other.schema.field(name), check_metadata=True)
        assert one[name].is_null().to_numpy().tolist() == other[name].is_null().to_numpy().tolist()
        apart = np.abs(doubles(one[name]) - doubles(other[name]))[known]
        assert (apart <= room * (doubles(most["n"])[known] if name == "s" else 1)).all()
    if column == "mag":  # whose sums have room in a double
        same(one, other)
    if column == "rare" and order == 8:
        assert one["b"].null_count > 50


def test_the_whole_table(ways):
    for text, wanted in (
        ("SELECT COUNT(*) FROM things", ROWS),
        ("SELECT COUNT(1) AS n FROM mini.things ORDER BY 1", ROWS),
        ("SELECT TOP 3 COUNT(*) AS n FROM things AS t", ROWS),
        ("SELECT COUNT(*) FROM notes", 20),
    ):
        one, other = (ask(ways[way], text)[0] for way in ("sql", "pyramid"))
        same(one, other)
        assert one.columns[0].to_pylist() == [wanted]
    one, other = (ask(ways[w], "SELECT COUNT(*) AS n, COUNT(*) FROM things")[0] for w in ("sql", "pyramid"))
    same(one, other)


def test_no_row_may_go_out(ways):
    for text in ("SELECT COUNT(*) AS n FROM things", SHAPES[0].format(k=3)):
        (one, told), (other, theirs) = (ask(ways[way], text, 0) for way in ("sql", "either"))
        same(one, other)
        assert told == theirs == Outcome(0, overflow=True)
    assert ask(ways["pyramid"], "SELECT COUNT(*) AS n FROM things", 1)[1] == Outcome(1, overflow=False)
    assert ask(ways["pyramid"], "SELECT TOP 0 COUNT(*) AS n FROM things")[1] == Outcome(0, overflow=False)


CONDITIONS = (
    "ivo_healpix_index({k}, ra, dec) = {a}",
    "({a}) = ivo_healpix_index({k}, POINT(ra, dec))",
    "ivo_healpix_index({k}, ra, dec) BETWEEN {a} AND {b}",
    "ivo_healpix_index({k}, ra, dec) BETWEEN {b} AND {a}",
    "ivo_healpix_index({k}, ra, dec) IN ({a}, {b}, {a}, -7, 99999999999)",
    "ivo_healpix_index({k}, ra, dec) >= {a} AND ivo_healpix_index({k}, ra, dec) < {b}",
    "(ivo_healpix_index({k}, ra, dec) > {a}) AND ({b} > ivo_healpix_index({k}, ra, dec))",
    "{b} >= ivo_healpix_index({k}, ra, dec)",
    "ivo_healpix_index({k}, ra, dec) > -5",
    "ivo_healpix_index({k}, ra, dec) <= -1",
    "ivo_healpix_index({k}, ra, dec) = 9223372036854775807",
    "ivo_healpix_index({k}, ra, dec) IN ({a}, {b}) AND ivo_healpix_index({k}, ra, dec) IN ({b}, 3)",
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_regions_of_cells(ways, condition):
    rng = np.random.default_rng(1)
    seen = 0
    for inner, outer in ((None, 0), (None, 9), (4, 4), (6, 2), (2, 6), (10, 0), (0, 10), (5, 1)):
        a, b = sorted(rng.integers(0, 12 << 2 * outer, 2).tolist())
        if rng.uniform() < 0.7 and outer:  # where many rows are
            a = int(cell_of(210.8, 54.35, outer))
            b = a + int(rng.integers(0, 3))
        where = condition.format(k=outer, a=a, b=b)
        cell, group = (
            (f"ivo_healpix_index({inner}, ra, dec) AS c,", "GROUP BY c") if inner is not None else ("", "")
        )
        items = "COUNT(*) AS n"
        if max(inner or 0, outer) <= 8:
            items += ", COUNT(rare), MIN(mag), MAX(long), SUM(short), AVG(mag) AS m, AVG(whole)"
        text = f"SELECT {cell} {items} FROM things WHERE {where} {group}"
        one, other = (ask(ways[way], text)[0] for way in ("sql", "pyramid"))
        if inner is not None:
            one, other = by_cell(one), by_cell(other)
        same(one, other)
        seen += sum(one["n"].to_pylist())
    assert (
        seen > 100
        or "BETWEEN {b}" in condition
        or "<= -1" in condition
        or "9223" in condition
        or "AND ivo" in condition
    )


@pytest.mark.parametrize(
    "order_by",
    [
        "n DESC",
        "n DESC, c",
        "c DESC",
        "c",
        "n, c DESC",
        "2, 1",
        "low DESC, c",
        "mean, c DESC",
        "COUNT(*) DESC, c",
    ],
)
def test_groups_come_in_the_order_that_was_asked_for(ways, order_by):
    text = (
        "SELECT {} ivo_healpix_index(6, ra, dec) AS c, COUNT(*) AS n, MIN(rare) AS low, AVG(rare) AS mean "
        f"FROM things GROUP BY c ORDER BY {order_by}"
    )
    one, other = (ask(ways[way], text.format(""))[0] for way in ("sql", "pyramid"))
    if order_by == "n DESC":  # any order of those that have as many
        assert one["n"].equals(other["n"])
        one = one.sort_by([("n", "descending"), ("c", "ascending")])
        same(one.drop_columns(["mean"]), other.drop_columns(["mean"]))
        return
    same(one.drop_columns(["mean"]), other.drop_columns(["mean"]))
    for top in (1, 7, 5_000):
        for maxrec in (3, 100_000):
            asked = text.format(f"TOP {top}")
            (few, told), (peers, theirs) = (ask(ways[w], asked, maxrec) for w in ("sql", "pyramid"))
            same(few.drop_columns(["mean"]), peers.drop_columns(["mean"]))
            assert told == theirs


def test_overflow_is_told_exactly(ways):
    text = "SELECT ivo_healpix_index(10, ra, dec) AS c, COUNT(*) AS n FROM things GROUP BY c"
    there = ask(ways["sql"], text)[0].num_rows
    for maxrec in (1, there - 1, there, there + 1):
        found, told = ask(ways["pyramid"], text, maxrec)
        assert told == ask(ways["sql"], text, maxrec)[1]
        assert found.num_rows == min(maxrec, there)


def test_what_no_pyramid_knows_is_asked_of_the_engine(ways):
    """Finer cells and columns that are not kept: recognised, not known, and the same answer."""
    texts = [
        "SELECT ivo_healpix_index(11, ra, dec) AS c, COUNT(*) AS n FROM things GROUP BY c",
        "SELECT ivo_healpix_index(29, ra, dec) AS c, COUNT(*) AS n FROM things GROUP BY c",
        "SELECT ivo_healpix_index(9, ra, dec) AS c, MAX(mag) AS n FROM things GROUP BY c",
        "SELECT ivo_healpix_index(2, ra, dec) AS c, COUNT(*) AS n FROM things "
        "WHERE ivo_healpix_index(12, ra, dec) < 100000000 GROUP BY c",
        "SELECT COUNT(star_id), MAX(star_id) FROM notes",
    ]
    texts += [
        f"SELECT ivo_healpix_index(2, ra, dec) AS c, MAX({name}) FROM things GROUP BY c" for name in LEFT
    ]
    for text in texts:
        one, other = (ask(ways[way], text)[0] for way in ("sql", "either"))
        if "c" in one.column_names:
            one, other = by_cell(one), by_cell(other)
        assert [repr(row) for row in one.to_pylist()] == [repr(row) for row in other.to_pylist()]
        with pytest.raises(HouseError, match="the engine was asked"):
            ask(ways["pyramid"], text)


@pytest.mark.parametrize("limit", [0, 10, 1_000])
def test_too_many_groups_at_once_are_left_to_the_engine(ways, monkeypatch, limit):
    monkeypatch.setattr("skygate.engines.pyramid._MOST_AT_ONCE", limit)
    monkeypatch.setattr("skygate.engines.pyramid._BLOCK_GROUPS", 100)
    for text in (
        "SELECT ivo_healpix_index(7, ra, dec) AS c, COUNT(*) AS n FROM things GROUP BY c ORDER BY n, c",
        "SELECT ivo_healpix_index(7, ra, dec) AS c, COUNT(*) AS n FROM things GROUP BY c ORDER BY c",
        "SELECT ivo_healpix_index(1, ra, dec) AS c, COUNT(*) AS n FROM things "
        "WHERE ivo_healpix_index(9, ra, dec) > 0 GROUP BY c ORDER BY c",
    ):
        same(ask(ways["sql"], text)[0], ask(ways["either"], text)[0])


@pytest.mark.parametrize("seed", range(30))
def test_anything_of_the_shape_is_answered_alike(ways, seed):
    """Numbers, regions and orders at random."""
    rng = np.random.default_rng(seed)
    order = int(rng.integers(0, 9)) if rng.uniform() < 0.8 else None
    items = ["COUNT(*) AS n"] if rng.uniform() < 0.7 else []
    for i in range(int(rng.integers(0, 6))):
        column = EXACT[rng.integers(len(EXACT))]
        verbs = ["COUNT", "MIN", "MAX", *(("SUM", "AVG") if column in (*WHOLE, "mag") else ())]
        items.append(f"{verbs[rng.integers(len(verbs))]}({column}) AS a{i}")
    if order is not None:
        items.insert(int(rng.integers(0, len(items) + 1)), f"ivo_healpix_index({order}, ra, dec) AS c")
    items = items or ["COUNT(*) AS n"]
    where = ""
    if rng.uniform() < 0.5:
        outer = int(rng.integers(0, 9))
        a, b = sorted(rng.integers(-2, (12 << 2 * outer) + 3, 2).tolist())
        condition = CONDITIONS[rng.integers(len(CONDITIONS))]
        where = f"WHERE {condition.format(k=outer, a=a, b=b)}"
    group = f"GROUP BY ivo_healpix_index({order}, ra, dec)" if order is not None else ""
    keys = [str(i + 1) + (" DESC" if rng.uniform() < 0.5 else "") for i in rng.permutation(len(items))]
    text = f"SELECT {', '.join(items)} FROM things {where} {group} ORDER BY {', '.join(keys)}"
    same(ask(ways["sql"], text)[0], ask(ways["pyramid"], text)[0])


@pytest.mark.parametrize("order", [0, 5, 9])
@pytest.mark.parametrize("mean", [None, "mag", "(mag)", "Mag", '"Odd name"', "rare"])
@pytest.mark.parametrize("where", [None, "ivo_healpix_index(1, ra, dec) IN (0, 5, 12) -- some"])
def test_densities_of_the_sky(root, ways, order, mean, where):
    asked = SkyDensityAsked("things", order, where=where, mean=mean)
    found = []
    for way in ("sql", "pyramid" if order < 9 and mean != "(mag)" else "either"):
        densities = DensitiesService(ReleasesService(FolderReleases(root)), ways[way])

        async def story(densities=densities):
            return await densities.sky(ANONYMOUS, asked)

        found.append(anyio.run(story))
    one, other = found
    assert one.seen == other.seen
    cells, others = (pa.Table.from_batches(list(f.rows), wire.arrow_schema(f.rows.columns)) for f in found)
    if mean == "rare":  # numbers of either sign: their sum is not exact
        means, theirs = (t["mean"].to_numpy() for t in (cells, others))
        np.testing.assert_allclose(means, theirs, rtol=1e-12)
        cells, others = (t.drop_columns(["mean"]) for t in (cells, others))
    same(cells, others)


def test_a_look_at_the_plan_says_that_counting_reads_nothing(ways):
    async def story(text):
        return await ways["sql"].check(ANONYMOUS, Query(text))

    counted = anyio.run(story, "SELECT COUNT(*) FROM things")
    assert (counted.rows, counted.bytes, counted.files) == (0, 0, 0)
    assert [t.name for t in counted.tables] == ["things"]
    assert anyio.run(story, "SELECT COUNT(*) FROM things WHERE mag > 3").rows == ROWS


def test_a_tally_is_logged_like_every_query(ways, caplog):
    caplog.set_level(logging.INFO, logger="skygate.query")
    ask(ways["pyramid"], "SELECT COUNT(*) FROM things")
    (record,) = [r for r in caplog.records if r.message == "query"]
    assert (record.fields["kind"], record.fields["rows"]) == ("adql", 1)


CELL = "ivo_healpix_index(3, ra, dec)"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT COUNT(DISTINCT mag) FROM things",
        "SELECT COUNT(NULL) FROM things",
        "SELECT COUNT(*) + 1 FROM things",
        "SELECT MEDIAN(mag) FROM things",
        "SELECT AVG(mag + 1) FROM things",
        "SELECT SUM(CAST(mag AS INTEGER)) FROM things",
        "SELECT MIN(name) FROM things",
        "SELECT COUNT(name) FROM things",
        "SELECT COUNT(pair) FROM things",
        "SELECT COUNT(*) FROM things WHERE mag > 3",
        f"SELECT COUNT(*) FROM things WHERE {CELL} = 3.0",
        f"SELECT COUNT(*) FROM things WHERE {CELL} <> 3",
        f"SELECT COUNT(*) FROM things WHERE NOT {CELL} = 3",
        f"SELECT COUNT(*) FROM things WHERE {CELL} = 3 OR {CELL} = 4",
        f"SELECT COUNT(*) FROM things WHERE {CELL} = 3 AND mag > 3",
        f"SELECT COUNT(*) FROM things WHERE {CELL} = 3 AND ivo_healpix_index(4, ra, dec) = 50",
        f"SELECT COUNT(*) FROM things WHERE {CELL} = tiny",
        f"SELECT COUNT(*) FROM things WHERE {CELL} IS NULL",
        f"SELECT COUNT(*) FROM things WHERE {CELL} IN (SELECT tiny FROM things)",
        f"SELECT COUNT(*) FROM things GROUP BY {CELL} HAVING COUNT(*) > 3",
        f"SELECT COUNT(*) FROM things GROUP BY {CELL}, tiny",
        f"SELECT COUNT(*) FROM things GROUP BY {CELL} OFFSET 3",
        f"SELECT DISTINCT COUNT(*) FROM things GROUP BY {CELL}",
        f"SELECT COUNT(*) FROM things GROUP BY {CELL} ORDER BY MAX(mag)",
        f"SELECT {CELL} + 0 AS c, COUNT(*) FROM things GROUP BY {CELL}",
        f"SELECT {CELL} AS c, COUNT(*) FROM things GROUP BY {CELL}, ivo_healpix_index(4, ra, dec)",
        "SELECT tiny, COUNT(*) FROM things GROUP BY tiny",
        "SELECT COUNT(*) FROM things GROUP BY ivo_healpix_index(3, dec, ra)",
        "SELECT COUNT(*) FROM things GROUP BY ivo_healpix_index(3, ra + 0, dec)",
        "SELECT COUNT(*) FROM things GROUP BY ivo_healpix_index(tiny, ra, dec)",
        "SELECT COUNT(*) FROM things GROUP BY ivo_healpix_index(30, ra, dec)",
        "SELECT COUNT(*) FROM (SELECT id FROM things) AS q",
        "SELECT COUNT(*) FROM things, notes",
        "SELECT COUNT(*) FROM things JOIN notes ON id = star_id",
        "SELECT COUNT(*) FROM things TABLESAMPLE SYSTEM (10)",
        "SELECT COUNT(*) OVER () FROM things",
        "WITH w AS (SELECT id FROM things) SELECT COUNT(*) FROM w",
        "SELECT COUNT(*) FROM things UNION SELECT COUNT(*) FROM notes",
        "SELECT id FROM things",
    ],
)
def test_everything_else_is_no_tally(root, text):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    assert not isinstance(compile_query(text, catalog).lookup, Tally)


def test_what_is_no_table_of_a_release_is_counted_by_the_engine(ways):
    text = "SELECT COUNT(*) AS n FROM TAP_SCHEMA.tables"
    same(*(ask(ways[way], text)[0] for way in ("sql", "either")))


def test_a_name_in_group_by_is_a_column_where_the_table_has_one(root):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    cells = f"SELECT {CELL} AS {{}}, COUNT(*) AS n FROM things GROUP BY {{}}"
    assert isinstance(compile_query(cells.format("mine", "mine"), catalog).lookup, Tally)
    assert isinstance(compile_query(cells.format("tiny", "1"), catalog).lookup, Tally)
    with pytest.raises(BadQuery, match="GROUP BY"):
        compile_query(cells.format("tiny", "tiny"), catalog)
