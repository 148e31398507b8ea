"""How long a query takes from text to plan, nothing remembered: `python benchmarks/adql_compile.py`."""

from __future__ import annotations

import statistics
import time

from skygate.adql.compiler import compile_anew
from skygate.domain.catalog import Catalog, Column, Datatype, Schema, SkyPosition, Table

QUERIES = {
    "columns": "SELECT TOP 100 source_id, ra, dec FROM survey.stars WHERE c1 < 15 ORDER BY c1",
    "star": "SELECT * FROM survey.stars",
    "cone": "SELECT source_id FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, -5, 0.5)) AND c3 > 2",
    "polygon": "SELECT source_id FROM stars "
    "WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(1, 1, 5, 1, 5, 5, 1, 5))",
    "group": "SELECT FLOOR(c1 * 5) / 5 AS bin, COUNT(*), AVG(LOG(c2)) FROM stars GROUP BY bin ORDER BY bin",
    "match": "SELECT a.source_id, b.id FROM stars AS a JOIN objects AS b "
    "ON 1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 0.001))",
    "with": "WITH bright AS (SELECT source_id, ra, dec FROM stars WHERE c1 < 10), "
    "n AS (SELECT id FROM objects) SELECT source_id FROM bright WHERE source_id IN (SELECT id FROM n) "
    "UNION SELECT id FROM n ORDER BY 1",
    "thousand": "SELECT source_id FROM stars WHERE source_id IN (" + ", ".join(map(str, range(1000))) + ")",
}
REPEATS = 50


def catalogue(columns: int = 150) -> Catalog:
    """Two tables with positions, one of them as wide as a Gaia release."""
    place = (Column("ra", Datatype.DOUBLE, unit="deg"), Column("dec", Datatype.DOUBLE, unit="deg"))
    others = tuple(Column(f"c{i}", Datatype.FLOAT, unit="mag") for i in range(columns))
    position = SkyPosition("ra", "dec", 2016.0)
    stars = Table("survey", "stars", (Column("source_id", Datatype.LONG), *place, *others), position=position)
    objects = Table("survey", "objects", (Column("id", Datatype.LONG), *place), position=position)
    return Catalog((Schema("survey", (stars, objects)),), "benchmark")


def main() -> None:
    """Print the median, the best and the 95th percentile of each query."""
    catalog = catalogue()
    print(f"{'query':10} {'median':>8} {'best':>8} {'p95':>8}  ms")
    for name, text in QUERIES.items():
        compile_anew(text, catalog)
        times: list[float] = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            compile_anew(text, catalog)
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        print(f"{name:10} {statistics.median(times):8.2f} {times[0]:8.2f} {times[int(REPEATS * 0.95)]:8.2f}")


if __name__ == "__main__":
    main()
