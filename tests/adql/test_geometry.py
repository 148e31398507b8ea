# ruff: noqa: E402, E501
"""Geometry in queries, run by DuckDB and equal to brute force over every row or pair."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "sky")]

from brute import angle, random_circle, random_polygon, unit
from geometry_world import Engine, arrow, catalogue, columns, few_positions, positions
from tests.adql import in_duckdb

from skygate.adql import compile_query
from skygate.domain.catalog import Catalog, Stats
from skygate.domain.sky import Circle, Polygon, Position
from skygate.errors import BadQuery
from skygate.sky import exact, ranges
from skygate.sky.cells import cell_of
from skygate.sky.outline import box_polygon

RA, DEC = positions(20_000, 1)
FEW_RA, FEW_DEC = few_positions(RA, DEC)
BAD = [(None, 5.0), (5.0, None), (float("nan"), 5.0), (5.0, float("nan")), (float("inf"), 5.0), (5.0, 91.0)]
N, M = len(RA), len(FEW_RA)
APART = angle(unit(RA, DEC)[None], unit(FEW_RA, FEW_DEC)[:, None])
RADIUS = np.where(np.arange(M) % 7 == 0, 0.0, 10.0 ** -(np.arange(M) % 5))
"""Of the few, in degrees: the column `r`."""


@pytest.fixture(scope="module")
def engine():
    tables = {"big": arrow(RA, DEC), "few": arrow(FEW_RA, FEW_DEC, BAD), "loose": arrow(FEW_RA, FEW_DEC, BAD)}
    return Engine(catalogue(), tables)


def spelled(region):
    if isinstance(region, Circle):
        return f"CIRCLE({region.center.ra_deg!r}, {region.center.dec_deg!r}, {region.radius_deg!r})"
    return "POLYGON(" + ", ".join(f"{c.ra_deg!r}, {c.dec_deg!r}" for c in region.corners) + ")"


def pairs_within(limit, *, strict):
    few, big = np.nonzero(limit > APART if strict else limit >= APART)
    return sorted(zip(big.tolist(), few.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_random_regions(engine, seed):
    rng = np.random.default_rng(seed)
    for _ in range(12):
        region = random_circle(rng) if rng.random() < 0.5 else random_polygon(rng)
        truth = np.flatnonzero(exact.contains(region, RA, DEC)).tolist()
        text = f"SELECT id FROM big WHERE 1 = CONTAINS(POINT(ra, dec), {spelled(region)})"
        assert engine.ids(text) == truth
        cells = engine.plan(text).sources[0].cells
        assert cells is not None
        assert ranges.holds(ranges.of_pairs(cells), cell_of(RA[truth], DEC[truth])).all()


def test_all_spellings_of_a_cone_agree(engine):
    truth = np.flatnonzero(exact.contains(Circle(Position(0.1, 0.2), 1.5), RA, DEC)).tolist()
    assert len(truth) > 50
    for condition in (
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(0.1, 0.2, 1.5))",
        "CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 0.1, 0.2, 1.5)) = 1",
        "CONTAINS(POINT(ra, dec), CIRCLE(POINT(0.1, 0.2), 3./2)) <> 0",
        "NOT (0 = CONTAINS(POINT(ra, dec), CIRCLE(360.1, 0.2, 1.5)))",
        "DISTANCE(POINT(ra, dec), POINT(0.1, 0.2)) <= 1.5",
        "DISTANCE(0.1, 0.2, ra, dec) <= 1.5",
        "1.5 >= DISTANCE(ra, dec, 0.1, 0.2)",
        "NOT DISTANCE(ra, dec, 0.1, 0.2) > 1.5",
        "1 = INTERSECTS(CIRCLE(0.1, 0.2, 1.5), POINT(ra, dec))",
        "1 = INTERSECTS(CIRCLE(0.1, 0.2, 1.0), CIRCLE(ra, dec, 0.5))",
        "1 = CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 0.1 0.2 1.5'))",
        "1 = CONTAINS(spot, CIRCLE(0.1, 0.2, 1.5))",
        "1 = CONTAINS(CIRCLE(0.1, 0.2, 0), CIRCLE(ra, dec, 1.5))",
        "DISTANCE(spot, POINT(0.1, 0.2)) < 1.5",
    ):
        assert engine.ids(f"SELECT id FROM big WHERE {condition}") == truth, condition


def test_cells_only_where_they_hold(engine):
    cone = "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))"
    for condition, limited in (
        (cone, True),
        (f"id > 5 AND ({cone} AND id < 9)", True),
        (f"{cone} OR 1 = CONTAINS(POINT(ra, dec), CIRCLE(50, 20, 1))", True),
        (f"{cone} OR id = 5", False),
        (f"NOT ({cone})", False),
        ("0 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))", False),
        ("DISTANCE(ra, dec, 1, 1) > 5", False),
        ("ra BETWEEN 10 AND 11 AND dec BETWEEN 5 AND 6", True),
        ("ra >= 10 AND 11 > ra AND dec < 6 AND 5 <= dec", True),
        ("dec > 85", True),
        ("ra > 11 AND ra < 10", True),
        ("ra BETWEEN 10 AND 11 OR dec > 80", True),
        ("1 = CONTAINS(POINT(dec, ra), CIRCLE(10, 20, 1))", False),
        ("1 = CONTAINS(POINT(ra + 1, dec), CIRCLE(10, 20, 1))", False),
    ):
        cells = engine.plan(f"SELECT id FROM big WHERE {condition}").sources[0].cells
        assert (cells is not None) == limited, condition
        shown = engine.sql(f"SELECT id FROM big WHERE {condition}")
        assert ("_healpix_29" in shown or "FALSE" in shown) == limited, condition
        assert (cells == ()) == (condition == "ra > 11 AND ra < 10")


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (
            "ra BETWEEN 10 AND 100 AND dec BETWEEN 5 AND 60",
            (RA >= 10) & (RA <= 100) & (DEC >= 5) & (DEC <= 60),
        ),
        ("ra < 2 AND dec > -1 AND dec < 1", (RA < 2) & (DEC > -1) & (DEC < 1)),
        ("ra > 359 AND ABS(dec) < 1", (RA > 359) & (np.abs(DEC) < 1)),
        ("dec > 89", DEC > 89),
        ("dec <= -89.99", DEC <= -89.99),
        ("ra BETWEEN -10 AND 10", (RA >= -10) & (RA <= 10)),
        ("dec BETWEEN -100 AND 200 AND ra > 350", RA > 350),
        ("ra > 20 AND ra < 10", RA > 1000),
        ("dec = 91", DEC > 100),
    ],
)
def test_ranges_of_coordinates(engine, condition, truth):
    assert engine.ids(f"SELECT id FROM big WHERE {condition}") == np.flatnonzero(truth).tolist()


def test_rows_without_a_position(engine):
    everywhere = "CONTAINS(POINT(ra, dec), CIRCLE(0, 0, 180))"
    assert engine.ids(f"SELECT id FROM few WHERE {everywhere} = 1") == list(range(M))
    assert engine.ids(f"SELECT id FROM few WHERE {everywhere} = 0") == []
    assert engine.ids(f"SELECT id FROM few WHERE {everywhere} IS NULL") == list(range(M, M + len(BAD)))
    assert engine.ids("SELECT id FROM few WHERE POINT(ra, dec) IS NULL") == list(range(M, M + len(BAD)))
    assert engine.ids("SELECT id FROM few WHERE DISTANCE(ra, dec, 0, 0) IS NULL") == list(
        range(M, M + len(BAD))
    )
    assert engine.ids("SELECT id FROM few WHERE dec = 5") == [M, M + 2, M + 4]
    assert engine.ids("SELECT id FROM few WHERE dec > 90.5 AND dec < 92 AND ra < 6 AND ra > 4") == [M + 5]
    assert (
        engine.rows("SELECT CONTAINS(spot, shape), AREA(disc) FROM few WHERE id >= 500") == [(None, None)] * 6
    )


JOINS = (
    "SELECT b.id, f.id FROM big AS b JOIN few AS f ON 1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(f.ra, f.dec, 0.002))",
    "SELECT b.id, f.id FROM few AS f, big AS b WHERE DISTANCE(b.ra, b.dec, f.ra, f.dec) <= 0.002",
    "SELECT b.id, f.id FROM big AS b CROSS JOIN loose AS f WHERE 0.002 >= DISTANCE(POINT(b.ra, b.dec), POINT(f.ra, f.dec))",
    "SELECT b.id, f.id FROM loose AS f JOIN big AS b ON INTERSECTS(CIRCLE(b.ra, b.dec, 0.001), CIRCLE(f.ra, f.dec, 0.001)) = 1",
    "SELECT b.id, f.n FROM big AS b JOIN (SELECT id AS n, ra AS x, dec AS y FROM few WHERE dec < 90) AS f ON DISTANCE(b.ra, b.dec, f.x, f.y) <= 0.002",
    "WITH f AS (SELECT id AS n, ra, dec FROM loose) SELECT b.id, f.n FROM f JOIN big AS b ON DISTANCE(b.ra, b.dec, f.ra, f.dec) <= 0.002",
    "SELECT b.id, f.id FROM big AS b JOIN few AS f ON DISTANCE(b.spot, f.spot) <= 0.002",
    "SELECT b.id, f.id FROM big AS b JOIN few AS f ON f.id >= 0 AND 1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(f.ra, f.dec, f.r * 0 + 0.002))",
)


@pytest.mark.parametrize("query", JOINS)
def test_joins_by_distance(engine, query):
    assert sorted(engine.rows(query)) == pairs_within(0.002, strict=False)
    plan = engine.explained(query)
    assert "HASH JOIN" in plan or "HASH_JOIN" in plan
    for slow in ("CROSS", "NESTED", "BLOCKWISE", "PIECEWISE", "IE_JOIN", "IE JOIN"):
        assert slow not in plan.replace("CROSS_PRODUCT", "CROSS"), slow


def test_joins_with_a_radius_of_each_row(engine):
    few, big = np.nonzero(RADIUS[:, None] >= APART)
    truth = sorted(zip(big.tolist(), few.tolist(), strict=True))
    assert len(truth) > 300
    for circle in ("CIRCLE(f.ra, f.dec, f.r)", "f.disc"):
        query = f"SELECT b.id, f.id FROM big AS b JOIN few AS f ON 1 = CONTAINS(POINT(b.ra, b.dec), {circle})"
        assert sorted(engine.rows(query)) == truth
    query = "SELECT b.id, f.id FROM big AS b, few AS f WHERE DISTANCE(b.ra, b.dec, f.ra, f.dec) <= f.r"
    assert sorted(engine.rows(query)) == truth


def test_outer_joins(engine):
    near = "DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.002"
    matched = pairs_within(0.002, strict=True)
    lonely = sorted(set(range(M + len(BAD))) - {f for _, f in matched})
    assert lonely
    truth = sorted([*matched, *((-1, f) for f in lonely)])
    for joined in (
        f"few AS f LEFT JOIN big AS b ON {near}",
        f"big AS b RIGHT OUTER JOIN few AS f ON {near}",
        f"(few AS f LEFT JOIN big AS b ON {near})",
        f"few AS f LEFT JOIN big AS b ON {near} LEFT JOIN loose AS l ON l.id = f.id",
    ):
        rows = engine.rows(f"SELECT b.id, f.id FROM {joined}")
        assert sorted((-1 if b is None else b, f) for b, f in rows) == truth, joined
    with_more = engine.rows(
        f"SELECT b.id, f.id FROM few AS f LEFT JOIN big AS b ON {near} AND b.id < 9000 WHERE f.id < 50"
    )
    expected = [p for p in matched if p[0] < 9000 and p[1] < 50]
    expected += [(-1, f) for f in range(50) if f not in {f for _, f in expected}]
    assert sorted((-1 if b is None else b, f) for b, f in with_more) == sorted(expected)
    full = engine.rows(
        f"SELECT b.id, f.id FROM few AS f FULL JOIN (SELECT * FROM big WHERE id < 300) AS b ON {near}"
    )
    assert sorted((b, f) for b, f in full if b is not None and f is not None) == [
        p for p in matched if p[0] < 300
    ]
    assert {b for b, _ in full if b is not None} == set(range(300))
    assert {f for _, f in full if f is not None} == set(range(M + len(BAD)))


@pytest.mark.parametrize(
    "joined", ["few AS f FULL OUTER JOIN big AS b", "big AS b FULL JOIN few AS f", 'big "b" FULL JOIN few f']
)
@pytest.mark.parametrize(
    "near", ["DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.002", "1 = CONTAINS(POINT(b.ra, b.dec), f.disc)"]
)
def test_full_joins_go_through_cells(engine, joined, near):
    if "disc" in near:
        few, big = np.nonzero(RADIUS[:, None] >= APART)
        matched = list(zip(big.tolist(), few.tolist(), strict=True))
    else:
        matched = pairs_within(0.002, strict=True)
    alone_few = set(range(M + len(BAD))) - {f for _, f in matched}
    alone_big = set(engine.ids("SELECT id FROM big")) - {b for b, _ in matched}
    truth = sorted([*matched, *((-1, f) for f in alone_few), *((b, -1) for b in alone_big)])
    query = f"SELECT b.id, f.id, COALESCE(b.dec, f.dec) AS d FROM {joined} ON {near} AND f.id >= 0"
    rows = sorted((-1 if b is None else b, -1 if f is None else f) for b, f, _ in engine.rows(query))
    assert rows == truth
    plan = engine.explained(query)
    for slow in ("CROSS_PRODUCT", "NESTED_LOOP", "BLOCKWISE", "PIECEWISE"):
        assert slow not in plan, slow
    counted = f"SELECT COUNT(*) AS n, COUNT(b.id), COUNT(f.id) FROM {joined} ON {near} WHERE b.id IS NULL OR f.id > 7"
    assert engine.rows(counted) == [
        (
            sum(b == -1 or f > 7 for b, f in truth),
            sum(b != -1 and f > 7 for b, f in truth),
            sum(f != -1 and (b == -1 or f > 7) for b, f in truth),
        )
    ]
    asked = f"SELECT COUNT(*) FROM {joined} ON {near} WHERE EXISTS (SELECT 1 FROM few AS x WHERE x.id = f.id)"
    assert engine.rows(asked) == [(sum(f != -1 for _, f in truth),)]


SHAPES_OF_KEPT_ROWS = {
    "CIRCLE(f.ra, f.dec, f.r)": None,
    "f.disc": None,
    "BOX(f.ra, f.dec, 1.5, 0.5)": lambda ra, dec: box_polygon(Position(ra, dec), 1.5, 0.5),
}


@pytest.mark.parametrize("shape", SHAPES_OF_KEPT_ROWS)
def test_rows_that_are_kept_look_into_the_cells_of_their_shapes(engine, shape):
    """A kept row, and a row that asks a sub-query, cannot be repeated for its cells."""
    make = SHAPES_OF_KEPT_ROWS[shape]
    if make is None:
        few, big = np.nonzero(RADIUS[:, None] >= APART)
    else:
        held = [exact.contains(make(a, d), RA, DEC) for a, d in zip(FEW_RA, FEW_DEC, strict=True)]
        few, big = np.nonzero(np.array(held))
    pairs = sorted(zip(big.tolist(), few.tolist(), strict=True))
    assert len(pairs) > 20
    everyone, met = set(range(M + len(BAD))), {f for _, f in pairs}
    near = f"1 = CONTAINS(POINT(b.ra, b.dec), {shape})"
    left = f"SELECT b.id, f.id, b.ra FROM few AS f LEFT JOIN big AS b ON {near} AND b.id >= 0"
    rows = sorted((-1 if b is None else b, f) for b, f, _ in engine.rows(left))
    assert rows == sorted([*pairs, *((-1, f) for f in everyone - met)])
    asked = (
        (f"SELECT f.id FROM few AS f WHERE EXISTS (SELECT * FROM big AS b WHERE {near})", met),
        (f"SELECT f.id FROM few AS f WHERE NOT EXISTS (SELECT 1 FROM big AS b WHERE {near})", everyone - met),
        (f"SELECT f.id FROM few AS f WHERE 7 IN (SELECT 7 FROM big AS b WHERE {near} AND b.id >= 0)", met),
    )
    for query, truth in asked if make is None else asked[:1]:  # boxes take their time
        assert set(engine.ids(query)) == truth, query
    for query in (left, f"SELECT f.id FROM few AS f WHERE EXISTS (SELECT * FROM big AS b WHERE {near})"):
        plan = engine.explained(query)
        assert "UNNEST" in plan
        for slow in ("CROSS_PRODUCT", "NESTED_LOOP", "BLOCKWISE", "PIECEWISE"):
            assert slow not in plan, slow


def test_cells_of_a_preserved_side_are_not_dropped(engine):
    query = (
        "SELECT f.id, b.id FROM few AS f LEFT JOIN big AS b"
        " ON 1 = CONTAINS(POINT(f.ra, f.dec), CIRCLE(0, 90, 2)) AND b.id = f.id"
    )
    rows = engine.rows(query)
    assert sorted(f for f, _ in rows) == list(range(M + len(BAD)))
    inside = set(np.flatnonzero(exact.contains(Circle(Position(0, 90), 2), FEW_RA, FEW_DEC)).tolist())
    assert {f for f, b in rows if b is not None} == inside
    assert all(s.cells is None for s in engine.plan(query).sources)


def test_self_join_three_tables_and_sub_queries(engine):
    chord = unit(FEW_RA, FEW_DEC)
    apart = angle(chord[None], chord[:, None])
    pairs = {(int(i), int(j)) for i, j in zip(*np.nonzero(apart < 0.5), strict=True) if i < j}
    query = "SELECT a.id, b.id FROM few AS a JOIN few AS b ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.5 AND a.id < b.id"
    assert sorted(engine.rows(query)) == sorted(pairs)
    near = {(int(b), int(f)) for f, b in zip(*np.nonzero(APART < 0.01), strict=True)}
    triples = sorted(
        (b, f, g)
        for b, f in near
        for i, g in [*pairs, *((y, x) for x, y in pairs), *((k, k) for k in range(M))]
        if i == f
    )
    query = (
        "SELECT b.id, f.id, g.id FROM big AS b JOIN few AS f ON DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.01"
        " JOIN few AS g ON 1 = CONTAINS(POINT(f.ra, f.dec), CIRCLE(g.ra, g.dec, 0.5))"
    )
    assert sorted(engine.rows(query)) == triples
    exists = "SELECT id FROM big AS b WHERE EXISTS (SELECT 1 FROM few AS f WHERE DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.01)"
    assert engine.ids(exists) == sorted({b for b, _ in near})
    negated = engine.ids(exists.replace("EXISTS", "NOT EXISTS"))
    assert negated == sorted(set(range(N)) - {b for b, _ in near})


def test_star_shows_no_helpers(engine):
    plan = engine.plan("SELECT * FROM big AS b JOIN few AS f ON DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.001")
    assert len(plan.columns) == 14
    rows = engine.connection.execute(
        engine.sql("SELECT * FROM big AS b JOIN few AS f ON DISTANCE(b.ra, b.dec, f.ra, f.dec) < 0.001")
    )
    assert [d[0] for d in rows.description] == [c.name for c in plan.columns]


def test_columns_of_regions(engine):
    inside = "SELECT id FROM few WHERE id < 500 AND 1 = CONTAINS(POINT(ra, dec), shape)"
    assert engine.ids(inside) == list(range(M))
    joined = "SELECT COUNT(*) FROM big AS b JOIN few AS f ON 1 = CONTAINS(POINT(b.ra, b.dec), f.shape)"
    count = 0
    for a, d in zip(FEW_RA, FEW_DEC, strict=True):
        top = d + (-1.0 if d > 0 else 1.0)
        corners = ((a, d), ((a + 0.5) % 360, d), ((a + 0.5) % 360, top))
        if 0.5 * np.cos(np.radians(d)) > 1e-9:
            count += int(exact.contains(Polygon(tuple(Position(*c) for c in corners)), RA, DEC).sum())
    assert engine.rows(joined)[0][0] == count
    row = engine.rows(
        "SELECT COORD1(spot), COORD2(spot), AREA(disc), COORDSYS(shape), DISTANCE(spot, POINT(ra, dec)) FROM few WHERE id = 1"
    )[0]
    assert row[:2] == pytest.approx((FEW_RA[1], FEW_DEC[1]))
    assert row[2] == pytest.approx(exact.area_deg2(Circle(Position(0, 0), 0.1)))
    assert row[3] == "ICRS"
    assert row[4] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CONTAINS(POINT(ra, dec), CIRCLE(10, 95, 1))", "latitude 95 is beyond the poles"),
        ("CONTAINS(POINT(ra, dec), CIRCLE(10, 5, -1))", "radius -1 is not an angle"),
        ("CONTAINS(POINT(ra, dec), CIRCLE(10, 5, 181))", "radius 181 is not an angle"),
        ("CONTAINS(POINT(ra, dec), POLYGON(0, 0, 1, 1, 1, 0, 0, 1))", "edges cross"),
        ("CONTAINS(POINT(ra, dec), POLYGON(0, 0, 1, 0, 2, 0))", "no area"),
        ("CONTAINS(POINT(ra, dec), POLYGON(0, 0, 120, 0, 240, 0))", "hemisphere"),
        ("CONTAINS(POINT(ra, dec), BOX(0, 0, 200, 10))", "between 0 and 180"),
        ("CONTAINS(POINT(ra, dec), REGION('CIRCLE FK5 1 2 3'))", "in ICRS, not in FK5"),
        ("CONTAINS(POINT(ra, dec), REGION('UNION ICRS (CIRCLE 1 2 3)'))", "UNION of regions"),
        ("CONTAINS(POINT(ra, dec), REGION('CIRCLE 1 2'))", "CIRCLE needs 3 numbers"),
        ("CONTAINS(POINT(ra, dec), REGION('BLOB 1 2'))", "not a kind of region"),
        ("CONTAINS(POINT(ra, dec), REGION('CIRCLE 1 2 x3'))", "not a number"),
        ("CONTAINS(POINT(ra, dec), REGION(''))", "empty"),
    ],
)
def test_constants_that_are_no_region(engine, expression, message):
    with pytest.raises(BadQuery, match=message) as caught:
        engine.plan(f"SELECT id FROM big WHERE 1 = {expression}")
    assert caught.value.where.line == 1
    assert caught.value.where.column > 25


def test_stc_s(engine):
    for text, truth in (
        (
            "POLYGON ICRS 10 10 20 10 20 20 10 20",
            Polygon(tuple(Position(*p) for p in ((10, 10), (20, 10), (20, 20), (10, 20)))),
        ),
        ("Circle ICRS TOPOCENTER SPHERICAL2 10 20 3.5e0 unit deg", Circle(Position(10, 20), 3.5)),
        ("circle 10 20 3.5", Circle(Position(10, 20), 3.5)),
        (
            "Polygon icrs (10 10, 20 10, 20 20)",
            Polygon(tuple(Position(*p) for p in ((10, 10), (20, 10), (20, 20)))),
        ),
    ):
        truth_ids = np.flatnonzero(exact.contains(truth, RA, DEC)).tolist()
        assert (
            engine.ids(f"SELECT id FROM big WHERE 1 = CONTAINS(POINT(ra, dec), REGION('{text}'))")
            == truth_ids
        )


def test_a_few_wide_discs_do_not_make_every_cell_wide(engine):
    """Radii from a column: the order of the cells fits most discs, not only the widest."""
    tables = {t.name: t for t in engine.catalog.schemas[0].tables}
    radius = (
        c if c.name != "r" else replace(c, stats=Stats(M, 0, minimum=0.0, maximum=5.4)) for c in columns()
    )
    few = replace(tables["few"], columns=tuple(radius))
    catalog = Catalog((replace(engine.catalog.schemas[0], tables=(tables["big"], few)),), "wide discs")
    for condition, order in (
        ("1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(f.ra, f.dec, f.r))", 8),
        ("DISTANCE(b.ra, b.dec, f.ra, f.dec) <= f.r / 2", 8),
        ("DISTANCE(b.ra, b.dec, f.ra, f.dec) <= f.r * 8", 6),
        ("DISTANCE(b.ra, b.dec, f.ra, f.dec) <= f.r / 10000", 13),
    ):
        query = f"SELECT b.id, f.id FROM big AS b JOIN few AS f ON {condition}"
        sql = in_duckdb.spelled(compile_query(query, catalog), lambda table: table.name)
        assert f">> {58 - 2 * order}) = " in sql, sql
        scale = {"f.r))": 1.0, "/ 2": 0.5, "* 8": 8.0, "/ 10000": 1e-4}
        limit = RADIUS * next(v for ending, v in scale.items() if condition.endswith(ending))
        pairs = np.nonzero(limit[:, None] >= APART)
        truth = sorted(zip(pairs[1].tolist(), pairs[0].tolist(), strict=True))
        assert sorted(engine.connection.execute(sql).fetchall()) == truth, condition


@pytest.mark.parametrize(
    "condition",
    [
        "DISTANCE(b.ra, b.dec, f.ra, f.dec) BETWEEN 0.0001 AND 0.002",
        "NOT DISTANCE(b.ra, b.dec, f.ra, f.dec) > 0.002 AND DISTANCE(b.ra, b.dec, f.ra, f.dec) >= 0.0001",
        "NOT (0.002 < DISTANCE(b.spot, f.spot)) AND DISTANCE(b.spot, f.spot) BETWEEN 0.0001 AND 1",
        "NOT 0 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(f.ra, f.dec, 0.002)) AND DISTANCE(b.spot, f.spot) >= 1e-4",
    ],
)
def test_limits_of_a_distance_in_other_words(engine, condition):
    """BETWEEN and NOT say `at most` too: cells, and the same pairs."""
    few, big = np.nonzero((APART <= 0.002) & (APART >= 0.0001))
    query = f"SELECT b.id, f.id FROM big AS b JOIN few AS f ON {condition}"
    assert sorted(engine.rows(query)) == sorted(zip(big.tolist(), few.tolist(), strict=True))
    assert len(few) > 100
    plan = engine.explained(query)
    assert "HASH_JOIN" in plan or "HASH JOIN" in plan
    assert not any(slow in plan for slow in ("NESTED", "BLOCKWISE", "PIECEWISE", "CROSS_PRODUCT"))


def test_other_words_limit_a_table_by_cells(engine):
    whole = engine.ids("SELECT id FROM big WHERE DISTANCE(ra, dec, 10, 90) <= 0.5")
    near = "DISTANCE(ra, dec, 10, 90)"
    for condition in (f"{near} BETWEEN 0 AND 0.5", f"NOT {near} > 0.5", f"NOT NOT {near} <= 0.5"):
        query = f"SELECT id FROM big WHERE {condition}"
        assert engine.ids(query) == whole
        assert engine.plan(query).sources[0].cells is not None, condition
    for condition in (f"NOT {near} < 0.5", f"{near} NOT BETWEEN 0 AND 0.5", f"NOT {near} = 0.5"):
        assert engine.plan(f"SELECT id FROM big WHERE {condition}").sources[0].cells is None, condition
    for condition in (f"NOT {near} <= 0.5", f"{near} NOT BETWEEN 0 AND 0.5"):
        assert engine.ids(f"SELECT id FROM big WHERE {condition}") == sorted(set(range(N)) - set(whole))


@pytest.mark.parametrize("order", [0, 1, 5, 12, 17, 28, 29])
@pytest.mark.parametrize("table", ["big", "few"])
def test_pixels_of_a_tables_own_position_are_its_cells(engine, order, table):
    own = f"SELECT id, ivo_healpix_index({order}, ra, dec) AS hpx FROM {table} AS t"
    point = f"SELECT id, ivo_healpix_index({order}, POINT(t.ra, t.dec)) AS hpx FROM {table} AS t"
    counted = f"SELECT id, ivo_healpix_index({order}, ra + 0, dec) AS hpx FROM {table} AS t"
    truth = sorted(engine.rows(counted), key=str)
    assert sorted(engine.rows(own), key=str) == sorted(engine.rows(point), key=str) == truth
    assert "SG_HEALPIX_INDEX" not in (engine.sql(own) + engine.sql(point)).upper()
    assert "SG_HEALPIX_INDEX" in engine.sql(counted).upper()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ivo_healpix_index(3, {ra}, dec) AS hpx, COUNT(*) AS n FROM big GROUP BY hpx",
        "SELECT ivo_healpix_index(3, {ra}, dec), COUNT(*) FROM big GROUP BY ivo_healpix_index(3, {ra}, dec)",
        "SELECT ra, dec, ivo_healpix_index(3, {ra}, dec) AS hpx FROM few GROUP BY ra, dec",
        "SELECT COUNT(*) FROM big WHERE ivo_healpix_index(4, {ra}, dec) BETWEEN 100 AND 200",
        "SELECT MAX(ivo_healpix_index(2, {ra}, dec)) FROM big HAVING MIN(ivo_healpix_index(2, {ra}, dec)) >= 0",
        "SELECT b.id, ivo_healpix_index(3, {b}, f.dec) AS hpx FROM big AS b LEFT JOIN few AS f ON f.id = b.id",
        "SELECT ivo_healpix_index(3, {ra}, dec) AS hpx FROM (SELECT ra, dec FROM few) AS q",
        "SELECT f.id FROM few AS f WHERE EXISTS (SELECT 1 FROM big AS b WHERE ivo_healpix_index(6, {f}, f.dec) = "
        "ivo_healpix_index(6, b.ra, b.dec))",
    ],
)
def test_pixels_wherever_they_stand(engine, query):
    own, counted = [query.format(ra=f"ra{more}", f=f"f.ra{more}", b=f"f.ra{more}") for more in ("", " + 0")]
    assert sorted(map(str, engine.rows(own))) == sorted(map(str, engine.rows(counted)))
