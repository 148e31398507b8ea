"""What every request gets: an id, headers, one log line, and faults told without their insides."""

import json
import logging

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from skygate import errors as tree
from skygate.domain.account import Policy
from skygate.doorway import errors, logs
from skygate.doorway.policy import declare, declared, route
from skygate.doorway.requests import is_head

FAULTS = [
    (tree.BadParameter("a"), 400),
    (tree.BadQuery("a", suggestions=("b",)), 400),
    (tree.BadRegion("a"), 400),
    (tree.NotFound("a"), 404),
    (tree.NotAllowed("a"), 403),
    (tree.TooCostly("a"), 422),
    (tree.TooLarge("a"), 413),
    (tree.Cancelled("a"), 409),
    (tree.Busy("a", retry_after_s=7), 503),
    (tree.EngineAway("a"), 503),
]


@pytest.fixture
def client(app_of):
    async def fail(request: Request) -> Response:
        index = request.path_params["index"]
        if index == "secret":
            raise ValueError("the password is swordfish")
        if index == "broken":
            raise tree.BrokenRelease("/srv/data/secret.parquet is damaged")
        raise FAULTS[int(index)][0]

    async def fine(request: Request) -> Response:
        return PlainTextResponse("head" if is_head(request) else "fine")

    return TestClient(
        app_of(
            route("/fail/{index}", fail, methods=("GET",), policy=Policy.PUBLIC),
            route("/tap/fine", fine, methods=("GET", "POST"), policy=Policy.PUBLIC),
            route("/fine", fine, methods=("GET",), policy=Policy.PUBLIC),
        )
    )


@pytest.mark.parametrize("index", range(len(FAULTS)))
def test_each_class_has_its_status_and_comes_back_as_itself(client, index):
    fault, status = FAULTS[index]
    reply = client.get(f"/fail/{index}")
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == fault.code
    if status == 503:
        assert int(reply.headers["retry-after"]) == fault.retry_after_s


def test_every_class_of_the_tree_has_a_status():
    for cls in tree.by_code().values():
        assert 400 <= errors.status_of(cls("x")) <= 503


@pytest.mark.parametrize("what", ["secret", "broken"])
def test_our_own_faults_are_logged_and_not_told(client, caplog, what):
    with caplog.at_level(logging.ERROR):
        reply = client.get(f"/fail/{what}", headers={"X-Request-Id": "abc-123"})
    assert reply.status_code == 500
    assert "swordfish" not in reply.text
    assert "/srv" not in reply.text
    assert "Traceback" not in reply.text
    assert reply.json()["incident"] == "abc-123"
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.fields["incident"] == "abc-123"


def test_ids_go_in_and_out_and_strange_ones_are_replaced(client):
    assert client.get("/fine", headers={"X-Request-Id": "a.b:c-1"}).headers["x-request-id"] == "a.b:c-1"
    made = client.get("/fine", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert len(made) == 32
    assert client.get("/fine").headers["x-request-id"] != client.get("/fine").headers["x-request-id"]


def test_head_is_answered_where_get_is(client):
    reply = client.head("/fine")
    assert reply.status_code == 200
    assert reply.content == b""
    assert reply.headers["content-length"] == "4"


def test_headers_of_the_house(client):
    reply = client.get("/fine")
    assert reply.headers["server"].startswith("Skygate/")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert "access-control-allow-origin" not in reply.headers
    assert client.get("/tap/fine").headers["access-control-allow-origin"] == "*"
    preflight = client.options("/tap/fine", headers={"Origin": "https://x.example"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]


def test_unknown_paths_and_methods(client):
    assert client.get("/nothing").json()["code"] == "not_found"
    reply = client.post("/fine")
    assert reply.status_code == 405
    assert "GET" in reply.headers["allow"]


def test_no_tunnels(client):
    reply = client.request("CONNECT", "/tap/fine")
    assert reply.status_code == 405
    assert reply.content == b""


def test_one_line_a_request(client, caplog):
    with caplog.at_level(logging.INFO, logger="skygate.requests"):
        client.get("/fine?token=secret", headers={"X-Request-Id": "q1"})
    [record] = [r for r in caplog.records if r.name == "skygate.requests"]
    assert record.fields["status"] == 200
    assert record.fields["bytes"] == 4
    assert record.fields["user"] == "anonymous"
    assert record.fields["seconds"] >= 0
    assert "secret" not in json.dumps(record.fields)


def record_of(message, **fields):
    record = logging.LogRecord("x", logging.INFO, "f", 1, message, (), None)
    record.fields = fields
    return record


def test_json_lines_are_json():
    token = logs.REQUEST_ID.set("r1")
    try:
        line = json.loads(logs.JsonLines().format(record_of('a "quoted"\nthing', rows=3)))
    finally:
        logs.REQUEST_ID.reset(token)
    assert line["message"] == 'a "quoted"\nthing'
    assert line["rows"] == 3
    assert line["request_id"] == "r1"
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("form", [logs.JsonLines(), logs.TextLines()])
def test_every_line_is_one_line_for_any_reader(form):
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x7fh\x9bi\u202ej\rk\nl\ud800"
    line = form.format(record_of(odd, path=odd, **{odd: odd}))
    assert len(line.splitlines()) == 1
    assert all(c.isprintable() for c in line)
    line.encode()
    if isinstance(form, logs.JsonLines):
        assert json.loads(line)["message"] == odd


def test_a_traceback_begins_no_line_of_its_own():
    record = record_of("broken")
    try:
        int("one\n2026-11-23T06:00:00.000Z info    forged\x1b[2J\u2028two")
    except ValueError as fault:
        told = ValueError(fault.args[0].encode().decode("unicode_escape"))
        record.exc_info = (ValueError, told, None)
    _, *rest = logs.TextLines().format(record).splitlines()
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


def test_text_lines_cannot_be_forged():
    line = logs.TextLines().format(record_of("GET /\n2026 error \x1b[2J", path="/a b\nc"))
    assert "\n" not in line
    assert "\x1b" not in line


def test_every_route_is_found_and_those_without_policy_are_named():
    async def end(request: Request) -> Response:
        return Response()

    router = APIRouter()

    @router.get("/good")
    @declare(Policy.PUBLIC)
    async def good() -> str:
        return ""

    @router.get("/bad")
    async def bad() -> str:
        return ""

    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    api.include_router(router, prefix="/v1")
    routes = [
        route("/a", end, methods=("GET",), policy=Policy.OPERATOR),
        Mount("/m", routes=[Route("/b", end)]),
        Mount("/api", app=api),
    ]
    found = {d.path: d.policy for d in declared(routes)}
    assert found == {
        "/a": Policy.OPERATOR,
        "/m/b": None,
        "/api/v1/good": Policy.PUBLIC,
        "/api/v1/bad": None,
    }


def test_a_client_that_leaves_early_is_no_fault_of_ours(caplog):
    with caplog.at_level(logging.INFO):
        fault = errors.fault_of(ClientDisconnect())
    assert (fault.status, fault.incident) == (409, None)
    assert isinstance(fault.error, tree.Cancelled)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_every_request_meets_is_logged_now_and_then(caplog, monkeypatch):
    monkeypatch.setattr(errors, "_said_away", {})
    for _ in range(50):
        errors.fault_of(tree.EngineAway("the disk is away"))
    errors.fault_of(tree.Busy("every place is taken"))
    said = [r for r in caplog.records if "busy or away" in r.message]
    assert [r.fields["code"] for r in said] == ["engine_away", "busy"]
    monkeypatch.setattr(errors, "_SAID_AGAIN_S", 0.0)
    errors.fault_of(tree.EngineAway("the disk is away"))
    assert caplog.records[-1].fields["more_since_last"] == 49
