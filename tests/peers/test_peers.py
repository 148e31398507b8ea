"""The benchmarks run, and every side gives the same answers; figures mean nothing at this size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import report
from benchmarks.peers.__main__ import CASES

ROOT = Path(__file__).parents[2]
PEERS = {
    "cone-1s": {"pgSphere", "q3c"},
    "cone-1m": {"pgSphere", "q3c"},
    "cone-1d": {"pgSphere", "q3c"},
    "box": {"q3c_poly_query"},
    "histogram-2d": {"PostgreSQL", "DuckDB's SQL"},
    "crossmatch": {"q3c_join"},
    "join": {"q3c_join", "scipy cKDTree"},
    "join-small": {"scipy cKDTree"},
    "crowd": {"pgSphere"},
    "export-votable-fixed": {"astropy"},
    "export-votable-variable": {"astropy"},
    "export-fits": {"astropy"},
    "export-csv": {"polars"},
}
"""Who is beside Skygate in a case; else it is PostgreSQL alone."""
NO_DATABASE = {"scipy cKDTree", "astropy", "polars", "DuckDB's SQL"}

pytestmark = pytest.mark.xdist_group("benchmarks")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("peers")
    command = [sys.executable, "-m", "benchmarks.peers", "--smoke", "--data", str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert not list(folder.glob("objects-*")), "what it made is still there"
    return json.loads((folder / "peers.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_every_side_gives_the_same_answers(found: dict[str, Any], case: str) -> None:
    sides = {line["side"]: line for line in found["results"] if line["case"] == case}
    missing = found["skipped"].get("PostgreSQL")
    wanted = PEERS.get(case, {"PostgreSQL"})
    assert set(sides) == {"Skygate"} | (wanted & NO_DATABASE if missing else wanted)
    for line in sides.values():
        assert line["agrees"] is not False, line["note"]
        assert line["wall_ms"] > 0
        assert line["rows"] > 0
    if missing and not wanted <= NO_DATABASE:
        pytest.skip(f"without its database: {missing}")


def test_the_page_gets_the_table_between_its_markers(found: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    report.write_page(found, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| Skygate") == len({line["case"] for line in found["results"]})
    assert report.BEGIN in report.PAGE.read_text()
