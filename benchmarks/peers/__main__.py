"""Skygate beside PostgreSQL (q3c, pgSphere), scipy, LSDB, astropy and polars: same rows, same run.

python -m benchmarks.peers --rows 20000000 --keep --page
python -m benchmarks.peers --smoke --case cone-1s --case export-fits
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import skygate
from benchmarks.peers import cones, crowd, export, match, publishing, report, scans
from benchmarks.peers.bench import Bench, load_postgres, publish_all, sample_of, settle
from benchmarks.peers.measure import Line
from benchmarks.peers.postgres import Missing, cluster
from benchmarks.publish import DATA

ROWS, SMOKE_ROWS = 20_000_000, 20_000
_SAMPLE = 200_000

CASES: dict[str, tuple[Callable[[Bench], list[Line]], bool]] = {
    "cone-1s": (cones.cone_arcsec, True),
    "cone-1m": (cones.cone_arcmin, True),
    "cone-1d": (cones.cone_degree, True),
    "identifier": (cones.identifier, True),
    "identifiers": (cones.identifiers, True),
    "box": (cones.box, True),
    "histogram-2d": (scans.histogram, True),
    "cells-5": (scans.cells_5, True),
    "cells-9": (scans.cells_9, True),
    "crossmatch": (match.upload, True),
    "join": (match.join, False),
    "join-small": (match.join_of_small, False),
    "crowd": (crowd.crowd, True),
    "publish": (publishing.publishing, True),
    "export-votable-fixed": (export.votable_fixed, False),
    "export-votable-variable": (export.votable_variable, False),
    "export-fits": (export.fits_table, False),
    "export-csv": (export.csv, False),
}
"""Cases by name, and whether PostgreSQL is their only peer."""


def measure(
    rows: int, *, smoke: bool, cases: list[str], folder: Path, keep: bool, postgres: bool = True
) -> dict[str, object]:
    """Make the rows, publish, load, run the cases; gives the report."""
    where = report.machine()
    folder = folder.resolve()
    with contextlib.ExitStack() as stack:
        if not keep:
            stack.callback(shutil.rmtree, folder / f"objects-{rows}", ignore_errors=True)
        root = publish_all(folder, rows, keep=keep)
        gate = stack.enter_context(skygate.connect(root))
        bench = Bench(rows, smoke, folder, root, gate, sample_of(root, _SAMPLE))
        if postgres and any(CASES[name][1] or name == "join" for name in cases):
            try:
                bench.postgres = stack.enter_context(cluster())
                bench.connection = stack.enter_context(bench.postgres.connect())
                load_postgres(bench)
            except Missing as fault:
                bench.why_not = str(fault)
        elif not postgres:
            bench.why_not = "PostgreSQL was not asked for"
        settle(gate, root)  # last: loading the others takes our pages from memory
        lines: list[Line] = []
        skipped = dict.fromkeys(["PostgreSQL"], bench.why_not) if bench.why_not else {}
        for name in cases:
            case, _ = CASES[name]
            began = time.perf_counter()
            found = case(bench)
            lines += found
            for line in found:
                print(told(line), flush=True)
            print(f"   ({name}: {time.perf_counter() - began:.0f} s)", flush=True)
        versions = report.versions(bench.connection)
        return report.report(lines, rows=rows, told=versions, where=where, skipped=skipped)


def told(line: Line) -> str:
    """One side of one case on one line."""
    agrees = {None: "", True: "same answers", False: "DIFFERENT ANSWERS"}[line.agrees]
    return (
        f"{line.case:<24}{line.side:<16}{line.wall_ms:>11.2f} ms  p99 {line.wall_p99_ms:>10.2f}  "
        f"CPU {line.cpu_ms:>10.2f}  x{line.wall_ratio or 0:<8.2f} CPU x{line.cpu_ratio or 0:<8.2f} "
        f"{agrees} {line.note}"
    ).rstrip()


def main() -> None:
    """Read the command line, measure, tell."""
    os.environ.setdefault(
        "SKYGATE__QUERIES__SYNC_SECONDS", "3600"
    )  # a join of whole tables is one query here
    os.environ.setdefault("SKYGATE__LOG__LEVEL", "error")
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--rows", type=int, default=ROWS)
    size.add_argument("--smoke", action="store_true", help=f"{SMOKE_ROWS} rows, few calls: does it all run?")
    parser.add_argument(
        "--case", choices=list(CASES), action="append", help="only this one (may be repeated)"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="where files and releases go")
    parser.add_argument("--keep", action="store_true", help="keep them for the next run")
    parser.add_argument("--no-postgres", action="store_true", help="leave PostgreSQL out")
    parser.add_argument("--json", type=Path, help="also write everything there, as JSON")
    parser.add_argument("--page", action="store_true", help="put the table into docs/performance.md")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is cleaned up, too
    found = measure(
        SMOKE_ROWS if asked.smoke else asked.rows,
        smoke=asked.smoke,
        cases=asked.case or list(CASES),
        folder=asked.data,
        keep=asked.keep,
        postgres=not asked.no_postgres,
    )
    print("\n" + report.as_markdown(found))
    report.write_json(found, asked.json or asked.data / "peers.json")
    if asked.page:
        report.write_page(found)
    if any(line["agrees"] is False for line in found["results"]):  # type: ignore[attr-defined]
        raise SystemExit("some answers differ")


if __name__ == "__main__":
    main()
