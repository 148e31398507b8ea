"""Publishing at scale: makes a survey-like table, publishes it, says rows per second, CPU and peak memory.

    python -m benchmarks.publish --rows 20000000 --form fits
    python -m benchmarks.publish --rows 2000000 --form csv --data /big/disk --keep

Forty columns as of a wide photometric survey: identifier, position, tile, extinction, and seven
measurements in five bands. Rows come tile by tile, tiles in no order, as survey pipelines write them.
Prints one JSON object a run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

BANDS = "grizy"
CHUNK_ROWS = 500_000
TILE_ROWS = 10_000
DATA = Path(__file__).parent / "data"

FIELDS = [
    ("object_id", "i8"),
    ("ra", "f8"),
    ("dec", "f8"),
    ("tile", "S12"),
    ("ebv", "f4"),
    *[
        (f"{name}_{band}", kind)
        for name, kind in (
            ("mag_auto", "f4"),
            ("magerr_auto", "f4"),
            ("mag_psf", "f4"),
            ("magerr_psf", "f4"),
            ("spread_model", "f4"),
            ("class_star", "f4"),
            ("flags", "i2"),
        )
        for band in BANDS
    ],
]


def chunks(rows: int, *, seed: int = 1) -> Iterator[np.ndarray]:
    """Rows as structured arrays of at most `CHUNK_ROWS`."""
    rng = np.random.default_rng(seed)
    for start in range(0, rows, CHUNK_ROWS):
        count = min(CHUNK_ROWS, rows - start)
        out = np.zeros(count, dtype=FIELDS)
        tiles = -(-count // TILE_ROWS)
        tile_ra = np.repeat(rng.uniform(-60, 100, tiles), TILE_ROWS)[:count]
        tile_dec = np.repeat(np.degrees(np.arcsin(rng.uniform(-0.9, 0.09, tiles))), TILE_ROWS)[:count]
        out["object_id"] = start + np.arange(count)
        out["dec"] = tile_dec + rng.uniform(-0.37, 0.37, count)
        out["ra"] = (tile_ra + rng.uniform(-0.37, 0.37, count) / np.cos(np.radians(out["dec"]))) % 360
        names = np.char.mod("DES%09d", start // TILE_ROWS + np.arange(tiles))
        out["tile"] = np.repeat(names.astype("S12"), TILE_ROWS)[:count]
        out["ebv"] = rng.gamma(2, 0.02, count)
        base = 24.5 - rng.exponential(1.6, count)
        for number, band in enumerate(BANDS):
            mag = base - 0.35 * number + rng.normal(0, 0.3, count)
            out[f"mag_auto_{band}"] = mag
            out[f"magerr_auto_{band}"] = 0.002 + 10 ** (0.4 * (mag - 25))
            out[f"mag_psf_{band}"] = np.where(
                rng.uniform(size=count) < 0.02, 99, mag + rng.normal(0, 0.05, count)
            )
            out[f"magerr_psf_{band}"] = 0.002 + 10 ** (0.4 * (mag - 25.2))
            out[f"spread_model_{band}"] = rng.normal(0.002, 0.005, count)
            out[f"class_star_{band}"] = rng.beta(0.5, 0.5, count)
            out[f"flags_{band}"] = np.where(rng.uniform(size=count) < 0.9, 0, rng.integers(1, 16, count))
        yield out


def write_fits(path: Path, rows: int) -> None:
    """One binary table of any length, chunk after chunk."""
    from astropy.io import fits

    written = 0
    with path.open("wb") as out:
        out.write(fits.PrimaryHDU().header.tostring().encode())
        for chunk in chunks(rows):
            if not written:
                header = fits.BinTableHDU(chunk[:1]).header
                header["NAXIS2"] = rows
                header["EXTNAME"] = "OBJECTS"
                out.write(header.tostring().encode())
            big = chunk.astype(chunk.dtype.newbyteorder(">"))
            written += out.write(big.tobytes())
        out.write(b"\0" * (-written % 2880))


def write_csv(path: Path, rows: int) -> None:
    """The same rows as text."""
    import pyarrow as pa
    from pyarrow import csv

    writer = None
    for chunk in chunks(rows):
        columns = {
            name: pa.array(np.char.decode(chunk[name]) if kind == "S12" else chunk[name])
            for name, kind in FIELDS
        }
        table = pa.table(columns)
        if writer is None:
            writer = csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


WRITERS = {"fits": write_fits, "csv": write_csv}


def source(folder: Path, form: str, rows: int) -> Path:
    """The file of so many rows, made when it is not there."""
    path = folder / f"objects-{rows}.{form}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        WRITERS[form](fresh, rows)
        fresh.rename(path)
    return path


def _watch(pid: int, seen: dict[str, int], stop: threading.Event) -> None:
    """Peak memory of a process: all that is resident, and the part that is its own."""
    while not stop.wait(0.05):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        now = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
        for name in ("VmHWM", "RssAnon"):
            seen[name] = max(seen.get(name, 0), now.get(name, 0))


def run(path: Path, root: Path, rows: int, *, name: str = "bench", strict: bool = False) -> dict[str, Any]:
    """Publish a file by the command line, in a process of its own."""
    command = [sys.executable, "-c", "from skygate.cli import main; main()", "publish", name, str(path)]
    command += ["--root", str(root), "--json", "--no-warm"] + (["--strict"] if strict else [])
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen: dict[str, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(child.pid, seen, stop))
    watcher.start()
    assert child.stdout is not None
    answer = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    watcher.join()
    if child.returncode:
        raise SystemExit(f"publish failed with status {child.returncode}")
    published = json.loads(answer)
    size = sum(p.stat().st_size for p in Path(published["path"]).rglob("*.parquet"))
    return {
        "form": path.suffix[1:],
        "rows": rows,
        "columns": len(FIELDS),
        "source_bytes": path.stat().st_size,
        "release_bytes": size,
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_gib": round(seen["VmHWM"] / 2**20, 3),
        "peak_anonymous_gib": round(seen["RssAnon"] / 2**20, 3),
        "errors": published["errors"],
    }


def main() -> None:
    """Read the command line, run each form once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--form", choices=sorted(WRITERS), action="append")
    parser.add_argument("--data", type=Path, default=DATA, help="where the files and the release go")
    parser.add_argument("--keep", action="store_true", help="keep the source files for the next run")
    options = parser.parse_args()
    for form in options.form or ["fits", "csv"]:
        path = source(options.data, form, options.rows)
        root = options.data / f"root-{form}"
        shutil.rmtree(root, ignore_errors=True)
        try:
            print(json.dumps(run(path, root, options.rows)), flush=True)
        finally:
            shutil.rmtree(root, ignore_errors=True)
            if not options.keep:
                path.unlink()


if __name__ == "__main__":
    main()
