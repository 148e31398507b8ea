"""Every function and construct runs through the engine's gate: its list and the parser's table agree."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pyarrow as pa
import pytest

from releases_made import make_release
from skygate import wire
from skygate.adql.functions import FUNCTIONS
from skygate.assembly import open_house
from skygate.domain.account import ANONYMOUS
from skygate.domain.query import Query
from skygate.services.house import House
from skygate.settings import Settings

PLAIN = """
ABS(mag_r); CEILING(mag_r); DEGREES(ra); EXP(mag_r); FLOOR(mag_r); LOG(mag_r); LOG10(mag_r); MOD(id, 3); PI();
POWER(mag_r, 2); RADIANS(ra); RAND(); RAND(3); ROUND(mag_r); ROUND(mag_r, 1); SQRT(mag_r); TRUNCATE(mag_r, 1);
TRUNCATE(mag_r); ACOS(dec); ASIN(dec); ATAN(dec); ATAN2(dec, ra); COS(ra); COT(ra); SIN(ra); TAN(ra);
UPPER(name); LOWER(name); COALESCE(name, 'x'); IN_UNIT(ra, 'rad'); name || 'x'; id / 3; mag_r / 0; id / 0;
-dec; POINT(ra, dec);
CIRCLE(ra, dec, 1); CIRCLE(POINT(ra, dec), 1); BOX(ra, dec, 1, 1); REGION('CIRCLE 1 2 3');
DISTANCE(POINT(ra, dec), POINT(1, 1)); DISTANCE(ra, dec, 1, 1); AREA(CIRCLE(ra, dec, 1));
CENTROID(CIRCLE(ra, dec, 1)); COORD1(POINT(ra, dec)); COORD2(POINT(ra, dec)); COORDSYS(POINT(ra, dec));
CONTAINS(POINT(ra, dec), CIRCLE(1, 1, 1)); INTERSECTS(CIRCLE(ra, dec, 1), BOX(1, 1, 2, 2)); seen;
CURRENT_TIMESTAMP; flux; epochs; COUNT(*); COUNT(DISTINCT flags); SUM(id); SUM(flags); AVG(mag_r); MIN(name);
MAX(seen); STDDEV(mag_r); STDDEV_POP(mag_g); STDDEV_SAMP(mag_g); VARIANCE(mag_g); VAR_POP(mag_r);
VAR_SAMP(mag_r); MEDIAN(mag_r); CORR(ra, dec); POLYGON(POINT(1, 1), POINT(2, 2), POINT(3, 1))
"""
SPACED = (
    "CASE WHEN id > 3 THEN 1 ELSE 2 END",
    "CAST(mag_r AS INTEGER)",
    "CAST(id AS VARCHAR(10))",
    "CAST('2020-01-01T00:00:00' AS TIMESTAMP)",
    "ROW_NUMBER() OVER (ORDER BY id)",
    "RANK() OVER (ORDER BY flags)",
    "DENSE_RANK() OVER (ORDER BY flags)",
    "PERCENT_RANK() OVER (ORDER BY flags)",
    "CUME_DIST() OVER (ORDER BY flags)",
    "NTILE(3) OVER (ORDER BY id)",
    "LAG(id) OVER (ORDER BY id)",
    "LEAD(id, 2, 0) OVER (ORDER BY id)",
    "FIRST_VALUE(id) OVER (PARTITION BY flags ORDER BY id)",
    "LAST_VALUE(id) OVER (PARTITION BY flags ORDER BY id)",
    "NTH_VALUE(id, 2) OVER (PARTITION BY flags ORDER BY id)",
    "SUM(id) OVER (PARTITION BY flags ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
)
QUERIES = (
    "SELECT TOP 3 * FROM mini.stars WHERE name LIKE 'S%' OR name ILIKE 's_ar%'",
    "SELECT flags, COUNT(*) AS n FROM mini.stars GROUP BY flags HAVING COUNT(*) > 1 ORDER BY n DESC",
    "SELECT id FROM mini.stars WHERE id BETWEEN 1 AND 5 UNION SELECT star_id FROM mini.notes",
    "SELECT id FROM mini.stars EXCEPT SELECT star_id FROM mini.notes",
    "SELECT id FROM mini.stars INTERSECT ALL SELECT star_id FROM mini.notes",
    "WITH a AS (SELECT id FROM mini.stars) "
    "SELECT * FROM a WHERE EXISTS (SELECT 1 FROM mini.notes WHERE star_id = a.id) OFFSET 3",
    "SELECT a.id FROM mini.stars a, mini.stars b "
    "WHERE 1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 0.001)) AND a.id <= b.id",
    "SELECT * FROM mini.stars LEFT OUTER JOIN mini.notes ON id = star_id",
    "SELECT * FROM mini.stars RIGHT JOIN mini.notes ON id = star_id",
    "SELECT * FROM mini.stars FULL OUTER JOIN mini.notes ON id = star_id",
    "SELECT * FROM mini.stars CROSS JOIN mini.notes LIMIT 3",
    "SELECT DISTINCT variable FROM mini.stars",
    "SELECT id FROM mini.stars WHERE id IN (SELECT star_id FROM mini.notes)",
    "SELECT id FROM mini.stars WHERE id NOT IN (1, 2, 3) AND name IS NOT NULL",
    "SELECT id FROM mini.stars WHERE ra BETWEEN 0 AND 200 AND dec > 0",
    "SELECT id FROM mini.stars WHERE 0 = CONTAINS(POINT(ra, dec), POLYGON(1, 1, 2, 2, 3, 1, 2, 0))",
    "SELECT q.n FROM (SELECT COUNT(*) AS n FROM mini.stars) AS q",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root: Path = tmp_path_factory.mktemp("root")
    make_release(root, rows=300, file_rows=300)
    made = open_house(Settings(root=root))
    yield made
    made.close()


def ask(house: House, text: str) -> pa.Table:
    rows = anyio.run(house.queries.run, ANONYMOUS, Query(text))
    return pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))


def examples() -> list[str]:
    """Every example of the table of functions, over columns that are here."""
    names = {"obs_date": "seen", "table_name": "name", "pmra": "mag_r", "pmdec": "mag_r"}
    found = [f.example for f in FUNCTIONS if f.example]
    for old, new in names.items():
        found = [e.replace(old, new) for e in found]
    return found


@pytest.mark.parametrize("expression", [*(e.strip() for e in PLAIN.split(";")), *SPACED, *examples()])
def test_an_expression(house, expression):
    assert ask(house, f"SELECT {expression} AS x FROM mini.stars").num_rows >= 1


@pytest.mark.parametrize("text", QUERIES)
def test_a_query(house, text):
    assert ask(house, text).num_rows >= 1
