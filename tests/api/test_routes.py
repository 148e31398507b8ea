"""Each route: what it reads, what it calls, what it tells, and how it refuses."""

import io

import pyarrow as pa
import pytest

from houses_made import COLUMNS, STARS
from skygate import wire
from skygate.domain.catalog import Column, Release, Table
from skygate.errors import Busy, TooCostly


def refused(response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert (told["code"], told["status"]) == (code, status)
    return told


def stream_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


POSITIONS = pa.table({"ra": [1.0, 2.0], "dec": [3.0, 4.0], "mine": ["a", "b"]})


def test_releases_name_their_tables_and_hide_our_disk(api):
    response = api.get("/api/releases")
    (told,) = response.json()["releases"]
    release = wire.from_json(Release, told)
    assert (release.name, release.version, release.citation) == ("mini", "v1", "Doe 2020")
    assert [t.full_name for t in release.tables] == ["mini.stars"]
    assert release.tables[0].columns == ()
    for path in ("/api/releases", "/api/releases/mini", "/api/tables", "/api/tables/stars"):
        assert "/secret" not in api.get(path).text


def test_one_release_has_its_columns(api):
    release = wire.from_json(Release, api.get("/api/releases/mini").json())
    assert release.tables[0].columns == COLUMNS
    refused(api.get("/api/releases/none"), 404, "not_found")


def test_tables_come_back_as_the_domain_knows_them(api):
    (told,) = api.get("/api/tables").json()["tables"]
    table = wire.from_json(Table, told)
    assert table.columns == STARS.columns
    assert table.position == STARS.position
    assert api.get("/api/tables/mini.stars").json() == told
    assert refused(api.get("/api/tables/nix"), 404, "not_found")["hint"] == "did you mean stars?"


def test_check_tells_the_columns_without_running(api, house):
    told = api.post("/api/check", json={"query": "SELECT * FROM stars"}).json()
    assert tuple(wire.from_json(Column, c) for c in told["columns"]) == COLUMNS
    assert told["tables"] == ["mini.stars"]
    assert [c[0] for c in house.calls] == ["check"]


def test_a_bad_query_says_where(api):
    told = refused(api.post("/api/query", json={"query": "SELECT\n  mag_gg FROM stars"}), 400, "bad_query")
    assert told["where"] == {"line": 2, "column": 3, "token": "mag_gg", "start": 9, "end": 15}
    assert told["suggestions"] == ["mag_g"]


def test_query_answers_json_by_default_and_any_format_by_name(api, house):
    response = api.post("/api/query", json={"query": "SELECT * FROM stars", "maxrec": 7})
    assert house.calls[-1] == ("run", "SELECT * FROM stars", 7)
    told = response.json()
    infos = told["metadata"]["infos"]
    assert (infos["release"], infos["resource_version"], infos["checksum"]) == ("mini", "v1", "ab" * 32)
    assert infos["citation"] == "Doe 2020"
    assert told["data"][1] == [2**62 + 1, 359.9, 89.0, None, None]
    assert told["overflow"] is False
    assert response.headers["x-skygate-overflow"] == "false"
    for name, kind in (
        ("csv", "text/csv"),
        ("votable", "application/x-votable+xml"),
        ("fits", "application/fits"),
    ):
        response = api.post("/api/query", json={"query": "SELECT 1", "format": name})
        assert response.headers["content-type"].startswith(kind)
        assert response.content
    told = refused(api.post("/api/query", json={"query": "SELECT 1", "format": "docx"}), 400, "bad_parameter")
    assert told["where"]["name"] == "format"


def test_cone_by_get_and_by_post(api, house):
    asked = {"table": "stars", "ra_deg": 370.5, "dec_deg": -5, "radius_deg": 0.1, "maxrec": 5}
    assert api.post("/api/cone", json={**asked, "columns": ["id", "ra"]}).status_code == 200
    assert api.get("/api/cone", params={**asked, "columns": ["id", "ra"]}).status_code == 200
    assert house.calls[0] == house.calls[1]
    kind, table, circle, columns, maxrec = house.calls[0]
    assert (kind, table, list(columns), maxrec) == ("cone", "stars", ["id", "ra"], 5)
    assert (circle.center.ra_deg, circle.center.dec_deg, circle.radius_deg) == (10.5, -5, 0.1)
    refused(api.get("/api/cone", params={**asked, "table": "none"}), 404, "not_found")


def test_crossmatch_reads_arrow_and_answers_arrow(api, house):
    response = api.post(
        "/api/crossmatch",
        params={"table": "stars", "radius_deg": "0.001", "nearest": True, "columns": ["id"], "maxrec": 9},
        content=stream_of(POSITIONS),
    )
    assert response.status_code == 200, response.text
    kind, table, positions, radius_deg, more = house.calls[0]
    assert (kind, table, radius_deg) == ("crossmatch", "stars", 0.001)
    assert positions.equals(POSITIONS)
    assert (more["nearest"], list(more["columns"]), more["maxrec"]) == (True, ["id"], 9)
    assert pa.ipc.open_stream(response.content).read_all().column_names == ["id"]


def broken_strings() -> bytes:
    """A stream whose offsets point outside of their data."""
    bad = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\xff\xff\0\0\x05\0\0\0"), pa.py_buffer(b"abcde")
    )
    batch = pa.record_batch([pa.array([1.0, 2.0]), pa.array([1.0, 2.0]), bad], names=["ra", "dec", "t"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        stream_of(POSITIONS)[:-40],
        stream_of(POSITIONS)[:100],
        b"\xff" * 64,
        broken_strings(),
    ],
    ids=["empty", "nonsense", "cut late", "cut early", "ones", "bad offsets"],
)
def test_positions_that_are_no_arrow_stream_are_refused(api, body):
    response = api.post("/api/crossmatch", params={"table": "stars", "radius_deg": 1}, content=body)
    if body == stream_of(POSITIONS)[:-40] and response.status_code == 200:
        pytest.skip("Arrow takes a stream without its end mark as whole")
    refused(response, 400, "bad_parameter")


@pytest.mark.parametrize(
    ("method", "path", "more", "name"),
    [
        ("POST", "/api/query", {"json": {}}, "query"),
        ("POST", "/api/query", {"json": {"query": 5}}, "query"),
        ("POST", "/api/query", {"json": {"query": "x", "maxrec": -1}}, "maxrec"),
        ("POST", "/api/query", {"json": {"query": "x", "maxrec": 10**30}}, "maxrec"),
        ("POST", "/api/query", {"json": {"query": "x", "colour": 1}}, "colour"),
        ("POST", "/api/query", {"json": [1, 2]}, "the request body"),
        ("POST", "/api/query", {"content": b"{", "headers": {"content-type": "application/json"}}, None),
        (
            "POST",
            "/api/query",
            {"content": b'{"query": "\\ud800"}', "headers": {"content-type": "application/json"}},
            None,
        ),
        (
            "POST",
            "/api/query",
            {"content": b'{"query": "a\\u0000"}', "headers": {"content-type": "application/json"}},
            None,
        ),
        (
            "POST",
            "/api/query",
            {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}},
            None,
        ),
        (
            "POST",
            "/api/query",
            {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
            None,
        ),
        (
            "POST",
            "/api/cone",
            {"json": {"table": "t", "ra_deg": 1, "dec_deg": 91, "radius_deg": 1}},
            "dec_deg",
        ),
        (
            "POST",
            "/api/cone",
            {
                "content": b'{"table": "t", "ra_deg": NaN, "dec_deg": 1, "radius_deg": 1}',
                "headers": {"content-type": "application/json"},
            },
            None,
        ),
        ("GET", "/api/cone", {"params": {"table": "t"}}, None),
        (
            "GET",
            "/api/cone",
            {"params": {"table": "t", "ra_deg": "x", "dec_deg": 1, "radius_deg": 1}},
            "ra_deg",
        ),
        ("POST", "/api/crossmatch", {"params": {"table": "t", "radius_deg": 200}}, "radius_deg"),
    ],
)
def test_a_malformed_request_names_its_field(api, method, path, more, name):
    response = api.request(method, path, **more)
    assert response.status_code == 400, response.text
    told = response.json()
    assert told["code"] in ("bad_parameter", "caller_error")
    assert "Traceback" not in response.text
    if name is not None:
        assert told["where"]["name"] == name


def test_neighbours_and_limits_have_their_statuses(api, house):
    house.fault = Busy("every place is taken", retry_after_s=7)
    response = api.post("/api/query", json={"query": "SELECT 1"})
    assert refused(response, 503, "busy")["retry_after_s"] == 7
    assert response.headers["retry-after"] == "7"
    house.fault = TooCostly("ran for 60 s", hint="narrow it")
    refused(api.post("/api/query", json={"query": "SELECT 1"}), 422, "too_costly")


def test_our_own_fault_keeps_its_secrets(api, house):
    house.fault = RuntimeError("password 1234")
    response = api.post("/api/query", json={"query": "SELECT 1"})
    assert "1234" not in response.text
    assert refused(response, 500, "house_error")["incident"]


def test_what_is_not_there(api):
    refused(api.get("/api/nothing"), 404, "not_found")
    assert api.get("/api/query").status_code == 405


def test_the_description_is_ours_and_names_every_route(api):
    told = api.get("/api/openapi.json").json()
    assert set(told["paths"]) == {
        "/releases",
        "/releases/{name}",
        "/tables",
        "/tables/{full_name}",
        "/check",
        "/query",
        "/cone",
        "/crossmatch",
        "/density",
        "/density/sky",
    }
    assert told["servers"] == [{"url": "http://localhost/api"}]
    assert api.get("/api/docs").status_code == 404
    columns = told["components"]["schemas"]["Column"]["properties"]
    assert {"name", "datatype", "unit", "ucd"} <= set(columns)


def test_every_route_declares_who_may_call_it(house):
    from houses_made import app_of
    from skygate.doorway.policy import declared

    found = list(declared(app_of(house).routes))
    assert len(found) >= 9
    assert [d.path for d in found if d.policy is None] == []
