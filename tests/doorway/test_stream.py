"""Answers on their way out: complete, broken off, abandoned."""

import asyncio
import socket
import threading
import time

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from skygate.domain.account import Policy
from skygate.domain.query import About
from skygate.doorway import stream
from skygate.doorway.policy import route
from skygate.errors import BadQuery, Cancelled, TooCostly
from skygate.formats import media


def serving(app_of, rows, form="csv", **more):
    async def door(request: Request) -> Response:
        await request.body()
        return await stream.answer(request, rows, form=media.pick(form), about=About(query="Q"), **more)

    return app_of(route("/tap/x", door, methods=("GET",), policy=Policy.PUBLIC))


def test_a_small_answer_is_complete_with_length_end_and_name(app_of, made_rows):
    rows = made_rows(3, overflow=True)
    reply = TestClient(serving(app_of, rows, stem="my stars/2", attachment=True)).get("/tap/x")
    assert reply.status_code == 200
    assert reply.headers["content-length"] == str(len(reply.content))
    assert reply.headers["x-skygate-overflow"] == "true"
    assert reply.headers["x-skygate-rows"] == "3"
    assert reply.headers["content-disposition"] == 'attachment; filename="my_stars_2.csv"'
    assert reply.text.splitlines() == ["n,t", "0,row 0", "1,row 1", "2,row 2"]
    assert rows.closed


def test_a_large_answer_streams_without_length(app_of, made_rows):
    rows = made_rows(50_000)
    reply = TestClient(serving(app_of, rows)).get("/tap/x")
    assert "content-length" not in reply.headers
    assert "x-skygate-overflow" not in reply.headers
    assert len(reply.text.splitlines()) == 50_001
    assert rows.closed


@pytest.mark.parametrize("form", ["csv", "votable", "json", "arrow", "fits"])
def test_a_fault_before_the_first_byte_has_its_status(app_of, made_rows, form):
    rows = made_rows(50_000, fails_at=1000, fault=TooCostly("60 s are over"))
    reply = TestClient(serving(app_of, rows, form)).get("/tap/x")
    assert reply.status_code == 422
    assert reply.json()["code"] == "too_costly"
    assert rows.closed


def test_a_fault_of_ours_before_the_first_byte_shows_only_an_id(app_of, made_rows):
    reply = TestClient(serving(app_of, made_rows(50_000, fails_at=0))).get("/tap/x")
    assert reply.status_code == 500
    assert "fire" not in reply.text
    assert reply.json()["incident"] == reply.headers["x-request-id"]


@pytest.mark.parametrize("form", ["csv", "json", "arrow", "tsv"])
def test_a_fault_after_the_first_byte_is_never_taken_for_the_end(app_of, made_rows, form):
    rows = made_rows(50_000, fails_at=40_000, fault=TooCostly("60 s are over"))
    with pytest.raises(TooCostly):  # a real server cuts the connection here
        TestClient(serving(app_of, rows, form)).get("/tap/x")
    assert rows.closed


def test_votable_tells_a_late_fault_itself(app_of, made_rows):
    rows = made_rows(50_000, fails_at=40_000, fault=TooCostly("60 s are over"))
    reply = TestClient(serving(app_of, rows, "votable/td")).get("/tap/x")
    assert reply.status_code == 200
    assert reply.text.rstrip().endswith("</VOTABLE>")
    assert 'value="ERROR"' in reply.text[-500:]
    assert "60 s are over" in reply.text[-500:]


def scope_of(path="/tap/x"):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }


async def leave_after(app, seen_bytes: int | None, seconds: float = 0.0):
    """Call the app; the client goes away once it has seen so many bytes, or after the seconds."""
    gone = asyncio.Event()
    got = 0
    asked = False

    async def receive():
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if seen_bytes is None:
            await asyncio.sleep(seconds)
        else:
            await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal got
        got += len(message.get("body", b""))
        if seen_bytes is not None and got >= seen_bytes:
            gone.set()
            await asyncio.sleep(0.01)

    await asyncio.wait_for(app(scope_of(), receive, send), 10)
    return got


def test_a_client_that_goes_away_frees_the_rows(app_of, made_rows):
    rows = made_rows(10_000_000)
    asyncio.run(leave_after(serving(app_of, rows), 100_000))
    assert rows.closed
    assert rows.given < 1_000_000


def test_a_client_that_goes_away_while_rows_block_frees_them(app_of, made_rows):
    woken = threading.Event()
    rows = made_rows(1_000_000)
    close = rows.close

    def block(start: int) -> None:
        if start >= 20_000:
            woken.wait(8)

    def closing() -> None:
        close()
        woken.set()

    rows.block, rows.close = block, closing
    began = time.monotonic()
    asyncio.run(leave_after(serving(app_of, rows), None, 0.2))
    assert time.monotonic() - began < 5
    assert rows.closed


def test_work_is_cancelled_when_the_client_goes_away():
    states = []

    async def work():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            states.append("cancelled")
            raise

    async def receive():
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def go():
        with pytest.raises(Cancelled):
            await stream.while_connected(Request(scope_of(), receive), work())

    asyncio.run(asyncio.wait_for(go(), 5))
    assert states == ["cancelled"]


def test_work_that_fails_raises_its_own_fault():
    async def work():
        raise BadQuery("no such column")

    async def receive():
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def go():
        with pytest.raises(BadQuery, match="no such column"):
            await stream.while_connected(Request(scope_of(), receive), work())

    asyncio.run(asyncio.wait_for(go(), 5))


@pytest.fixture
def real_server(app_of, made_rows):
    """A real server in a thread whose answer breaks off late."""
    rows = made_rows(60_000, fails_at=40_000, fault=TooCostly("60 s are over"))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(serving(app_of, rows), log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def test_on_the_wire_a_broken_answer_ends_without_its_last_chunk(real_server):
    got: list[int] = []

    def download() -> None:
        with httpx2.stream("GET", f"{real_server}/tap/x", timeout=20) as reply:
            assert reply.status_code == 200
            got.extend(len(chunk) for chunk in reply.iter_bytes())

    with pytest.raises(httpx2.RemoteProtocolError):
        download()
