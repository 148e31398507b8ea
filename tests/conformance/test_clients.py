"""The clients that astronomers have: pyvo, and plain HTTP as proxies and browsers speak it."""

import json
import time
import warnings

import httpx2
import numpy as np
import pytest
import pyvo
from lxml import etree
from pyvo.dal.exceptions import DALOverflowWarning, DALQueryError

QUERY = {"LANG": "ADQL", "QUERY": "SELECT TOP 3 id, ra FROM mini.stars ORDER BY id"}


@pytest.fixture(scope="module")
def tap(service) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{service.url}/tap")


def test_pyvo_searches(tap):
    table = tap.search(QUERY["QUERY"]).to_table()
    assert len(table) == 3
    assert table["ra"].unit == "deg"


def test_pyvo_sees_tables_and_columns(tap):
    tables = tap.tables
    assert {"mini.stars", "mini.notes"} <= set(tables.keys())
    columns = {c.name: c for c in tables["mini.stars"].columns}
    assert columns["ra"].ucd == "pos.eq.ra;meta.main"
    assert "_healpix_29" not in columns


def test_pyvo_knows_limits_and_features(tap):
    assert tap.maxrec == 1500
    assert tap.hardlimit == 100_000
    assert not tap.upload_methods
    adql = tap.get_tap_capability().get_adql()
    assert adql.get_feature("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo", "CONTAINS")


def test_pyvo_warns_of_overflow(tap):
    with pytest.warns(DALOverflowWarning):
        assert len(tap.search("SELECT id FROM mini.stars")) == 1500
    found = tap.search("SELECT id FROM mini.stars", maxrec=2)  # as asked: pyvo does not warn
    assert len(found) == 2
    assert found.query_status == "OVERFLOW"
    with warnings.catch_warnings():
        warnings.simplefilter("error", DALOverflowWarning)
        tap.search("SELECT TOP 2 id FROM mini.stars")


def test_pyvo_shows_our_message(tap):
    with pytest.raises(DALQueryError, match="magg"):
        tap.search("SELECT magg FROM mini.stars")


def test_pyvo_is_available(tap):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyvo calls availability deprecated
        assert tap.available


def test_pyvo_cone_search(service):
    cone = pyvo.dal.SCSService(f"{service.url}/cone/mini.stars?")
    found = cone.search(pos=(210.8, 54.35), radius=0.05)
    assert len(found) > 10
    table = found.to_table()
    assert np.all(np.hypot((table["ra"] - 210.8) * np.cos(np.radians(54.35)), table["dec"] - 54.35) <= 0.0501)
    assert found.fieldname_with_ucd("meta.id;meta.main") == "id"
    sizes = [len(cone.search(pos=(210.8, 54.35), radius=0.05, verbosity=v).fieldnames) for v in (1, 2, 3)]
    assert sizes[0] == 3
    assert sizes[0] < sizes[1] <= sizes[2]


def test_cone_and_tap_agree(service, tap):
    cone = pyvo.dal.SCSService(f"{service.url}/cone/mini.stars").search(pos=(0.0, 0.0), radius=1.5)
    adql = tap.search("SELECT id FROM mini.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0.0, 0.0, 1.5))")
    assert sorted(cone.to_table()["id"]) == sorted(adql.to_table()["id"])
    assert len(cone) > 0


@pytest.mark.parametrize("path", ["/tap/capabilities", "/tap/tables", "/tap/availability", "/health"])
def test_head_is_answered(service, path):
    reply = httpx2.head(service.url + path)
    assert reply.status_code == 200
    assert reply.content == b""
    assert int(reply.headers["content-length"]) > 0


def test_head_of_a_query_and_of_a_cone(service):
    assert httpx2.head(f"{service.url}/tap/sync", params=QUERY).status_code == 200
    assert httpx2.head(f"{service.url}/tap/sync", params={**QUERY, "QUERY": "SELEKT"}).status_code == 400
    assert httpx2.head(f"{service.url}/cone/mini.stars?RA=1&DEC=1&SR=1").status_code == 200


def test_addresses_are_those_of_the_proxy(service):
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "data.example.org",
        "X-Forwarded-Prefix": "/sky",
    }
    top = etree.fromstring(httpx2.get(f"{service.url}/tap/capabilities", headers=forwarded).content)
    assert {e.text for e in top.iter("accessURL")} == {
        f"https://data.example.org/sky/tap{tail}"
        for tail in ("", "/capabilities", "/availability", "/tables")
    }


def test_a_long_answer_is_complete_and_chunked(service):
    reply = httpx2.get(
        f"{service.url}/tap/sync",
        params={**QUERY, "QUERY": "SELECT * FROM mini.stars", "FORMAT": "csv", "MAXREC": "99999"},
    )
    assert reply.status_code == 200
    lines = reply.text.count("\n")
    count = httpx2.get(
        f"{service.url}/tap/sync",
        params={**QUERY, "QUERY": "SELECT COUNT(*) AS n FROM mini.stars", "FORMAT": "csv"},
    )
    assert lines == int(count.text.split()[1]) + 1


def test_the_log_has_one_json_line_a_request(service):
    httpx2.get(f"{service.url}/tap/sync", params=QUERY, headers={"X-Request-Id": "find-me-1"})
    found: list[dict[str, object]] = []
    until = time.monotonic() + 10
    while not found and time.monotonic() < until:  # the answer may be here before its line is written
        lines = [json.loads(line) for line in service.said().splitlines() if line.startswith("{")]
        found = [n for n in lines if n.get("request_id") == "find-me-1" and n["logger"] == "skygate.requests"]
        time.sleep(0.05)
    [line] = found
    assert line["status"] == 200
    assert line["rows"] == 3
