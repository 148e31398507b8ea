"""The house put together over a small release: ADQL, cones, crossmatches, metadata, against brute force."""

import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases_made import make_release
from skygate import wire
from skygate.assembly import _pages, memory_of, open_house, places_of
from skygate.domain.account import ANONYMOUS
from skygate.domain.query import Query
from skygate.domain.sky import Circle, Position
from skygate.errors import BadQuery, EngineAway
from skygate.services.house import House
from skygate.settings import Queries, Server, Settings
from skygate.sky.exact import separation_deg

ROWS = 4_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    make_release(made, rows=ROWS)
    return made


@pytest.fixture(scope="module")
def house(root: Path) -> Iterator[House]:
    made = open_house(Settings(root=root))
    yield made
    made.close()


@pytest.fixture(scope="module")
def stars(root: Path, house: House) -> pa.Table:
    table = house.releases.table(ANONYMOUS, "mini.stars")
    files = [pq.ParquetFile(p.path).read(["id", "ra", "dec", "mag_g"]) for p in table.parts]
    return pa.concat_tables(files)


def whole(work: Callable[[], Coroutine[Any, Any, Any]]) -> pa.Table:
    rows = anyio.run(work)
    try:
        return pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))
    finally:
        rows.close()


def ask(house: House, text: str, maxrec: int | None = None) -> pa.Table:
    return whole(lambda: house.queries.run(ANONYMOUS, Query(text, maxrec)))


def test_adql_from_text_to_rows(house, stars):
    assert ask(house, "SELECT COUNT(*) AS n FROM mini.stars")["n"].to_pylist() == [ROWS]
    top = ask(house, "SELECT TOP 5 id, mag_g FROM mini.stars WHERE mag_g IS NOT NULL ORDER BY mag_g, id")
    known = zip(stars["mag_g"].to_pylist(), stars["id"].to_pylist(), strict=True)
    want = sorted((m, i) for m, i in known if m is not None)
    assert top["id"].to_pylist() == [i for _, i in want[:5]]
    joined = ask(house, "SELECT COUNT(*) AS n FROM mini.notes AS n JOIN mini.stars AS s ON s.id = n.star_id")
    assert joined["n"].to_pylist() == [ROWS // 10]


def test_every_column_of_every_type_comes_out(house):
    table = house.releases.table(ANONYMOUS, "mini.stars")
    got = ask(house, "SELECT * FROM mini.stars", 50)
    assert got.column_names == [c.name for c in table.columns]
    assert got.schema.equals(wire.arrow_schema(table.columns))
    assert ask(house, 'SELECT "Class Name" FROM mini.stars WHERE id = 1').num_rows == 1


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [
        (210.8, 54.35, 0.01),
        (0.0, 0.0, 1.5),
        (359.9, 1.0, 0.7),
        (12.0, 89.9, 0.5),
        (100.0, -90.0, 1.0),
        (180.0, 0.0, 180.0),
        (1.0, 2.0, 0.0),
    ],
)
def test_cones_equal_brute_force(house, stars, ra, dec, radius):
    circle = Circle(Position(ra, dec), radius)
    got = whole(lambda: house.queries.cone(ANONYMOUS, "mini.stars", circle, columns=["id"]))
    separation = separation_deg(stars["ra"].to_numpy(), stars["dec"].to_numpy(), ra, dec)
    want = stars["id"].to_numpy()[separation <= radius]
    assert sorted(got["id"].to_pylist()) == sorted(want.tolist())


def positions() -> pa.Table:
    rng = np.random.default_rng(5)
    ra = np.concatenate([210.8 + rng.normal(0, 0.01, 40), rng.normal(0, 0.3, 40) % 360, [10.0, 0.0]])
    dec = np.concatenate([54.35 + rng.normal(0, 0.01, 40), rng.normal(0, 3, 40), [89.9, -90.0]])
    return pa.table({"name": [f"p{i}" for i in range(len(ra))], "RA": ra, "Dec": dec, "mag_g": ra * 0})


def pairs(stars: pa.Table, radius: float) -> dict[tuple[int, int], float]:
    """Every pair (position, id) within the radius, with its separation."""
    sent, found = positions(), {}
    ids = stars["id"].to_numpy()
    for row, (ra, dec) in enumerate(zip(sent["RA"].to_pylist(), sent["Dec"].to_pylist(), strict=True)):
        separation = separation_deg(stars["ra"].to_numpy(), stars["dec"].to_numpy(), ra, dec)
        for i in np.flatnonzero(separation <= radius):
            found[row, int(ids[i])] = float(separation[i])
    return found


@pytest.mark.parametrize("radius", [0.002, 0.2])
def test_crossmatch_of_all_pairs_equals_brute_force(house, stars, radius):
    got = whole(lambda: house.queries.crossmatch(ANONYMOUS, "mini.stars", positions(), radius))
    want = pairs(stars, radius)
    assert got.column_names[:6] == ["row", "name_in", "ra_in", "dec_in", "mag_g_in", "separation_deg"]
    assert got.column_names[6:9] == ["id", "ra", "dec"]
    found = list(zip(got["row"].to_pylist(), got["id"].to_pylist(), strict=True))
    assert sorted(found) == sorted(want)
    assert np.allclose(got["separation_deg"].to_numpy(), [want[p] for p in found], atol=1e-9)
    assert got["row"].to_pylist() == sorted(got["row"].to_pylist())
    assert got["name_in"].to_pylist() == [f"p{i}" for i in got["row"].to_pylist()]


def test_crossmatch_of_the_nearest_equals_brute_force(house, stars):
    got = whole(
        lambda: house.queries.crossmatch(
            ANONYMOUS, "mini.stars", positions(), 0.2, nearest=True, columns=["id", "mag_g"]
        )
    )
    nearest: dict[int, tuple[float, int]] = {}
    for (row, star), separation in pairs(stars, 0.2).items():
        nearest[row] = min(nearest.get(row, (1e9, 0)), (separation, star))
    assert got["row"].to_pylist() == sorted(nearest)
    assert got["id"].to_pylist() == [nearest[r][1] for r in got["row"].to_pylist()]
    assert got.column_names == ["row", "name", "ra", "dec", "mag_g_in", "separation_deg", "id", "mag_g"]


def test_positions_without_a_value_match_nothing(house):
    sent = pa.table({"ra": [None, float("nan"), 210.8], "dec": [54.35, 54.35, 54.35]})
    got = whole(lambda: house.queries.crossmatch(ANONYMOUS, "mini.stars", sent, 0.05, columns=["id"]))
    assert set(got["row"].to_pylist()) == {2}
    none = pa.table({"ra": pa.array([], pa.float64()), "dec": pa.array([], pa.float64())})
    assert whole(lambda: house.queries.crossmatch(ANONYMOUS, "mini.stars", none, 0.05)).num_rows == 0


def test_a_sample_is_kept_until_the_release_changes(house):
    first = anyio.run(house.queries.sample, ANONYMOUS, "mini.stars", 4)
    assert first.num_rows == 4
    assert anyio.run(house.queries.sample, ANONYMOUS, "mini.stars", 4) is first


@pytest.mark.parametrize(
    "text",
    [
        "SELECT table_name FROM TAP_SCHEMA.tables ORDER BY table_name",
        "SELECT schema_name FROM tap_schema.schemas",
        'SELECT column_name, "size", arraysize FROM TAP_SCHEMA.columns WHERE principal = 1',
        "SELECT table_name, column_name FROM TAP_SCHEMA.tables JOIN TAP_SCHEMA.columns USING (table_name)",
        "SELECT * FROM TAP_SCHEMA.keys NATURAL JOIN TAP_SCHEMA.key_columns",
    ],
)
def test_tap_schema_is_queryable(house, text):
    assert ask(house, text).num_rows > 0


def test_check_counts_only_the_files_that_a_region_needs(house):
    small = anyio.run(
        house.queries.check,
        ANONYMOUS,
        Query("SELECT id FROM mini.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(210.8, 54.35, 0.001))"),
    )
    everything = anyio.run(house.queries.check, ANONYMOUS, Query("SELECT id FROM mini.stars"))
    assert 0 < small.files < everything.files
    assert small.rows < everything.rows == ROWS
    assert small.bytes < everything.bytes
    assert [t.full_name for t in small.tables] == ["mini.stars"]
    assert [c.name for c in small.columns] == ["id"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SELECT 1; SELECT 2",
        "WITH a AS (COPY (SELECT 42) TO '/tmp/x') SELECT 1",
        "SELECT * FROM nope",
        "PRAGMA version",
        "",
        "SELECT",
        "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
        "SELECT 1" + " + 1" * 10_000,
    ],
)
def test_what_is_no_adql_is_the_callers_fault(house, text):
    with pytest.raises(BadQuery):
        ask(house, text)


def test_bad_rows_give_null(house):
    assert ask(house, "SELECT LOG(-1.0 * id) AS x FROM mini.stars WHERE id = 1")["x"].to_pylist() == [None]
    assert ask(house, "SELECT CAST(name AS INTEGER) AS x FROM mini.stars WHERE id = 2")["x"].to_pylist() == [
        None
    ]


def test_settings_become_places_and_memory(root):
    settings = Settings(root=root, server=Server(workers=3), queries=Queries(running=7, memory_gib=1.5))
    assert places_of(settings) == 2
    assert memory_of(settings) == 3 << 29
    assert places_of(Settings(root=root, server=Server(workers=64))) == 1
    assert memory_of(Settings(root=root)) >= 256 << 20


def test_processes_over_one_root_share_the_kept_pages_and_strangers_do_not(root, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second, other = (_pages(p) for p in (root, root, tmp_path))
    assert first == second != other
    assert first is not None
    assert first.stat().st_mode & 0o777 == 0o700
    first.chmod(0o755)
    assert _pages(root) is None
    first.rmdir()
    first.symlink_to(tmp_path)
    assert _pages(root) is None


def test_a_house_over_nothing(tmp_path):
    house = open_house(Settings(root=tmp_path / "none"))
    try:
        with pytest.raises(EngineAway):
            ask(house, "SELECT COUNT(*) AS n FROM TAP_SCHEMA.tables")
        assert not (tmp_path / "none").exists()
        (tmp_path / "none").mkdir()
        assert ask(house, "SELECT COUNT(*) AS n FROM TAP_SCHEMA.tables")["n"].to_pylist() == [5]
    finally:
        house.close()
