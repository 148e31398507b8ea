"""The real house through the API: every format of a real answer, read back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import h5py
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from starlette.testclient import TestClient

from releases_made import make_release
from skygate.app import create_app
from skygate.assembly import open_house
from skygate.formats import media
from skygate.settings import Settings

QUERY = "SELECT TOP 500 * FROM mini.stars ORDER BY id"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    settings = Settings(root=root)
    with TestClient(create_app(open_house(settings), settings), base_url="http://localhost") as client:
        yield client


def answer(api, form: str) -> bytes:
    response = api.post("/api/query", json={"query": QUERY, "format": form})
    assert response.status_code == 200, response.text
    return response.content


@pytest.mark.parametrize("form", media.FORMATS, ids=lambda f: f.name)
def test_every_format_holds_every_row(api, form):
    data = answer(api, form.short_names[0])
    readers = {
        "csv": lambda b: pd.read_csv(io.BytesIO(b)),
        "tsv": lambda b: pd.read_csv(io.BytesIO(b), sep="\t"),
        "json": lambda b: json.loads(b)["data"],
        "arrow": lambda b: pa.ipc.open_stream(b).read_all(),
        "parquet": lambda b: pq.read_table(io.BytesIO(b)),
        "fits": lambda b: Table.read(io.BytesIO(b), format="fits"),
        "hdf5": lambda b: Table.read(h5py.File(io.BytesIO(b)), path="table"),
    }
    read = readers.get(form.name, lambda b: Table.read(io.BytesIO(b), format="votable"))
    assert len(read(data)) == 500


@pytest.mark.system
@pytest.mark.skipif(shutil.which("stilts") is None, reason="needs STILTS (Debian package stilts)")
@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b"])
def test_votlint_finds_nothing_in_a_real_answer(api, form, tmp_path):
    path = tmp_path / "answer.vot"
    path.write_bytes(answer(api, form))
    lint = subprocess.run(["stilts", "votlint", str(path)], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test_serialisations_agree_to_the_last_bit(api):
    whole = pa.ipc.open_stream(answer(api, "arrow")).read_all()
    for form in ("votable", "votable/td", "votable/b"):
        table = Table.read(io.BytesIO(answer(api, form)), format="votable")
        assert table["ra"].tolist() == whole["ra"].to_pylist()
        assert table["id"].tolist() == whole["id"].to_pylist()
        assert table["mag_g"].filled(-1).tolist() == [
            -1 if v is None else v for v in whole["mag_g"].to_pylist()
        ]


def test_a_cut_answer_is_flagged_in_head_and_body(api):
    response = api.post("/api/query", json={"query": "SELECT id FROM mini.stars", "maxrec": 10})
    assert response.headers["x-skygate-overflow"] == "true"
    assert response.json()["overflow"] is True
    assert response.json()["rows"] == 10


def test_right_ascension_wraps_in_a_crossmatch(api):
    here = api.post(
        "/api/query", json={"query": "SELECT TOP 5 id, ra, dec FROM mini.stars", "format": "arrow"}
    )
    known = pa.ipc.open_stream(here.content).read_all()
    sink = pa.BufferOutputStream()
    sent = pa.table({"ra": pc.add(known["ra"], 360.0), "dec": known["dec"]})
    with pa.ipc.new_stream(sink, sent.schema) as writer:
        writer.write_table(sent)
    got = api.post(
        "/api/crossmatch",
        params={"table": "mini.stars", "radius_deg": 1e-6, "format": "arrow"},
        content=sink.getvalue().to_pybytes(),
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    )
    assert got.status_code == 200, got.text
    found = pa.ipc.open_stream(got.content).read_all()
    assert set(known["id"].to_pylist()) <= set(found["id"].to_pylist())


def test_every_door_says_which_release_it_answers_from(api):
    adql = "SELECT TOP 1 id FROM stars"
    said = api.get("/tap/sync", params={"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "json"}).json()
    infos = said["metadata"]["infos"]
    assert (infos["release"], infos["resource_version"], infos["rights"]) == ("mini", "1", "CC0-1.0")
    assert len(infos["checksum"]) == 64
    assert infos["service_protocol"].startswith("ivo://ivoa.net/std/TAP")
    cone = api.get("/cone/mini.stars", params={"RA": 210.8, "DEC": 54.35, "SR": 0.01})
    assert '<INFO name="release" value="mini"/>' in cone.text
    hidden = api.post("/api/query", json={"query": "SELECT TOP 1 * FROM TAP_SCHEMA.tables"}).json()
    assert "release" not in hidden["metadata"]["infos"]
