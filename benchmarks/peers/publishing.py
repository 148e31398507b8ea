"""From a FITS file to what can be asked: a whole publication, and a loaded, indexed PostgreSQL table.

PostgreSQL's figure leaves out reading the file, checking it and sorting its rows: those come as arrays in
memory, in the order of the sky. What is counted is COPY and the pgSphere index.
"""

from __future__ import annotations

import shutil

from benchmarks.peers.bench import Bench, fits_of_objects
from benchmarks.peers.measure import Line, with_ratios
from benchmarks.publish import FIELDS, run

STEPS = ("COPY objects", "pgSphere index")


def publishing(bench: Bench) -> list[Line]:
    """Seconds of each, once."""
    path = fits_of_objects(bench.folder, bench.rows)
    root = bench.folder / "root-of-publishing"
    shutil.rmtree(root, ignore_errors=True)
    try:
        ours = run(path, root, bench.rows)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    said = f"publish {bench.rows:,} rows × {len(FIELDS)} columns from FITS"
    note = f"peak memory {ours['peak_anonymous_gib']} GiB; reads, checks, describes, sorts, writes"
    lines = [_line(said, "Skygate", bench.rows, ours["seconds"], ours["cpu_seconds"], note)]
    if bench.loaded:
        wall, cpu = (sum(bench.loaded[s][i] for s in STEPS) for i in (0, 1))
        note = "binary COPY of sorted arrays and the pgSphere index only"
        lines.append(_line(said, "PostgreSQL", bench.rows, wall, cpu, note))
    return with_ratios(lines)


def _line(said: str, side: str, rows: int, wall_s: float, cpu_s: float, note: str) -> Line:
    wall = round(1000 * wall_s, 1)
    return Line("publish", said, side, 1, rows, wall, wall, round(1000 * cpu_s, 1), None, note, rows / wall_s)
