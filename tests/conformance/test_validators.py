"""The field's own validators: taplint for the service, votlint for what it sends."""

import re
import subprocess
from pathlib import Path

import httpx2
import pytest

STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO MDQ"
QUERY = "SELECT TOP 50 * FROM mini.stars"


@pytest.mark.system
def test_taplint_finds_nothing(service, stilts):
    done = subprocess.run(
        [stilts, "taplint", f"tapurl={service.url}/tap", f"stages={STAGES}", "maxrepeat=3"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    totals = re.search(r"Totals: Errors: (\d+); Warnings: (\d+);.* Failures: (\d+)", done.stdout)
    assert totals is not None, done.stdout + done.stderr
    assert totals.groups() == ("0", "0", "0"), "\n".join(re.findall(r"^[EWF]-.*", done.stdout, re.MULTILINE))


@pytest.mark.system
@pytest.mark.parametrize("serialization", ["TABLEDATA", "BINARY", "BINARY2"])
@pytest.mark.parametrize("query", [QUERY, "SELECT * FROM mini.notes", "SELECT * FROM tap_schema.columns"])
def test_votlint_finds_nothing(service, stilts, tmp_path: Path, serialization, query):
    lint(service, stilts, tmp_path, "/tap/sync", {
        "LANG": "ADQL",
        "QUERY": query,
        "RESPONSEFORMAT": f"application/x-votable+xml;serialization={serialization}",
    })  # fmt: skip


@pytest.mark.system
@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/tap/sync", {"LANG": "ADQL", "QUERY": QUERY, "MAXREC": "0"}),
        ("/tap/sync", {"LANG": "ADQL", "QUERY": QUERY, "MAXREC": "5"}),
        ("/tap/sync", {"LANG": "ADQL", "QUERY": "SELECT nothing FROM nowhere"}),
        ("/tap/sync", {"QUERY": "no language"}),
        ("/cone/mini.stars", {"RA": "210.8", "DEC": "54.35", "SR": "0.1", "VERB": "3"}),
        ("/cone/mini.stars", {"RA": "210.8", "DEC": "54.35", "SR": "0"}),
        ("/cone/mini.stars", {"RA": "210.8", "DEC": "91", "SR": "1"}),
    ],
)
def test_votlint_finds_nothing_in_ends_and_errors(service, stilts, tmp_path: Path, path, params):
    lint(service, stilts, tmp_path, path, params)


def lint(service, stilts, directory: Path, path: str, params: dict[str, str]) -> None:
    file = directory / "answer.vot"
    file.write_bytes(httpx2.get(service.url + path, params=params, timeout=60).content)
    done = subprocess.run(
        [stilts, "votlint", f"votable={file}"], capture_output=True, text=True, timeout=120, check=False
    )
    said = [
        line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("ERROR", "WARNING"))
    ]
    assert said == []
    assert done.returncode == 0


@pytest.mark.system
def test_topcats_library_asks_and_reads(service, stilts, tmp_path: Path):
    out = tmp_path / "out.csv"
    asked = {
        "tapquery": [f"tapurl={service.url}/tap", "adql=SELECT TOP 4 id, ra FROM mini.stars", "sync=true"],
        "cone": [f"serviceurl={service.url}/cone/mini.stars?", "lon=210.8", "lat=54.35", "radius=0.02"],
    }
    for task, arguments in asked.items():
        done = subprocess.run(
            [stilts, task, *arguments, f"out={out}", "ofmt=csv"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = out.read_text().splitlines()
        assert lines[0].startswith("id,ra")
        assert len(lines) > 4
