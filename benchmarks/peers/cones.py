"""Rows around a place, rows by identifier, rows in a box: few rows out of many, one client.

PostgreSQL has prepared statements and answers over the binary protocol; answers of thousands of rows come
by binary COPY, which is faster and makes no Python objects. All sides deliver the columns of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.bench import OBJECTS, Bench
from benchmarks.peers.measure import Line, Side, in_turn
from benchmarks.peers.pgrows import copy_out, fetch

KINDS = {"object_id": "i8", "ra": "f8", "dec": "f8", "mag_auto_g": "f4", "mag_auto_r": "f4", "flags_r": "i2"}
COLUMNS = list(KINDS)
_LIST = ", ".join(COLUMNS)
Q3C = "q3c_radial_query(ra, dec, {ra}, {dec}, {radius})"
SPHERE = (
    "spoint(radians(ra), radians(dec)) <@ scircle(spoint(radians({ra}), radians({dec})), radians({radius}))"
)
BOUND = {"ra": "%s::float8", "dec": "%s::float8", "radius": "%s::float8"}
MANY = 0.1
"""Degrees beyond which an answer is taken to have many rows."""


def cone(bench: Bench, name: str, said: str, radius: float, calls: int) -> list[Line]:
    """Cones of one radius around objects: Skygate, pgSphere, q3c."""
    rng = np.random.default_rng(7)
    n = min(calls, len(bench.sample["ra"]))
    near = rng.normal(0, 0.2 / 3600, (2, n))
    ra = (bench.sample["ra"][:n] + near[0] / np.cos(np.radians(bench.sample["dec"][:n]))) % 360
    dec = bench.sample["dec"][:n] + near[1]
    places = [(float(a), float(d)) for a, d in zip(ra, dec, strict=True)]

    def ours(i: int) -> Any:
        return bench.gate.cone(OBJECTS, *places[i], radius, columns=COLUMNS).to_arrow()

    sides = [Side("Skygate", ours, arrow_ids)]
    if (postgres := bench.postgres) is not None:
        for peer, predicate in (("pgSphere", SPHERE), ("q3c", Q3C)):
            ask = _peer(bench, predicate, places, radius)
            sides.append(Side(peer, ask, _ids, postgres.cpu_s))
    return in_turn(name, said, sides, n, warm=min(n, 20))


def _peer(
    bench: Bench, predicate: str, places: list[tuple[float, float]], radius: float
) -> Callable[[int], Any]:
    assert bench.connection is not None
    connection = bench.connection
    prepared = f"SELECT {_LIST} FROM objects WHERE {predicate.format(**BOUND)}"

    def few(i: int) -> Any:
        return fetch(connection, prepared, [*places[i], radius], KINDS)

    def many(i: int) -> Any:
        ra, dec = places[i]
        where = predicate.format(ra=f"({ra!r})", dec=f"({dec!r})", radius=repr(radius))
        return copy_out(connection, f"SELECT {_LIST} FROM objects WHERE {where}", KINDS)

    return many if radius > MANY else few


def arrow_ids(answer: Any) -> Any:
    """Identifiers of an Arrow answer."""
    return answer.column("object_id").to_numpy()


def _ids(answer: dict[str, Any]) -> Any:
    return answer["object_id"]


def cone_arcsec(bench: Bench) -> list[Line]:
    """Cones of 1″."""
    return cone(bench, "cone-1s", "1″ cone, 6 columns", 1 / 3600, bench.calls(200, 20))


def cone_arcmin(bench: Bench) -> list[Line]:
    """Cones of 1′."""
    return cone(bench, "cone-1m", "1′ cone, 6 columns", 1 / 60, bench.calls(200, 20))


def cone_degree(bench: Bench) -> list[Line]:
    """Cones of 1°."""
    return cone(bench, "cone-1d", "1° cone, 6 columns", 1.0, bench.calls(20, 3))


def identifier(bench: Bench) -> list[Line]:
    """One row by its identifier: ADQL and a B-tree."""
    ids = [int(i) for i in bench.sample["object_id"][: bench.calls(200, 20)]]

    def ours(i: int) -> Any:
        return bench.gate.query(f"SELECT {_LIST} FROM {OBJECTS} WHERE object_id = {ids[i]}").to_arrow()

    sides = [Side("Skygate", ours, arrow_ids)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:
        text = f"SELECT {_LIST} FROM objects WHERE object_id = %s"
        sides.append(
            Side("PostgreSQL", lambda i: fetch(connection, text, [ids[i]], KINDS), _ids, postgres.cpu_s)
        )
    return in_turn("identifier", "row by identifier, 6 columns", sides, len(ids), warm=min(20, len(ids)))


def identifiers(bench: Bench) -> list[Line]:
    """A list of identifiers at once."""
    size, calls = 500, bench.calls(20, 3)
    rng = np.random.default_rng(8)
    lists = [
        [int(i) for i in rng.choice(bench.sample["object_id"], size, replace=False)] for _ in range(calls)
    ]

    def ours(i: int) -> Any:
        wanted = ", ".join(map(str, lists[i]))
        return bench.gate.query(f"SELECT {_LIST} FROM {OBJECTS} WHERE object_id IN ({wanted})").to_arrow()

    sides = [Side("Skygate", ours, arrow_ids)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:
        text = f"SELECT {_LIST} FROM objects WHERE object_id = ANY(%s)"
        sides.append(
            Side("PostgreSQL", lambda i: fetch(connection, text, [lists[i]], KINDS), _ids, postgres.cpu_s)
        )
    return in_turn("identifiers", f"{size} rows by identifier, 6 columns", sides, calls)


def box(bench: Bench) -> list[Line]:
    """A four-sided region of about 1 square degree and a cut in colour and magnitude."""
    calls = bench.calls(20, 3)
    corners: list[list[float]] = []
    for ra, dec in zip(bench.sample["ra"][:calls], bench.sample["dec"][:calls], strict=True):
        half = 0.5 / np.cos(np.radians(dec))
        around = [
            (ra - half, dec - 0.5),
            (ra + half, dec - 0.5),
            (ra + half, dec + 0.5),
            (ra - half, dec + 0.5),
        ]
        corners.append([float(x) for a, d in around for x in (a % 360, d)])

    cut = "mag_auto_g - mag_auto_r > 0.6 AND mag_auto_r < 22"

    def ours(i: int) -> Any:
        polygon = ", ".join(map(repr, corners[i]))
        text = (
            f"SELECT {_LIST} FROM {OBJECTS} WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON({polygon})) AND {cut}"
        )
        return bench.gate.query(text).to_arrow()

    sides = [Side("Skygate", ours, arrow_ids)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:

        def theirs(i: int) -> Any:
            array = ", ".join(map(repr, corners[i]))
            where = f"q3c_poly_query(ra, dec, ARRAY[{array}]) AND {cut}"
            return copy_out(connection, f"SELECT {_LIST} FROM objects WHERE {where}", KINDS)

        sides.append(Side("q3c_poly_query", theirs, _ids, postgres.cpu_s))
    return in_turn("box", "1 square degree and a colour cut, 6 columns", sides, calls)
