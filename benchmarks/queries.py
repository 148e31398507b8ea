"""Queries over HTTP on the demo's `gaia`, beside DuckDB alone reading the same Parquet in the same run.

    python -m benchmarks.queries --root skygate-data --repeat 15

The ratio says what the whole service (HTTP, ADQL, walls, spool, writer) adds to the engine. Prints a table of
medians in milliseconds. Publishes the demo when it is not there.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx2

from skygate.demo import recipe_path
from skygate.stores.releases import FolderReleases

CONE = "1 = CONTAINS(POINT(ra, dec), CIRCLE(83.8, -5.4, 1))"
HAVERSINE = (
    "2 * degrees(asin(sqrt(power(sin(radians(dec + 5.4) / 2), 2) + cos(radians(dec)) * cos(radians(-5.4))"
    " * power(sin(radians(ra - 83.8) / 2), 2)))) <= 1 AND dec BETWEEN -6.4 AND -4.4"
)
CASES: tuple[tuple[str, str, str, str], ...] = (
    ("COUNT(*)", "csv", "SELECT COUNT(*) AS n FROM gaia", "SELECT COUNT(*) FROM {gaia}"),
    (
        "GROUP BY",
        "csv",
        "SELECT FLOOR(phot_g_mean_mag) AS m, COUNT(*) AS n FROM gaia GROUP BY FLOOR(phot_g_mean_mag)",
        "SELECT floor(phot_g_mean_mag), COUNT(*) FROM {gaia} GROUP BY 1",
    ),
    (
        "1° cone",
        "csv",
        f"SELECT source_id, ra, dec FROM gaia WHERE {CONE}",
        f"SELECT source_id, ra, dec FROM {{gaia}} WHERE {HAVERSINE}",
    ),
    (
        "100 k rows, VOTable",
        "votable",
        "SELECT TOP 100000 source_id, ra, dec, phot_g_mean_mag FROM gaia",
        "SELECT source_id, ra, dec, phot_g_mean_mag FROM {gaia} LIMIT 100000",
    ),
    (
        "100 k rows, CSV",
        "csv",
        "SELECT TOP 100000 source_id, ra, dec, phot_g_mean_mag FROM gaia",
        "SELECT source_id, ra, dec, phot_g_mean_mag FROM {gaia} LIMIT 100000",
    ),
)


def timed(act: Callable[[], object], repeat: int) -> float:
    """Median milliseconds of `act`, after one call that does not count."""
    act()
    taken = []
    for _ in range(repeat):
        began = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def measure(url: str, gaia: str, repeat: int) -> list[tuple[str, float, float]]:
    """(case, ours, DuckDB's) for each case, taken in turn."""
    found = []
    with httpx2.Client(base_url=url, timeout=120) as client, duckdb.connect() as peer:

        def ask(form: str, adql: str) -> object:
            sent = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": form, "MAXREC": "1000000"}
            return client.post("/tap/sync", data=sent).raise_for_status().content

        for name, form, adql, sql in CASES:
            ours = timed(lambda form=form, adql=adql: ask(form, adql), repeat)
            text = sql.format(gaia=gaia)
            theirs = timed(lambda text=text: peer.sql(text).to_arrow_table(), repeat)
            found.append((name, ours, theirs))
    return found


def main() -> None:
    """Publish the demo if need be, serve it, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=None, help="where the demo is, or is to be, published")
    parser.add_argument("--repeat", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.root or Path(scratch)
        run = [sys.executable, "-c", "from skygate.cli import main; main()"]
        subprocess.run([*run, "publish", str(recipe_path()), "--root", str(root)], check=True)
        tables = FolderReleases(root).load("bright_sky").tables
        parts = next(t.parts for t in tables if t.name == "gaia")
        files = ", ".join(f"'{p.path}'" for p in parts)
        server = subprocess.Popen(
            [*run, "serve", "--root", str(root), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SKYGATE__LOG__LEVEL": "warning"},
        )
        try:
            url = None
            while url is None:
                line = server.stderr.readline() if server.stderr else ""
                if not line and server.poll() is not None:
                    raise SystemExit("the server did not start")
                if found := re.search(r" at (http://\S+?)/?\s*$", line):
                    url = found.group(1)
            print(f"{'case':<22}{'Skygate over HTTP, ms':>24}{'DuckDB alone, ms':>20}{'ratio':>8}")
            relation = f"read_parquet([{files}], hive_partitioning=false)"
            for name, ours, theirs in measure(url, relation, asked.repeat):
                print(f"{name:<22}{ours:>24.1f}{theirs:>20.1f}{ours / theirs:>8.2f}")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


if __name__ == "__main__":
    main()
