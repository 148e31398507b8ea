"""Two tables met by position, by SQL and by mapped columns: the same pairs, and those of brute force."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.test_lookups import BOUNDS, NoEngine, ask, build, same
from releases_made import make_release
from skygate.adql import compile_query
from skygate.domain.account import ANONYMOUS
from skygate.domain.query import Joining, Limits, Outcome, Query
from skygate.engines.caches import Caches
from skygate.engines.duck import DuckEngine
from skygate.engines.mapped import MappedColumns
from skygate.errors import TooCostly
from skygate.services.bounds import Bounds
from skygate.services.places import Places
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService
from skygate.sky.exact import separation_deg
from skygate.stores.releases import FolderReleases

WAYS = ("sql", "mapped")
CLOSE = "near.stars n, mini.stars s WHERE DISTANCE(n.ra, n.dec, s.ra, s.dec)"
ROOMY = replace(BOUNDS, default_maxrec=3_000_000, hard_maxrec=3_000_000)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mini.stars` of 6,000 rows, and of 2,500 others a fifth of which are at the same places."""
    made = tmp_path_factory.mktemp("joined")
    build(Caches(native=False), make_release(made, rows=6_000), ["stars"])
    build(Caches(native=False), make_release(made, "near", rows=2_500, seed=8), ["stars"])
    return made


@pytest.fixture(scope="module")
def ways(root: Path) -> Iterator[dict[str, QueriesService]]:
    engine = DuckEngine(root / "releases", memory_bytes=256 << 20, threads=2)

    def service(engine, accelerator, bounds: Bounds = ROOMY) -> QueriesService:
        places = Places(2, waiting=9, wait_s=9)
        releases = ReleasesService(FolderReleases(root))
        return QueriesService(
            releases, engine, places, bounds=bounds, compiler=compile_query, accelerator=accelerator
        )

    yield {"sql": service(engine, None), "mapped": service(NoEngine(), MappedColumns(2))}
    engine.close()


@pytest.fixture(scope="module")
def placed(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Identifiers and positions of both tables' rows that have one."""
    found = {}
    for name in ("mini", "near"):
        (table,) = (t for t in FolderReleases(root).load(name).tables if t.name == "stars")
        rows = pa.concat_tables(
            [pq.read_table(part.path, columns=["id", "ra", "dec"]) for part in table.parts]
        )
        rows = rows.drop_null()
        found[name] = tuple(rows[c].to_numpy() for c in ("id", "ra", "dec"))
    return found


def by_force(placed, radius: float, one="near", other="mini") -> list[tuple[int, int]]:
    ids, ra, dec = placed[other]
    found: list[tuple[int, int]] = []
    for number, a, d in zip(*(values.tolist() for values in placed[one]), strict=True):
        near = ids[separation_deg(a, d, ra, dec) <= radius + 1e-12]
        found += [(number, other_id) for other_id in near.tolist()]
    return sorted(found)


def pairs_of(found: pa.Table) -> list[tuple[int, int]]:
    return sorted(zip(found["a"].to_pylist(), found["b"].to_pylist(), strict=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("radius", [0.0, 1 / 3600, 0.01, 0.2])
def test_pairs_are_those_of_brute_force(ways, placed, way, radius):
    text = (
        "SELECT n.id AS a, s.id AS b, DISTANCE(n.ra, n.dec, s.ra, s.dec) AS apart FROM near.stars AS n "
        f"JOIN mini.stars AS s ON 1 = CONTAINS(POINT(s.ra, s.dec), CIRCLE(n.ra, n.dec, {radius!r}))"
    )
    found, outcome = ask(ways[way].run, Query(text))
    assert not outcome.overflow
    assert pairs_of(found) == by_force(placed, radius)
    assert (found["apart"].to_numpy() <= radius + 1e-11).all()


def test_a_table_with_itself(ways, placed):
    text = (
        "SELECT a.id AS a, b.id AS b FROM mini.stars a, mini.stars b "
        "WHERE DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.001"
    )
    one, other = (ask(ways[way].run, Query(text))[0] for way in WAYS)
    assert 6_000 < one.num_rows < 100_000
    assert pairs_of(one) == pairs_of(other)


SHAPES = (
    "{from_} JOIN {to} ON 1 = CONTAINS(POINT(s.ra, s.dec), CIRCLE(n.ra, n.dec, {r}))",
    "{from_} INNER JOIN {to} ON CONTAINS(POINT('ICRS', n.ra, n.dec), CIRCLE(POINT(s.ra, s.dec), {r})) = 1",
    "{to}, {from_} WHERE NOT (0 = CONTAINS(POINT(s.ra, s.dec), CIRCLE(n.ra, n.dec, {r})))",
    "{to} JOIN {from_} ON DISTANCE(n.ra, n.dec, s.ra, s.dec) <= {r}",
    "{from_}, {to} WHERE {r} > DISTANCE(POINT(n.ra, n.dec), POINT(s.ra, s.dec))",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_spelling_has_the_same_answer_both_ways(ways, shape):
    source = shape.format(from_="near.stars AS n", to="mini.stars AS s", r="3.6/3600")
    for items in (
        's.*, n.id AS other, n."Class Name", n.flux AS fluxes',
        "DISTANCE(n.ra, n.dec, s.ra, s.dec) AS d, n.id AS other, s.id, "
        "DISTANCE(s.ra, s.dec, n.ra, n.dec) AS e",
    ):
        found = [ask(ways[w].run, Query(f"SELECT {items} FROM {source}"))[0] for w in WAYS]
        one, other = (t.sort_by([("id", "ascending"), ("other", "ascending")]) for t in found)
        assert one.num_rows > 1_000
        assert one.schema.equals(other.schema, check_metadata=True)
        for name in ("d", "e"):
            if name in one.column_names:
                np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), atol=1e-12)
                one, other = one.drop_columns([name]), other.drop_columns([name])
        same(one, other)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT n.id, s.id FROM near.stars n LEFT JOIN mini.stars s ON {d} < 0.01",
        "SELECT n.id, s.id FROM near.stars n JOIN mini.stars s ON {d} < 0.01 AND n.id < s.id",
        "SELECT n.id, s.id FROM near.stars n JOIN mini.stars s ON {d} > 0.01",
        "SELECT n.id, s.id FROM near.stars n JOIN mini.stars s ON DISTANCE(n.ra, n.dec, s.dec, s.ra) < 0.01",
        "SELECT n.id, s.id FROM near.stars n JOIN mini.stars s ON {d} < n.mag_g",
        "SELECT n.id, s.id + 1 FROM near.stars n JOIN mini.stars s ON {d} < 0.01",
        "SELECT DISTINCT n.id FROM near.stars n JOIN mini.stars s ON {d} < 0.01",
        "SELECT n.id FROM near.stars n JOIN mini.stars s ON {d} < 0.01 ORDER BY 1",
        "SELECT COUNT(*) FROM near.stars n JOIN mini.stars s ON {d} < 0.01",
        "SELECT n.id FROM near.stars n JOIN mini.stars s ON 1 = INTERSECTS(CIRCLE(n.ra, n.dec, 0.01), "
        "CIRCLE(s.ra, s.dec, 0.01))",
        "SELECT n.id FROM near.stars n JOIN mini.stars s USING (id)",
    ],
)
def test_other_joins_are_plans(root, text):
    catalog = ReleasesService(FolderReleases(root)).catalog(ANONYMOUS)
    said = text.format(d="DISTANCE(n.ra, n.dec, s.ra, s.dec)")
    assert compile_query(said, catalog).lookup is None


def test_top_and_maxrec_end_the_answer(ways):
    text = f"SELECT {{}} n.id AS a, s.id AS b FROM {CLOSE} < 0.005"
    every, _ = ask(ways["sql"].run, Query(text.format("")))
    there = set(pairs_of(every))
    assert len(there) > 5_000
    for top, maxrec, rows, overflow in (
        ("TOP 100", 1_000, 100, False),
        ("TOP 1000", 100, 100, True),
        ("", 100, 100, True),
        ("", len(there), len(there), False),
        ("", len(there) - 1, len(there) - 1, True),
    ):
        found, outcome = ask(ways["mapped"].run, Query(text.format(top), maxrec))
        assert outcome == Outcome(rows, overflow)
        assert len(set(pairs_of(found))) == rows
        assert set(pairs_of(found)) <= there


def test_pieces_and_blocks_change_nothing(ways, monkeypatch):
    text = f"SELECT n.id AS a, s.id AS b FROM {CLOSE} < 0.02"
    whole, _ = ask(ways["mapped"].run, Query(text))
    monkeypatch.setattr("skygate.engines.mapped_joins.BLOCK_ROWS", 37)
    monkeypatch.setattr("skygate.engines.mapped_runs._BLOCK_PAIRS", 50)
    pieces, _ = ask(ways["mapped"].run, Query(text))
    assert pieces.num_rows == whole.num_rows > 1_000
    assert pairs_of(pieces) == pairs_of(whole)


def test_a_late_answer_ends_and_frees_its_threads(root):
    store = FolderReleases(root)
    (mini, near) = (store.load(name) for name in ("mini", "near"))
    catalog = ReleasesService(store).catalog(ANONYMOUS)
    plan = compile_query(
        f"SELECT n.id, s.id FROM {CLOSE} < 1",
        catalog,
    )
    lookup = plan.lookup
    assert isinstance(lookup, Joining)
    found = MappedColumns(2).join((near, lookup.one), (mini, lookup.other), lookup.wanted)
    assert found is not None
    run = found.run(lookup.columns, plan.columns, Limits(10, 1e-9, 1 << 20))
    with pytest.raises(TooCostly):
        list(run)
    del run
    assert not [t for t in threading.enumerate() if t.name.startswith("skygate-join")]


def test_a_table_without_mapped_columns_goes_to_the_engine(tmp_path):
    build(Caches(native=False), make_release(tmp_path, rows=500), ["stars"])
    make_release(tmp_path, "near", rows=300, seed=8)
    engine = DuckEngine(tmp_path / "releases", memory_bytes=256 << 20, threads=2)
    service = QueriesService(
        ReleasesService(FolderReleases(tmp_path)),
        engine,
        Places(2, waiting=9, wait_s=9),
        bounds=BOUNDS,
        compiler=compile_query,
        accelerator=MappedColumns(2),
    )
    text = f"SELECT n.id AS a, s.id AS b FROM {CLOSE} < 0.1"
    try:
        found, _ = ask(service.run, Query(text))
        assert found.num_rows > 100
    finally:
        engine.close()
