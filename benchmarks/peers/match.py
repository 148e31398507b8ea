"""Positions met with a table: those that a person brings, and those of a second table."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.peers.bench import FEWER, OBJECTS, OTHERS, Bench, columns_of, parts
from benchmarks.peers.measure import Line, Side, in_turn
from benchmarks.peers.pgrows import copy_in, copy_out

RADIUS = 1 / 3600
UPLOADED = 100_000


def upload(bench: Bench) -> list[Line]:
    """All pairs within 1″ of 100 000 positions that are sent along, four fifths of them at objects."""
    count = min(UPLOADED, len(bench.sample["ra"]))
    rng = np.random.default_rng(9)
    off = np.where(rng.uniform(size=count) < 0.2, 30.0, 0.3) / 3600
    angle = rng.uniform(0, 2 * np.pi, count)
    dec = np.ascontiguousarray(bench.sample["dec"][:count] + off * np.sin(angle))
    ra = (bench.sample["ra"][:count] + off * np.cos(angle) / np.cos(np.radians(dec))) % 360
    sent = {"ra": ra, "dec": dec}
    number = np.arange(count)

    def ours(_: int) -> Any:
        found = bench.gate.crossmatch(OBJECTS, sent, RADIUS, columns=["object_id"], maxrec=10_000_000)
        return np.column_stack([found.rows.column(n).to_numpy() for n in ("row", "object_id")])

    sides = [Side("Skygate", ours, np.asarray)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:

        def theirs(_: int) -> Any:
            connection.execute(
                "CREATE TEMP TABLE sent (number bigint, ra double precision, dec double precision)"
            )
            try:
                copy_in(connection, "sent", [{"number": number, **sent}])
                connection.execute("ANALYZE sent")
                connection.execute("SET enable_seqscan = off")
                # the upload itself can only be read from end to end, whatever that setting says
                found = copy_out(
                    connection,
                    "SELECT s.number, o.object_id, q3c_dist(s.ra, s.dec, o.ra, o.dec) "
                    "FROM sent AS s, objects AS o "
                    f"WHERE q3c_join(s.ra, s.dec, o.ra, o.dec, {RADIUS!r})",
                    {"number": "i8", "object_id": "i8", "separation": "f8"},
                )
            finally:
                connection.execute("RESET enable_seqscan")
                connection.execute("DROP TABLE sent")
            return np.column_stack([found["number"], found["object_id"]])

        sides.append(Side("q3c_join", theirs, np.asarray, postgres.cpu_s))
    said = f"{count:,} positions sent and matched within 1″, all pairs with their distance"
    return in_turn("crossmatch", said, sides, bench.calls(5))


def join(bench: Bench) -> list[Line]:
    """All pairs within 1″ of two tables: an ADQL join, q3c, k-d trees and their build, LSDB where it is."""
    text = _joined(OTHERS, OBJECTS, "object_id")
    pair = (OTHERS, OBJECTS, "object_id")

    def ours(_: int) -> Any:
        rows = bench.gate.query(text, maxrec=10_000_000).to_arrow()
        return np.column_stack([rows.column(n).to_numpy() for n in ("one", "two")])

    calls = bench.calls(3, 2)
    tree = Side(
        "scipy cKDTree", lambda _: _tree(bench, *pair), np.asarray, calls=calls, says="reads, builds, asks"
    )
    sides = [Side("Skygate", ours, np.asarray), tree]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:
        sql = (
            "SELECT a.other_id, b.object_id FROM others AS a, objects AS b "
            f"WHERE q3c_join(a.ra, a.dec, b.ra, b.dec, {RADIUS!r})"
        )

        def theirs(_: int) -> Any:
            connection.execute("SET enable_seqscan = off")
            found = copy_out(connection, sql, {"other_id": "i8", "object_id": "i8"})
            connection.execute("RESET enable_seqscan")
            return np.column_stack([found["other_id"], found["object_id"]])

        sides.append(Side("q3c_join", theirs, np.asarray, postgres.cpu_s))
    if not bench.smoke and find_spec("lsdb"):  # importing it alone takes long
        sides.append(Side("LSDB", lambda _: _lsdb(bench, *pair), np.asarray, says=_LSDB_SAYS, same=False))
    rows = bench.rows // 10
    return in_turn("join", f"{rows:,} × {bench.rows:,} rows of two tables within 1″, all pairs", sides, calls)


def join_of_small(bench: Bench) -> list[Line]:
    """The same of two smaller tables, without PostgreSQL: each call after one that is not measured."""
    pair = (FEWER, OTHERS, "other_id")
    text = _joined(*pair)

    def ours(_: int) -> Any:
        rows = bench.gate.query(text, maxrec=10_000_000).to_arrow()
        return np.column_stack([rows.column(n).to_numpy() for n in ("one", "two")])

    sides = [
        Side("Skygate", ours, np.asarray),
        Side("scipy cKDTree", lambda _: _tree(bench, *pair), np.asarray, says="reads, builds, asks"),
    ]
    if not bench.smoke and find_spec("lsdb"):
        sides.append(Side("LSDB", lambda _: _lsdb(bench, *pair), np.asarray, says=_LSDB_SAYS, same=False))
    for side in sides:
        side.ask(0)
    one, two = bench.rows // 20, bench.rows // 10
    said = f"{one:,} × {two:,} rows of two tables within 1″, all pairs"
    return in_turn("join-small", said, sides, bench.calls(5, 2))


_LSDB_SAYS = "no margins, so pairs across files are missing"


def _joined(one: str, other: str, identifier: str) -> str:
    return (
        f"SELECT a.other_id AS one, b.{identifier} AS two FROM {one} AS a JOIN {other} AS b "
        "ON 1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(a.ra, a.dec, 1.0/3600))"
    )


def _tree(bench: Bench, one: str, other: str, identifier: str) -> Any:
    """Read positions from the release, build both trees, ask for pairs: what a script would do."""
    from scipy.spatial import KDTree

    mine = columns_of(bench.root, one, ["other_id", "ra", "dec"])
    theirs = columns_of(bench.root, other, [identifier, "ra", "dec"])
    small, large = (KDTree(_xyz(t), balanced_tree=False, compact_nodes=False) for t in (mine, theirs))
    chord = 2 * np.sin(np.radians(RADIUS) / 2)
    pairs = small.sparse_distance_matrix(large, chord, output_type="ndarray")
    return np.column_stack([mine["other_id"][pairs["i"]], theirs[identifier][pairs["j"]]])


def _xyz(positions: dict[str, Any]) -> Any:
    ra, dec = np.radians(positions["ra"]), np.radians(positions["dec"])
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _lsdb(bench: Bench, one: str, other: str, identifier: str) -> Any:
    """Both tables of the release opened as HATS, matched by Dask's threads."""
    import dask
    import lsdb

    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        mine, theirs = (
            lsdb.open_catalog(_collection(bench, table), columns=[key, "ra", "dec"])
            for table, key in ((one, "other_id"), (other, identifier))
        )
        pairs = lsdb.crossmatch(
            mine,
            theirs,
            radius_arcsec=3600 * RADIUS,
            n_neighbors=20,
            suffixes=("_a", "_b"),
            suffix_method="all_columns",
        )
        with dask.config.set(scheduler="threads"):
            frame = pairs.compute()
    return frame[["other_id_a", f"{identifier}_b"]].to_numpy(dtype=np.int64)


def _collection(bench: Bench, full_name: str) -> Any:
    """The directory of a table that HATS readers open."""
    return next(p for p in parts(bench.root, full_name)[0].parents if (p / "hats.properties").exists())
