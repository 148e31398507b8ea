"""Cones, identifiers and matches by SQL and by mapped columns: the same answers, and those of brute force."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import numpy as np
import pyarrow as pa
import pytest

from releases_made import STARS, make_release
from skygate import wire
from skygate.adql import compile_query
from skygate.domain.account import ANONYMOUS
from skygate.domain.catalog import Release
from skygate.domain.query import Outcome, Query
from skygate.domain.sky import Circle, Position
from skygate.engines.caches import Caches
from skygate.engines.duck import DuckEngine
from skygate.engines.mapped import MappedColumns
from skygate.errors import BadParameter, BadQuery, NotFound
from skygate.ports import Rows
from skygate.services.bounds import Bounds
from skygate.services.places import Places
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService
from skygate.sky.exact import separation_deg
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
WAYS = ("sql", "mapped", "native")
BOTH = WAYS[:2]


class NoEngine:
    """Proves that a question came to no plan."""

    dialect = "duckdb"

    def run(self, *_: object) -> None:
        raise AssertionError("the engine was asked")

    def close(self) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    release = make_release(made, rows=6_000)
    build(Caches(native=False), release, ["stars"])
    return made


def build(caches: Caches, release: Release, missing: list[str]) -> None:
    assert [t.name for t in caches.missing(release)] == missing
    for table in caches.missing(release):
        assert caches.build(release, table, lambda rows: None)
    assert caches.missing(release) == []


@pytest.fixture(scope="module")
def ways(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, QueriesService]]:
    beside = tmp_path_factory.mktemp("beside") / "root"
    shutil.copytree(root, beside)
    build(Caches(), FolderReleases(beside).load("mini"), ["stars", "notes"])
    engine, native = (DuckEngine(r / "releases", memory_bytes=256 << 20, threads=2) for r in (root, beside))

    def service(engine, accelerator, root=root):
        return QueriesService(
            ReleasesService(FolderReleases(root)),
            engine,
            Places(2, waiting=9, wait_s=9),
            bounds=BOUNDS,
            compiler=compile_query,
            accelerator=accelerator,
        )

    found = {
        "sql": service(engine, None),
        "mapped": service(NoEngine(), MappedColumns()),
        "native": service(native, None, beside),
    }
    until = time.monotonic() + 20
    while not native._databases._now.attached and time.monotonic() < until:
        ask(found["native"].run, Query("SELECT COUNT(*) FROM mini.stars"))
        time.sleep(0.05)
    assert native._databases._now.attached
    assert not engine._databases._now.attached
    yield found
    engine.close()
    native.close()


@pytest.fixture(scope="module")
def stars(root: Path) -> pa.Table:
    """Every row as it is on disk."""
    import pyarrow.parquet as pq

    (table,) = (t for t in FolderReleases(root).load("mini").tables if t.name == "stars")
    rows = pa.concat_tables([pq.read_table(part.path) for part in table.parts])
    return rows.select([c.name for c in STARS]).cast(wire.arrow_schema(STARS)).sort_by("id")


def whole(rows: Rows) -> pa.Table:
    schema = wire.arrow_schema(rows.columns)
    batches = list(rows)
    for batch in batches:
        assert batch.schema.equals(schema, check_metadata=True)
        assert batch.num_rows
        batch.validate(full=True)
    return pa.Table.from_batches(batches, schema)


def ask(verb, *args, **more) -> tuple[pa.Table, Outcome]:
    async def story():
        return await verb(ANONYMOUS, *args, **more)

    rows = anyio.run(story)
    found = whole(rows)
    assert rows.outcome is not None
    assert rows.outcome.rows == found.num_rows
    return found, rows.outcome


def same(one: pa.Table, other: pa.Table) -> None:
    """Equal, NaN being equal to itself."""
    assert one.schema.equals(other.schema, check_metadata=True)
    assert [repr(v) for v in one.to_pylist()] == [repr(v) for v in other.to_pylist()]


def regions(count: int) -> list[Circle]:
    """Discs everywhere: around rows, poles, RA 0, of no radius and of many degrees."""
    rng = np.random.default_rng(11)
    places = [(0.0, 90.0), (123.0, -90.0), (0.0, 0.0), (359.9999, 0.3), (-1e-20, 1.0), (210.8, 54.35)]
    places += [
        (float(a), float(d)) for a, d in zip(rng.uniform(0, 360, 40), rng.uniform(-90, 90, 40), strict=True)
    ]
    # where three base cells meet, and where a cap begins
    places += [(45.0 * k, float(np.degrees(np.arcsin(2 / 3))) * s) for k in range(8) for s in (1, -1)]
    radii = [0.0, 1e-9, 1 / 3600, 1 / 60, 0.1, 0.5, 1.0, 2.9, 3.1, 12.0, 29.0]
    return [
        Circle(
            Position(*places[i % len(places)]), radii[rng.integers(len(radii))] * float(rng.uniform(0.5, 1))
        )
        for i in range(count)
    ]


def within(stars: pa.Table, circle: Circle) -> list[int]:
    ra, dec = (stars[name].to_numpy() for name in ("ra", "dec"))
    apart = separation_deg(circle.center.ra_deg, circle.center.dec_deg, ra, dec)
    return stars["id"].to_numpy()[apart <= circle.radius_deg + 1e-12].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_cones_everywhere_are_those_of_brute_force(ways, stars, way):
    seen = 0
    for circle in regions(150):
        found, outcome = ask(ways[way].cone, "stars", circle, columns=["id"])
        assert sorted(found["id"].to_pylist()) == within(stars, circle), circle
        assert not outcome.overflow
        seen += found.num_rows
    assert seen > 5_000


@pytest.mark.parametrize("way", WAYS)
def test_every_type_null_and_nan_comes_through(ways, stars, way):
    circle = Circle(Position(0.0, 0.0), 4.0)
    found, _ = ask(ways[way].cone, "mini.stars", circle)
    wanted = set(within(stars, circle))
    assert len(wanted) > 500
    same(found.sort_by("id"), stars.filter(pa.array([i in wanted for i in stars["id"].to_pylist()])))


@pytest.mark.parametrize("way", WAYS)
def test_a_row_is_found_at_its_very_place(ways, stars, way):
    for i in range(0, 5_900, 97):
        place = Position(stars["ra"][i].as_py(), stars["dec"][i].as_py())
        found, _ = ask(ways[way].cone, "stars", Circle(place, 0.0), columns=["Class Name", "id"])
        assert found.column_names == ["Class Name", "id"]
        assert stars["id"][i].as_py() in found["id"].to_pylist()


def test_columns_come_in_the_order_that_was_asked_for(ways):
    names = [c.name for c in reversed(STARS)]
    spelled = ", ".join(f'"{name}"' for name in names)
    circle, where = Circle(Position(0, 90), 0.3), "1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 90, 0.3))"
    swapped = spelled.replace('"dec", "ra"', '"dec" AS "ra", "ra" AS "dec"')
    for items in (spelled, swapped):
        text = Query(f"SELECT {items} FROM stars WHERE {where}")
        one, other = (ask(ways[w].run, text)[0].sort_by("id") for w in BOTH)
        assert one.num_rows > 100
        same(one, other)
    one, other = (ask(ways[w].cone, "stars", circle, columns=names)[0].sort_by("id") for w in BOTH)
    assert one.column_names == names
    same(one, other)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("less", [0, 1, 700])
def test_one_more_existing_row_sets_overflow(ways, stars, way, less):
    circle = Circle(Position(0.0, 90.0), 1.0)
    there = len(within(stars, circle))
    _, outcome = ask(ways[way].cone, "stars", circle, maxrec=there - less)
    assert outcome == Outcome(there - less, overflow=less > 0)
    assert ask(ways[way].cone, "stars", circle, maxrec=there + 1)[1] == Outcome(there, overflow=False)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_columns_without_rows(ways, way):
    found, outcome = ask(ways[way].cone, "stars", Circle(Position(77.7, 12.3), 1e-7))
    assert outcome == Outcome(0, overflow=False)
    assert found.column_names == [c.name for c in STARS]


@pytest.mark.parametrize("way", WAYS)
def test_faults_are_the_same(ways, way):
    with pytest.raises(NotFound, match="mag_g"):
        ask(ways[way].cone, "stars", Circle(Position(0, 0), 1), columns=["mag_gg"])
    with pytest.raises(NotFound, match="no sky positions"):
        ask(ways[way].cone, "notes", Circle(Position(0, 0), 1))
    with pytest.raises(BadParameter):
        ask(ways[way].cone, "stars", Circle(Position(0, 0), 1), maxrec=-1)
    with pytest.raises(BadParameter, match="radius"):
        ask(ways[way].crossmatch, "stars", pa.table({"ra": [1.0], "dec": [1.0]}), 181.0)


# -- matches


def uploads(stars: pa.Table, count: int, seed: int) -> pa.Table:
    """Positions beside rows, beyond RA 0, at poles, far from everything, and some that are none."""
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, 5_990, count)
    ra = stars["ra"].to_numpy()[pick] + rng.normal(0, 2e-3, count)
    dec = np.clip(stars["dec"].to_numpy()[pick] + rng.normal(0, 2e-3, count), -90, 90)
    ra[: count // 4] -= 360.0 * (ra[: count // 4] > 200)
    ra[-count // 8 :] += 720.0
    ra[count // 2], dec[count // 3] = np.nan, 90.0
    return pa.table(
        {
            "mine": pa.array([f"m{i}" if i % 5 else None for i in range(count)]),
            "dec": dec,
            "RA": ra,
            "id": np.arange(count),
            "flags": pa.array(rng.normal(size=count).astype("f4")),
        }
    )


def pairs_by_force(stars: pa.Table, sent: pa.Table, radius: float) -> list[tuple[int, int]]:
    ra, dec, ids = (stars[name].to_numpy() for name in ("ra", "dec", "id"))
    found: list[tuple[int, int]] = []
    for row, (a, d) in enumerate(zip(sent["RA"].to_pylist(), sent["dec"].to_pylist(), strict=True)):
        if np.isfinite(a):
            near = np.flatnonzero(separation_deg(a, d, ra, dec) <= radius + 1e-12)
            found += [(row, int(ids[i])) for i in near]
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("radius", [0.0, 1 / 3600, 0.004, 0.3, 1.0])
def test_matches_are_those_of_brute_force(ways, stars, way, radius):
    sent = uploads(stars, 90, seed=int(radius * 1e4))
    found, outcome = ask(ways[way].crossmatch, "stars", sent, radius, columns=["id", "ra"])
    assert found.column_names == [
        "row",
        "mine",
        "dec",
        "ra_in",
        "id_in",
        "flags",
        "separation_deg",
        "id",
        "ra",
    ]
    pairs = list(zip(found["row"].to_pylist(), found["id"].to_pylist(), strict=True))
    assert sorted(pairs) == pairs_by_force(stars, sent, radius)
    assert not outcome.overflow
    rows, apart = found["row"].to_numpy(), found["separation_deg"].to_numpy()
    assert (np.lexsort((apart, rows)) == np.arange(rows.size)).all()
    # nearest: for each position the least separation
    best, _ = ask(ways[way].crossmatch, "stars", sent, radius, columns=["id"], nearest=True)
    assert best["row"].to_pylist() == sorted(set(rows.tolist()))
    least = {int(r): float(apart[rows == r].min()) for r in set(rows.tolist())}
    np.testing.assert_allclose(
        best["separation_deg"].to_numpy(), [least[r] for r in best["row"].to_pylist()], atol=1e-12
    )


@pytest.mark.parametrize("nearest", [False, True])
def test_matches_have_the_same_columns_and_values_both_ways(ways, stars, nearest):
    sent = uploads(stars, 200, seed=3)
    found = [ask(ways[w].crossmatch, "stars", sent, 0.01, nearest=nearest)[0] for w in BOTH]
    one, other = (t.sort_by([("row", "ascending"), ("id", "ascending")]) for t in found)
    np.testing.assert_allclose(
        one["separation_deg"].to_numpy(), other["separation_deg"].to_numpy(), atol=1e-12
    )
    place = one.column_names.index("separation_deg")
    assert one.schema.equals(other.schema, check_metadata=True)
    same(one.remove_column(place), other.remove_column(place))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nearest", [False, True])
def test_right_ascension_wraps(ways, stars, way, nearest):
    ra, dec = (stars[name].to_numpy()[:60] for name in ("ra", "dec"))
    home = pa.table({"ra": [*ra, 20.0, 350.0], "dec": [*dec, 10.0, -20.0]})
    turns = np.resize([360.0, -360.0, 7200.0], 60)
    turned = pa.table({"ra": [*(ra + turns), 380.0, -10.0], "dec": home["dec"]})
    one, other = (ask(ways[way].crossmatch, "stars", t, 1e-6, nearest=nearest)[0] for t in (home, turned))
    assert one.num_rows > 50
    assert one.select(["row", "id"]).equals(other.select(["row", "id"]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("ra", "dec", "told"),
    [
        (np.inf, 0.0, "ra of position 0 is inf, which is no angle"),
        (0.0, 90.1, "dec of position 0 is 90.1, beyond -90 to 90 degrees"),
    ],
)
def test_what_is_no_position_is_refused(ways, way, ra, dec, told):
    with pytest.raises(BadParameter, match=told):
        ask(ways[way].crossmatch, "stars", pa.table({"ra": [ra], "dec": [dec]}), 0.1)


@pytest.mark.parametrize("way", WAYS)
def test_matches_overflow_exactly(ways, stars, way):
    sent = uploads(stars, 100, seed=5)
    there = len(pairs_by_force(stars, sent, 0.5))
    for maxrec in (there - 1, there):
        found, outcome = ask(ways[way].crossmatch, "stars", sent, 0.5, maxrec=maxrec)
        assert outcome == Outcome(maxrec, overflow=maxrec < there)
        assert found["row"].to_pylist() == sorted(found["row"].to_pylist())
    empty = sent.slice(0, 0)
    assert ask(ways[way].crossmatch, "stars", empty, 0.5)[1] == Outcome(0, overflow=False)


@pytest.mark.parametrize("radius", [0.3, 1.0])
def test_a_few_wide_discs_are_covered_tightly(ways, stars, radius, monkeypatch):
    monkeypatch.setattr("skygate.engines.mapped.density_of", lambda mapped: 1e5)
    sent = uploads(stars, 12, seed=31)
    found, _ = ask(ways["mapped"].crossmatch, "stars", sent, radius, columns=["id"])
    pairs = list(zip(found["row"].to_pylist(), found["id"].to_pylist(), strict=True))
    assert sorted(pairs) == pairs_by_force(stars, sent, radius)
    assert found["row"].to_pylist() == sorted(found["row"].to_pylist())


def test_many_positions_come_in_pieces(ways, stars):
    sent = uploads(stars, 70_000, seed=8).select(["RA", "dec"])
    found = [ask(ways[w].crossmatch, "stars", sent, 0.001, columns=["id"], maxrec=200_000)[0] for w in BOTH]
    one, other = (t.sort_by([("row", "ascending"), ("id", "ascending")]) for t in found)
    assert one.num_rows > 20_000
    assert one["row"].equals(other["row"])
    assert one["id"].equals(other["id"])


# -- ADQL that comes to a lookup

SHAPES = (
    "1 = CONTAINS(POINT(ra, dec), CIRCLE({a}, {d}, {r}))",
    "(CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', {a}, {d}, {r})) = 1)",
    "CONTAINS(POINT(s.ra, s.dec), CIRCLE(POINT({a}, {d}), {r})) = 1",
    "0 <> CONTAINS(POINT(ra, dec), CIRCLE({a}, {d}, {r}))",
    "1 = CONTAINS(POINT({a}, {d}), CIRCLE(ra, dec, {r}))",
    "1 = CONTAINS(POINT({a}, {d}), CIRCLE(POINT(ra, dec), {r}))",
    "DISTANCE(POINT(ra, dec), POINT({a}, {d})) < {r}",
    "DISTANCE(POINT({a}, {d}), POINT(ra, dec)) <= {r}",
    "{r} > DISTANCE(ra, dec, {a}, {d})",
    "{r} >= DISTANCE({a}, {d}, s.ra, s.dec)",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_adql_of_the_shape_is_a_lookup_with_the_same_answer(ways, shape):
    rng = np.random.default_rng(5)
    for circle in regions(8):
        center, radius = circle.center, max(circle.radius_deg, 1e-3)
        where = shape.format(a=repr(center.ra_deg), d=repr(center.dec_deg), r=repr(radius))
        top = int(rng.integers(1, 2_000)) if rng.uniform() < 0.5 else None
        for items in ("*", 'id, id AS again, dec AS "De c", "Class Name"'):
            text = f"SELECT {items} FROM mini.stars AS s WHERE {where}"
            (one, _), (other, _) = (ask(ways[w].run, Query(text)) for w in BOTH)
            same(one.sort_by("id"), other.sort_by("id"))
            if top is not None:
                cut = Query(text.replace("SELECT", f"SELECT TOP {top}"), 1_000)
                (few, end), (peers, theirs) = (ask(ways[w].run, cut) for w in BOTH)
                assert end == theirs
                assert few.num_rows == peers.num_rows == min(top, 1_000, one.num_rows)
                assert set(few["id"].to_pylist()) <= set(one["id"].to_pylist())


@pytest.mark.parametrize("value", ["17", "-3", "6000", "6001", "+1", "9223372036854775807"])
def test_identifiers_are_lookups(ways, stars, value):
    for text in (
        f"SELECT * FROM stars WHERE id = {value}",
        f"SELECT name, id FROM stars s WHERE ({value}) = s.id",
    ):
        try:
            one, _ = ask(ways["sql"].run, Query(text))
        except BadQuery as fault:
            with pytest.raises(type(fault)):
                ask(ways["mapped"].run, Query(text))
            continue
        same(one, ask(ways["mapped"].run, Query(text))[0])


@pytest.mark.parametrize("count", [1, 3, 150, 900])
def test_lists_of_identifiers_are_lookups(ways, count):
    rng = np.random.default_rng(count)
    members = [*rng.integers(-50, 7_000, count).tolist(), 17, 17, 1 - 2**63, 2**63 - 1]
    for items in ("*", "name, id"):
        text = Query(f"SELECT {items} FROM stars WHERE id IN ({', '.join(map(str, members))})")
        one, other = (ask(ways[way].run, text)[0].sort_by("id") for way in BOTH)
        assert one.num_rows >= 1
        same(one, other)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM stars",
        "SELECT id FROM stars WHERE 0 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))",
        "SELECT id FROM stars WHERE 1 = INTERSECTS(POINT(ra, dec), CIRCLE(1, 2, 3))",
        "SELECT id FROM stars WHERE 1 = CONTAINS(POINT(dec, ra), CIRCLE(1, 2, 3))",
        "SELECT id FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), BOX(1, 2, n_obs, 3))",
        "SELECT id FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, mag_g))",
        "SELECT id FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3)) AND name > 'x'",
        "SELECT id FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3)) OR id = 3",
        "SELECT id + 1 FROM stars WHERE id = 3",
        "SELECT COUNT(*) FROM stars WHERE id = 3",
        "SELECT DISTINCT id FROM stars WHERE id = 3",
        "SELECT id FROM stars WHERE id = 3 ORDER BY ra",
        "SELECT id FROM stars WHERE id = 3 GROUP BY id",
        "SELECT id FROM stars WHERE id = 3 UNION SELECT id FROM stars WHERE id = 4",
        "SELECT id FROM (SELECT id FROM stars) AS q WHERE id = 3",
        "SELECT s.id FROM stars s JOIN notes n ON s.id = n.star_id WHERE s.id = 11",
        "SELECT s.id FROM stars s, notes n WHERE s.id = 11",
        "SELECT id FROM stars WHERE id = 3.0",
        "SELECT id FROM stars WHERE id = 1 + 2",
        "SELECT id FROM stars WHERE id <> 3",
        "SELECT id FROM stars WHERE NOT id = 3",
        "SELECT id FROM stars WHERE n_obs = 3",
        "SELECT id FROM stars WHERE id = n_obs",
        "SELECT id FROM stars WHERE DISTANCE(POINT(ra, dec), POINT(1, 2)) > 3",
        "SELECT id FROM stars WHERE NOT DISTANCE(POINT(ra, dec), POINT(1, 2)) > 3",
        "SELECT id FROM stars WHERE DISTANCE(POINT(ra, dec), POINT(1, 2)) < 0",
        "SELECT star_id FROM notes WHERE star_id = 11",
        "SELECT id FROM stars WHERE id = 3 OFFSET 1",
        "WITH w AS (SELECT id FROM stars) SELECT id FROM w WHERE id = 3",
    ],
)
def test_everything_else_is_none(root, text):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    assert compile_query(text, catalog).lookup is None


def test_a_lookup_is_logged_like_every_query(ways, caplog):
    caplog.set_level(logging.INFO, logger="skygate.query")
    ask(ways["mapped"].cone, "stars", Circle(Position(0, 0), 0.1), columns=["id"])
    ask(ways["mapped"].run, Query("SELECT id FROM stars WHERE id = 3"))
    kinds = [r.fields["kind"] for r in caplog.records if r.message == "query"]
    assert kinds == ["cone", "adql"]
    assert "CIRCLE" in caplog.records[0].fields["query"]
    assert caplog.records[1].fields["rows"] == 1
