"""Regions with conditions by SQL and by mapped columns: the same rows, whatever is null, NaN or infinite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import numpy as np
import pyarrow as pa
import pytest

from releases_made import make_release
from skygate import wire
from skygate.adql import compile_query, understand
from skygate.domain.account import ANONYMOUS
from skygate.domain.query import Query
from skygate.domain.sky import Circle, Position
from skygate.engines.caches import Caches
from skygate.engines.duck import DuckEngine
from skygate.engines.mapped import MappedColumns
from skygate.services.places import Places
from skygate.services.queries import Bounds, QueriesService
from skygate.services.releases import ReleasesService
from skygate.sky.exact import contains
from skygate.stores.releases import FolderReleases

BOUNDS = Bounds(
    seconds=60,
    default_maxrec=100_000,
    hard_maxrec=200_000,
    memory_bytes=256 << 20,
    spool_memory_bytes=32 << 20,
    spool_disk_bytes=1 << 30,
    room_memory_bytes=64 << 20,
    room_disk_bytes=1 << 30,
    max_query_bytes=10_000,
    max_positions=100_000,
)
RELEASES = ("mini", "measured")
REGIONS = (
    "CIRCLE(0, 90, 0.7)",
    "CIRCLE(0, 0, 5)",
    "POLYGON(0, 89.5, 90, 89.4, 180, 89.6, 270, 89.3)",
    "POLYGON(0, -89.5, 120, -89.4, 240, -89.6)",
    "POLYGON(359.5, -2, 0.6, -1.9, 0.5, 2.5, 359.4, 2.2)",
    "POLYGON(359.4, 2.2, 0.5, 2.5, 0.6, -1.9, 359.5, -2)",
    "POLYGON(358, -4, 2, -4, 0, 0, 2, 4, 358, 4)",
    "POLYGON(POINT(210.79, 54.34), POINT(210.81, 54.34), POINT(210.81, 54.36))",
    "POLYGON(0, -4, 0.01, -4, 0.01, 4, 0, 4)",
    "BOX(0, 0, 0.5, 3)",
    "POLYGON(340, -15, 20, -15, 20, 15, 340, 15)",
)


def odd(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Magnitudes without NaN, some of them infinite; identifiers that no DOUBLE holds."""
    names = batch.schema.names
    rng = np.random.default_rng(3)
    green = rng.uniform(10, 24, batch.num_rows).astype("f4")
    green[::50], green[1::50], green[2::50] = np.inf, -np.inf, 3.44
    red = rng.uniform(10, 24, batch.num_rows)
    red[::70], red[1::50], red[3::50] = np.inf, -np.inf, 1e300
    made = {
        "mag_g": pa.array(green, mask=rng.uniform(size=batch.num_rows) < 0.1),
        "mag_r": pa.array(red, mask=rng.uniform(size=batch.num_rows) < 0.1),
        "id": pa.array(np.arange(batch.num_rows) + 2**53),
    }
    columns = [made.get(name, batch.column(name)) for name in names]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    for name, change in (("mini", None), ("measured", odd)):
        release = make_release(made, name, rows=6_000, change=change, measured=change is not None)
        for table in Caches(native=False).missing(release):
            assert Caches(native=False).build(release, table, lambda rows: None)
    return made


class NoEngine:
    """Proves that a question came to no plan."""

    dialect = "duckdb"

    def run(self, *_: object) -> None:
        raise AssertionError("the engine was asked")

    def close(self) -> None:
        """Nothing."""


Ask = Callable[[str], pa.Table]


@pytest.fixture(scope="module")
def ways(root: Path) -> Iterator[tuple[Ask, Ask]]:
    """Ask by SQL, and by mapped columns alone."""
    engine = DuckEngine(root / "releases", memory_bytes=256 << 20, threads=2)

    def service(engine, compiler, accelerator) -> Ask:
        queries = QueriesService(
            ReleasesService(FolderReleases(root)),
            engine,
            Places(2, waiting=9, wait_s=9),
            bounds=BOUNDS,
            compiler=compiler,
            accelerator=accelerator,
        )

        def ask(text: str) -> pa.Table:
            async def story():
                return await queries.run(ANONYMOUS, Query(text))

            rows = anyio.run(story)
            found = pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))
            assert rows.outcome is not None
            assert not rows.outcome.overflow
            return found.sort_by("id")

        return ask

    yield service(engine, compile_query, None), service(NoEngine(), understand, MappedColumns())
    engine.close()


def value(rng, measured: bool) -> tuple[str, str]:
    """A value and the kind of its numbers."""
    plain = {"mag_g": "real", "mag_r": "double", "flags": "whole", "n_obs": "whole", "quality": "whole"}
    plain |= {"id": "whole", "ra": "double", "dec": "double"}
    if not measured or rng.uniform() < 0.5:
        name = str(rng.choice(list(plain)))
        return name, plain[name]
    one, other = rng.choice(["mag_g", "mag_r", "dec", "2", "0.5", "-1.5e0", "1e300", "3e38"], 2)
    made = str(
        rng.choice(
            [
                f"mag_g {rng.choice(['+', '-', '*'])} {one}",
                f"({one} - mag_r) * {other}",
                f"mag_g - (mag_g + {one})",
                "-mag_g",
                f"-(mag_r * {one})",
                "mag_g * mag_g - mag_g",
                "flags * 0.5",
                "mag_g - mag_g",
            ]
        )
    )
    return made, "double"


def number(rng, kind: str) -> str:
    if kind == "whole" and rng.uniform() < 0.8:
        return str(rng.choice([0, 3, -4, 7, 500, 40_000, 2**53 + 3_000, -(2**40), 9]))
    return str(
        rng.choice(["15", "3.44", "17.25", "-2", "0.1", "1e300", "1e-300", "0", "3.3999999", "1e39", "-1e40"])
    )


def condition(rng, measured: bool, depth: int = 0) -> str:
    if depth < 3 and rng.uniform() < 0.4:
        one, other = (condition(rng, measured, depth + 1) for _ in range(2))
        return f"({one} {rng.choice(['AND', 'OR'])} {other})"
    if depth < 3 and rng.uniform() < 0.15:
        return f"NOT ({condition(rng, measured, depth + 1)})"
    one, kind = value(rng, measured)
    sign, no = rng.choice(["=", "<>", "<", "<=", ">", ">="]), rng.choice(["", "NOT "])
    shape = rng.integers(8)
    if shape == 0:
        return f"{one} {no}BETWEEN {number(rng, kind)} AND {number(rng, kind)}"
    if shape == 1:
        members = ", ".join(number(rng, kind) for _ in range(rng.integers(1, 6)))
        return f"{one} {no}IN ({members})"
    if shape == 2:
        return f"{rng.choice(['mag_g', 'mag_r', 'name', 'flags', 'seen'])} IS {no}NULL"
    if shape == 3 and measured:
        other, _ = value(rng, measured)
        return f"{one} {sign} {other}"
    pair = (one, number(rng, kind))
    return " ".join((pair[0], sign, pair[1]) if shape % 2 else (pair[1], sign, pair[0]))


@pytest.mark.parametrize("region", REGIONS)
def test_regions_are_lookups_with_the_rows_of_sql(ways, root, region):
    sql, mapped = ways
    text = f"SELECT * FROM mini.stars WHERE 1 = CONTAINS(POINT(ra, dec), {region})"
    one, other = sql(text), mapped(text)
    assert one.num_rows > 3
    assert [repr(v) for v in one.to_pylist()] == [repr(v) for v in other.to_pylist()]
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    wanted = understand(text, catalog).lookup.wanted
    shape = getattr(wanted, "polygon", None) or wanted.circle
    every = sql("SELECT id, ra, dec FROM mini.stars")
    held = contains(shape, every["ra"].to_numpy(), every["dec"].to_numpy())
    assert one["id"].to_pylist() == every["id"].to_numpy()[held].tolist()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("seed", range(8))
def test_conditions_mean_what_they_mean_in_sql(ways, root, release, seed):
    sql, mapped = ways
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    rng = np.random.default_rng(seed)
    asked = some = 0
    until = time.monotonic() + 60
    while asked < 15 and time.monotonic() < until:
        where = condition(rng, release == "measured")
        if rng.uniform() < 0.3:
            where += f" AND {condition(rng, release == 'measured')}"
        region = f"1 = CONTAINS(POINT(ra, dec), {rng.choice(REGIONS)})"
        text = f"SELECT id, mag_g, mag_r FROM {release}.stars WHERE {region} AND {where}"
        if understand(text, catalog).lookup is None:
            continue
        asked += 1
        one, other = sql(text), mapped(text)
        assert [repr(v) for v in one.to_pylist()] == [repr(v) for v in other.to_pylist()], text
        some += one.num_rows > 0
    assert asked == 15
    assert some > 3


@pytest.mark.parametrize(
    ("where", "held"),
    [
        ("mag_g = 3.44", lambda g, r: g == np.float32(3.44)),
        ("mag_g IN (3.44, 11)", lambda g, r: g == np.float32(3.44)),
        ("mag_g - mag_g = 0", lambda g, r: np.isfinite(g)),
        ("mag_g > 24", lambda g, r: g == np.inf),
        ("mag_r > 1e300", lambda g, r: r == np.inf),
        ("mag_r * 1e10 > 0", lambda g, r: np.isfinite(r) & (r < 1e300)),
        ("NOT mag_g IS NULL AND mag_r IS NULL", lambda g, r: ~np.isnan(g) & np.isnan(r)),
        ("NOT (mag_g < 15 OR mag_r < 15)", lambda g, r: (g >= 15) & (r >= 15)),
    ],
)
def test_some_conditions_by_hand(ways, where, held):
    sql, mapped = ways
    every = sql("SELECT id, ra, dec, mag_g, mag_r FROM measured.stars WHERE ra IS NOT NULL")
    green, red = (every[name].to_numpy() for name in ("mag_g", "mag_r"))
    inside = contains(Circle(Position(0, 0), 20), every["ra"].to_numpy(), every["dec"].to_numpy())
    with np.errstate(over="ignore"):
        wanted = every["id"].to_numpy()[inside & held(green, red)].tolist()
    text = f"SELECT id FROM measured.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 0, 20)) AND {where}"
    assert len(wanted) > 5
    assert sql(text)["id"].to_pylist() == mapped(text)["id"].to_pylist() == wanted


def test_identifiers_with_conditions_are_lookups(ways):
    sql, mapped = ways
    for where in (
        "id = 17 AND n_obs > 1",
        "id IN (3, 5, 7, 9) AND quality > 4",
        "flags > 3 AND id IN (3, 5)",
    ):
        text = f"SELECT id, quality FROM mini.stars WHERE {where}"
        assert sql(text).equals(mapped(text))


def test_top_and_maxrec_count_rows_of_which_the_condition_is_true(ways):
    sql, mapped = ways
    where = "1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 0, 20)) AND mag_g < 15"
    all_of_them = set(sql(f"SELECT id FROM measured.stars WHERE {where}")["id"].to_pylist())
    few = mapped(f"SELECT TOP 7 id FROM measured.stars WHERE {where}")["id"].to_pylist()
    assert len(few) == 7 < len(all_of_them)
    assert set(few) <= all_of_them


@pytest.mark.parametrize(
    "where",
    [
        "mini.stars.mag_g > 3",  # no statistics: NaN could be there
        "mag_g > flags",
        "id BETWEEN 3 AND 4.5",
        "id IN (3, 4.5)",
        "mag_g / 2 > 3",
        "-mag_g < 3",
        "flags + 1 > 3",
        "ABS(mag_g) > 3",
        "name = 'x'",
        "name LIKE 'x%'",
        "flux IS NULL",
        "mag_g > 3 OR 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))",
        "1 = 1",
        "mag_g > NULL",
        "mag_g IN (" + ", ".join(map(str, range(21))) + ")",
        " AND ".join(f"mag_g <> {i}" for i in range(51)),
        "variable",
    ],
)
def test_what_sql_must_ask_is_none(root, where):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    table = "mini" if "mini" in where else "measured"
    text = f"SELECT id FROM {table}.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3)) AND {where}"
    assert understand(text, catalog).lookup is None


def test_what_is_understood_as_a_lookup_has_a_plan_too(root):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    text = "SELECT id FROM measured.stars WHERE 1 = CONTAINS(POINT(ra, dec), BOX(1, 2, 3, 3)) AND mag_g > 3"
    meant = understand(text, catalog)
    plan = meant.plan()
    assert plan is compile_query(text, catalog)
    assert (plan.columns, plan.lookup, plan.tables) == (meant.columns, meant.lookup, meant.tables)
    assert understand(text, catalog) is plan
