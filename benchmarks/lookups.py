"""Cones, identifiers and a match on mapped columns, beside the same questions by SQL, in one run.

    python -m benchmarks.lookups --rows 2000000
    python -m benchmarks.lookups --rows 20000000 --root /big/disk/root

The client works in process over a table of 40 columns (that of `benchmarks.publish`); rows come with all of
them, a match's with six. The SQL way is the same client over the same release without its caches. Wall is
the median of a question, CPU the mean, in ms. Positions are those of rows, picked by chance.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import skygate
from benchmarks import publish
from skygate.assembly import cache_builder
from skygate.services.queries import QueriesService
from skygate.settings import Settings
from skygate.stores.releases import FolderReleases

MATCHED = 100_000
COLUMNS = ["object_id", "ra", "dec", "tile", "mag_auto_g", "mag_auto_r"]


def prepared(root: Path, rows: int) -> tuple[str, float]:
    """The table of the release, made and warmed where need be; and how many seconds its cache took."""
    store = FolderReleases(root)
    if not store.names():
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            path = publish.source(Path(scratch), "fits", rows)
            publish.run(path, root, rows)
    release = store.load(store.names()[0])
    builder, began = cache_builder(Settings()), time.perf_counter()
    for table in builder.missing(release):
        builder.build(release, table, lambda done: None)
    return release.tables[0].full_name, time.perf_counter() - began


def without_caches(client: skygate.client.Client) -> None:
    """Have a client in process answered by SQL alone."""
    queries: QueriesService = client._inside._house.queries
    queries._lookups._accelerator = None


def timed(ask: Callable[[int], object], count: int) -> dict[str, float]:
    """Median wall and mean CPU of a question in ms, and its mean number of rows."""
    for i in range(min(3, count)):
        ask(i)
    wall, rows, cpu = [], 0, time.process_time()
    for i in range(count):
        began = time.perf_counter()
        rows += len(ask(i))
        wall.append(1000 * (time.perf_counter() - began))
    used = 1000 * (time.process_time() - cpu) / count
    return {"wall_ms": statistics.median(wall), "cpu_ms": used, "rows": rows / count}


def measure(root: Path, table: str, repeat: int) -> list[dict[str, object]]:
    """One line for each question and way."""
    found: list[dict[str, object]] = []
    rng = np.random.default_rng(1)
    with skygate.connect(root) as mapped, skygate.connect(root) as sql:
        without_caches(sql)
        some = mapped.query(f"SELECT TOP 200000 object_id, ra, dec FROM {table}")
        pick = rng.permutation(len(some))
        ids, ra, dec = (some[name].to_numpy()[pick] for name in ("object_id", "ra", "dec"))
        near = rng.integers(0, len(some), MATCHED)
        sent = {"ra": ra[near] + rng.normal(0, 1e-4, MATCHED), "dec": dec[near]}
        fresh = itertools.count()  # every question is a new one

        def cone(client, radius):
            def ask(_):
                i = next(fresh) % len(ids)
                return client.cone(table, ra[i], dec[i], radius)

            return ask

        def identifier(client):
            return lambda _: client.query(
                f"SELECT * FROM {table} WHERE object_id = {ids[next(fresh) % len(ids)]}"
            )

        def match(client):
            return lambda _: client.crossmatch(table, sent, 1 / 3600, nearest=True, columns=COLUMNS)

        cases = (
            ('1" cone', lambda c: cone(c, 1 / 3600), 40 * repeat, repeat),
            ("1' cone", lambda c: cone(c, 1 / 60), 20 * repeat, repeat),
            ("1 deg cone", lambda c: cone(c, 1.0), 2 * repeat, max(3, repeat // 2)),
            ("identifier (ADQL)", identifier, 10 * repeat, max(3, repeat // 2)),
            (f"match of {MATCHED}", match, 3, 3),
        )
        for name, make, quick, slow in cases:
            for way, client, count in (("mapped", mapped, quick), ("sql", sql, slow)):
                found.append({"case": name, "way": way, **timed(make(client), count)})
    return found


def main() -> None:
    """Read the command line, prepare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument(
        "--root", type=Path, default=None, help="where the release is, or is to be, published"
    )
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.root or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        table, seconds = prepared(root, asked.rows)
        lines = measure(root, table, asked.repeat)
    if asked.json:
        print(json.dumps({"table": table, "cache_seconds": round(seconds, 1), "lines": lines}))
        return
    if seconds > 0.1:
        print(f"the cache of {table} took {seconds:.1f} s")
    print(f"{'question':<22}{'way':<10}{'wall ms':>10}{'CPU ms':>10}{'rows':>12}")
    for line in lines:
        print(
            f"{line['case']:<22}{line['way']:<10}{line['wall_ms']:>10.3f}{line['cpu_ms']:>10.3f}{line['rows']:>12.1f}"
        )


if __name__ == "__main__":
    main()
