"""What comes with a request, whatever its encoding."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from skygate.domain.account import Policy
from skygate.doorway.params import collect
from skygate.doorway.policy import route


@pytest.fixture
def client(app_of):
    async def door(request: Request) -> Response:
        found = await collect(request, max_text_bytes=2000, max_bytes=10_000)
        return JSONResponse(
            {
                "pairs": found.pairs,
                "files": found.files,
                "query": found.every("QUERY"),
                "one": found.one("LANG"),
                "upload": found.has("UPLOAD"),
            }
        )

    return TestClient(app_of(route("/x", door, methods=("GET", "POST"), policy=Policy.PUBLIC)))


def test_names_have_no_case_and_values_do(client):
    assert client.get("/x?quErY=aB&lang=ADQL&empty=").json() == {
        "pairs": [["quErY", "aB"], ["lang", "ADQL"], ["empty", ""]],
        "files": [],
        "query": ["aB"],
        "one": "ADQL",
        "upload": False,
    }


def test_query_string_and_form_add_up(client):
    assert client.post("/x?QUERY=a", data={"query": "ü +%"}).json()["query"] == ["a", "ü +%"]


def test_multipart_text_and_files(client):
    reply = client.post("/x", data={"QUERY": "ü"}, files={"UPLOAD": ("t.xml", b"<x/>")}).json()
    assert reply["query"] == ["ü"]
    assert reply["files"] == ["UPLOAD"]
    assert reply["upload"] is True


def test_a_repeated_single_parameter_is_refused_by_name(client):
    reply = client.get("/x?LANG=a&lang=b")
    assert reply.status_code == 400
    assert reply.json()["where"]["name"] == "LANG"


BAD = [
    (400, {"url": "/x?a=%ff"}),
    (400, {"url": "/x?a=%00"}),
    (400, {"url": "/x?a=%1b[2J"}),
    (400, {"url": "/x?a=%ed%a0%80"}),
    (413, {"url": "/x?" + "&".join("a=1" for _ in range(1100))}),
    (413, {"content": b"a=" + b"x" * 3000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
    (400, {"content": b"{}", "headers": {"Content-Type": "application/json"}}),
    (400, {"content": b"--b\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}),
    (400, {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
    (400, {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b; charset=klingon"}}),
    (413, {"files": {"f": ("f", b"x" * 20_000)}}),
    (400, {"data": {"q": "x" * 3000}, "files": {"f": ("f", b"x")}}),
]


@pytest.mark.parametrize(("status", "request_"), BAD)
def test_what_is_no_form_is_refused(client, status, request_):
    request_ = {"url": "/x", "method": "GET" if "url" in request_ else "POST", **request_}
    reply = client.request(**request_)
    assert reply.status_code == status, reply.text
    assert reply.json()["code"] in ("bad_parameter", "too_large")


def test_a_body_without_length_is_bounded_too(client):
    def chunks():
        for _ in range(100):
            yield b"a=" + b"x" * 1000 + b"&"

    reply = client.post("/x", content=chunks(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status_code == 413
