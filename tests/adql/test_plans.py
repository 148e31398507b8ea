"""What a plan promises: columns with their metadata, sources, pieces, and the place of a fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skygate.adql import compile_query
from skygate.adql.compiler import REMEMBERED_LONG
from skygate.adql.functions import FUNCTIONS, by_name
from skygate.domain.catalog import CELL_COLUMN, Catalog, Datatype, Stats
from skygate.domain.query import Source
from skygate.errors import BadQuery


def columns(world, query):
    return world.compile(query).columns


def test_a_plain_column_keeps_its_metadata(world) -> None:
    (ra, mag) = columns(world, "SELECT RA, mag AS m FROM stars")
    assert (ra.name, ra.unit, ra.ucd) == ("ra", "deg", "pos.eq.ra;meta.main")
    assert (mag.name, mag.unit, mag.description) == ("m", "mag", "Magnitude")
    assert mag.datatype is Datatype.FLOAT


def test_metadata_pass_through_sub_queries_and_unions(world) -> None:
    (ra,) = columns(world, "WITH a AS (SELECT ra AS x FROM stars) SELECT x FROM (SELECT x FROM a) AS b")
    assert (ra.name, ra.unit) == ("x", "deg")
    (first,) = columns(world, "SELECT mag FROM stars UNION SELECT weight FROM pairs")
    assert (first.unit, first.datatype) == ("mag", Datatype.DOUBLE)


@pytest.mark.parametrize(
    ("expression", "datatype", "unit"),
    [
        ("COUNT(*)", Datatype.LONG, None),
        ("AVG(mag)", Datatype.DOUBLE, "mag"),
        ("MIN(mag)", Datatype.FLOAT, "mag"),
        ("SUM(n)", Datatype.LONG, None),
        ("SUM(weight)", Datatype.DOUBLE, "kg"),
        ("COUNT(DISTINCT name)", Datatype.LONG, None),
    ],
)
def test_aggregates_have_types_and_units(world, expression, datatype, unit) -> None:
    (found,) = columns(
        world, f"SELECT {expression} FROM (SELECT s.mag, s.n, s.name, p.weight FROM stars s, pairs p) AS j"
    )
    assert (found.datatype, found.unit) == (datatype, unit)


@pytest.mark.parametrize(
    ("expression", "datatype", "unit"),
    [
        ("ra + dec", Datatype.DOUBLE, "deg"),
        ("ra - 10", Datatype.DOUBLE, "deg"),
        ("ra * 2", Datatype.DOUBLE, None),
        ("ra + mag", Datatype.DOUBLE, None),
        ("n / 2", Datatype.LONG, None),
        ("mag / mag", Datatype.FLOAT, None),
        ("mag + 1", Datatype.DOUBLE, "mag"),
        ("IN_UNIT(ra, 'arcmin')", Datatype.DOUBLE, "arcmin"),
        ("DISTANCE(ra, dec, 1, 2)", Datatype.DOUBLE, "deg"),
        ("name || 'a'", Datatype.UNICODE, None),
        ("NULL", Datatype.UNICODE, None),
        ("CAST(n AS SMALLINT)", Datatype.SHORT, None),
    ],
)
def test_calculations_have_types_and_units(world, expression, datatype, unit) -> None:
    (found,) = columns(world, f"SELECT {expression} FROM stars")
    assert (found.datatype, found.unit) == (datatype, unit)


def test_xtypes_are_told(world) -> None:
    found = columns(world, "SELECT POINT(ra, dec), CIRCLE(ra, dec, 1), seen, POLYGON(0,0,1,0,1,1) FROM stars")
    assert [c.xtype for c in found] == ["point", "circle", "timestamp", "polygon"]


@pytest.mark.parametrize(
    ("text", "xtype"), [("POINT 1 1", "point"), ("CIRCLE ICRS 1 1 1", "circle"), ("BOX 1 1 1 1", "polygon")]
)
def test_a_region_has_the_type_that_its_text_spells(world, text, xtype) -> None:
    (region,) = columns(world, f"SELECT REGION('{text}') FROM stars")
    assert region.xtype == xtype


def test_output_names_are_unique(world) -> None:
    found = columns(
        world,
        "SELECT a.id, b.id, b.id AS ID_2, COUNT(*), COUNT(*), 1 + 1 FROM stars a, stars b "
        "GROUP BY a.id, b.id",
    )
    assert [c.name for c in found] == ["id", "id_3", "ID_2", "count", "count_2", "column_6"]


def test_a_star_leaves_out_the_hidden_column(world) -> None:
    for query in (
        "SELECT * FROM stars",
        "SELECT s.* FROM stars AS s",
        "SELECT * FROM (SELECT * FROM stars) AS q",
    ):
        plan = world.compile(query)
        assert [c.name for c in plan.columns] == [c.name for c in world.catalog.schemas[0].tables[0].columns]
        assert CELL_COLUMN not in world.text(plan)


def test_sources_name_the_columns_that_are_read(world) -> None:
    plan = world.compile("SELECT s.id FROM stars AS s JOIN pairs AS p ON s.id = p.star WHERE s.mag > 1")
    assert [(s.table.name, s.columns) for s in plan.sources] == [
        ("stars", ("id", "mag")),
        ("pairs", ("star",)),
    ]
    assert world.compile("SELECT COUNT(*) FROM stars").sources[0].columns == ()


def test_top_and_order_of_the_outermost_level_are_told(world) -> None:
    plan = world.compile("SELECT TOP 3 id FROM (SELECT TOP 9 id FROM stars ORDER BY id) AS q")
    assert (plan.top, plan.ordered) == (3, False)
    plan = world.compile("SELECT TOP 3 id FROM stars UNION SELECT id FROM pairs ORDER BY id")
    assert (plan.top, plan.ordered) == (None, True)


def test_tables_cannot_be_forged(world) -> None:
    for forged in ('"sky.stars"', "'\"0\"'", '"\x010\x01"'):
        plan = world.compile(
            f"SELECT id AS {forged} FROM stars" if forged[0] == '"' else f"SELECT {forged} FROM stars"
        )
        assert sum(isinstance(p, Source) for p in plan.pieces) == 1
    with pytest.raises(BadQuery, match="NUL"):
        world.compile('SELECT id AS "\0000\000" FROM stars')


def test_a_fault_has_its_place_and_the_nearest_names(world) -> None:
    with pytest.raises(BadQuery) as caught:
        world.compile("SELECT id,\n  magg\nFROM stars")
    fault = caught.value
    assert (fault.where.line, fault.where.column, fault.where.token) == (2, 3, "magg")
    assert (fault.where.start, fault.where.end) == (13, 17)
    assert fault.suggestions == ("mag",)
    assert str(fault) == "line 2, column 3: no column `magg` in stars; did you mean `mag`?"


def test_hints_say_what_to_write(world) -> None:
    for query, hint in (
        ("SELECT size FROM stars", 'if it is a column, write "size"'),
        ("SELECT * FROM notes", "write old.notes or sky.notes"),
        ('SELECT "Id" FROM stars', "names in double quotes are case-sensitive"),
        ("SELECT id FROM stars WHERE 1 = 1 AND CONTAINS(POINT(1,2), CIRCLE(1,2,3))", "write 1 = CONTAINS(…)"),
    ):
        with pytest.raises(BadQuery) as caught:
            world.compile(query)
        assert caught.value.hint == hint


def test_a_delimited_name_finds_its_own_case_only(world) -> None:
    table = world.catalog.schemas[0].tables[2]
    upper = replace(
        table,
        name="twins",
        columns=(replace(table.columns[0], name="a"), replace(table.columns[1], name="A")),
    )
    schema = replace(world.catalog.schemas[0], tables=(upper,))
    catalog = Catalog((schema,), "twins")
    assert compile_query('SELECT "A" FROM twins', catalog).columns[0].datatype is Datatype.UNICODE
    assert compile_query("SELECT a FROM twins", catalog).columns[0].datatype is Datatype.LONG


def test_calculations_that_cannot_exceed_their_type_are_not_guarded(world) -> None:
    """Guards cost time: statistics say where none is needed; a union's are not those of its left side."""
    sky = world.catalog.schemas[0]
    stars = sky.tables[0]
    measured = Stats(5, 0, minimum=-3.0, maximum=21.5)
    columns = tuple(replace(c, stats=measured) if c.name in ("mag", "x") else c for c in stars.columns)
    schema = replace(sky, tables=(replace(stars, columns=columns), *sky.tables[1:]))
    catalog = Catalog((schema,), "measured")
    for safe in (
        "AVG(x - 1)", "x * 2.5 + mag", "mag * mag", "SUM(x)", "SUM(mag * 3) OVER ()", "x / 1000", "pm - 1.5",
        "3600 * DISTANCE(ra, dec, 1, 2)", "IN_UNIT(mag, 'mmag')", "AVG(n)", "SUM(mag)", "DEGREES(x)",
    ):  # fmt: skip
        text = world.text(compile_query(f"SELECT {safe} AS v FROM stars", catalog))
        assert "FINITE" not in text.replace('ISFINITE("stars"."ra")', ""), text
    for unsafe in ("x * 1e308", "x / 1e-320", "pm * 2", "SUM(pm)", "pm + pm", "pm + 1e308"):
        assert "ISFINITE" in world.text(compile_query(f"SELECT {unsafe} AS v FROM stars", catalog)), unsafe
    union = "SELECT v * 1e300 FROM (SELECT x AS v FROM stars UNION ALL SELECT pm FROM stars) AS q"
    assert "ISFINITE" in world.text(compile_query(union, catalog))
    infinite = tuple(replace(c, stats=replace(measured, infinities=1)) for c in columns if c.name == "x")
    schema = replace(sky, tables=(replace(stars, columns=infinite, position=None, identifier=None),))
    text = world.text(compile_query("SELECT x + 1 FROM stars", Catalog((schema,), "infinite")))
    assert "ISFINITE" in text


def test_plans_are_remembered_by_text_and_catalogue(world) -> None:
    query = "SELECT id FROM stars WHERE id = 123456"
    assert world.compile(query) is world.compile(query)
    other = Catalog(world.catalog.schemas, "another")
    assert compile_query(query, other) is not world.compile(query)


def test_samples_with_a_seed_repeat(world) -> None:
    query = "SELECT id FROM stars TABLESAMPLE BERNOULLI (50) REPEATABLE (3)"
    assert world.rows(query) == world.rows(query)
    chosen = {seed: len(world.rows(query.replace("(3)", f"({seed})"))) for seed in range(40)}
    assert 60 < sum(chosen.values()) < 140


def test_every_function_has_an_implementation(world) -> None:
    written = {
        "NUMERIC": "0.5", "INTEGER": "2", "BIGINT": "2", "VARCHAR": "name", "LITERAL": "'a'", "ANY": "n",
        "TIMESTAMP": "seen", "POINT": "POINT(1, 2)", "REGION": "CIRCLE(1, 2, 3)", "DOUBLE": "0.5",
        "GEOMETRY": "CIRCLE(1, 2, 3)",
    }  # fmt: skip
    special = {
        "EXTRACT": "EXTRACT(YEAR FROM seen)", "DATE_TRUNC": "DATE_TRUNC('day', seen)",
        "CURRENT_TIMESTAMP": "CURRENT_TIMESTAMP", "IN_UNIT": "IN_UNIT(ra, 'rad')",
        "REGION": "REGION('CIRCLE ICRS 1 2 3')",
    }  # fmt: skip
    for function in FUNCTIONS:
        arguments = ", ".join(written[a.type] for a in function.arguments)
        if function.name == "POLYGON":
            points = ["POINT(1, 2)", "POINT(2, 2)", "POINT(2, 3)", "POINT(1, 3)"]
            numbers = ["0", "0", "1", "0", "1", "1", "0", "1"]
            arguments = ", ".join(points if function.arguments[0].type == "POINT" else numbers)
        call = special.get(function.name, f"{function.name}({arguments})")
        over = " OVER (ORDER BY id)" if function.use == "window" else ""
        assert world.rows(f"SELECT {call}{over} FROM stars"), function.name
        assert function.description
        assert " -> " in function.signature
    assert set(by_name()) == {f.name for f in FUNCTIONS}


def test_a_long_text_is_understood_once(world) -> None:
    text = "SELECT id FROM stars WHERE id IN (" + ", ".join(map(str, range(10_000))) + ")"
    first = compile_query(text, world.catalog)
    assert compile_query(text, world.catalog) is first
    for i in range(REMEMBERED_LONG):
        compile_query(text + f" AND id > {i}", world.catalog)
    assert compile_query(text, world.catalog) is not first


@pytest.mark.parametrize(
    ("text", "dense"),
    [
        ("SELECT n, COUNT(*) FROM stars GROUP BY n", True),
        ("SELECT n, COUNT(*), MIN(mag), MAX(mag), AVG(ra) FROM stars GROUP BY n", True),
        ("SELECT n, name, COUNT(*) FROM stars GROUP BY n, name", False),
        ("SELECT n, SUM(ra), SUM(dec), AVG(ra), AVG(dec), AVG(mag) FROM stars GROUP BY n", False),
        ("SELECT n, SUM(ra) + SUM(dec) + AVG(ra) + AVG(dec) + AVG(mag) FROM stars GROUP BY n", False),
        ("SELECT COUNT(*) FROM stars", False),
        ("SELECT a.n FROM (SELECT n FROM stars GROUP BY n) AS a GROUP BY a.n", False),
    ],
)
def test_a_few_sums_of_one_value_may_be_kept_in_an_array(world, text, dense) -> None:
    assert world.compile(text).dense is dense


@pytest.mark.parametrize(
    ("expression", "tried"),
    [
        ("n * 513 + n", False),
        ("(n + 1) * (n - 1)", True),
        ("n * n * 2", True),
        ("big + 1", True),
        ("n * 1073741824", False),
        ("n * 4294967296", True),
    ],
)
def test_what_cannot_overflow_is_not_tried(world, expression, tried) -> None:
    plan = world.compile(f"SELECT {expression} FROM stars")
    assert any("TRY(" in piece for piece in plan.pieces if isinstance(piece, str)) is tried
