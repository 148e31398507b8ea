"""What was measured as JSON, as a table, and between the markers of docs/performance.md."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import Line

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_LIBRARIES = ("duckdb", "pyarrow", "numpy", "astropy", "polars", "scipy", "lsdb", "psycopg")


def machine() -> dict[str, Any]:
    """Where this runs: processor, cores, memory, system, and how busy it is."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 1),
    }


def versions(postgres: Any) -> dict[str, str]:
    """Of Skygate, Python, the libraries that took part, and PostgreSQL with its extensions."""
    found = {"skygate": metadata.version("skygate"), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if postgres is not None:
        found["postgresql"] = str(postgres.execute("SHOW server_version").fetchone()[0]).split()[0]
        rows = postgres.execute("SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'")
        found |= dict(rows.fetchall())
    return found


def report(
    lines: Sequence[Line], *, rows: int, told: dict[str, str], where: dict[str, Any], skipped: dict[str, str]
) -> dict[str, Any]:
    """Everything about one run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": rows,
        "machine": where,
        "versions": told,
        "skipped": skipped,
        "results": [asdict(line) for line in lines],
    }


def as_markdown(found: dict[str, Any]) -> str:
    """A paragraph on where and when, and a table."""
    where, told = found["machine"], found["versions"]
    names = ", ".join(f"{n} {v}" for n, v in told.items())
    text = [
        f"**{found['rows']:,} rows**, {found['date']}, {where['processor']}, {where['cores']} cores, "
        f"{where['memory_gib']} GiB, load {where['load']} at the start. {names}.",
        "",
        "| case | side | calls | median, ms | p99, ms | CPU, ms | wall ÷ Skygate's | CPU ÷ Skygate's "
        "| per second | same answers |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    said = ""
    for line in found["results"]:
        case = line["says"] if line["says"] != said else ""
        said = line["says"]
        agrees = {None: "", True: "yes", False: "**no**"}[line["agrees"]]
        rate = f"{line['per_second']:,.0f}" if line["per_second"] else ""
        p99 = _number(line["wall_p99_ms"]) if line["calls"] >= 100 else ""
        ratios = (f"{line[k]:.2f}" if line[k] is not None else "" for k in ("wall_ratio", "cpu_ratio"))
        note = f" ({line['note']})" if line["note"] else ""
        cells = (
            *(case, line["side"] + note, f"{line['calls']:,}", _number(line["wall_ms"]), p99),
            *(_number(line["cpu_ms"]), *ratios, rate, agrees),
        )
        text.append("| " + " | ".join(cells) + " |")
    for case, why in found["skipped"].items():
        text += ["", f"Not run: {case}: {why}."]
    return "\n".join(text) + "\n"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write_page(found: dict[str, Any], page: Path = PAGE) -> None:
    """Put the table between the markers; raises ValueError where they are not."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{as_markdown(found)}\n{END}{after}", encoding="utf-8")


def write_json(found: dict[str, Any], path: Path) -> None:
    """Everything, for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
