"""The transport that runs an application in process: streamed, cut where it is cut, stopped when left."""

import threading
import time

import httpx2
import pytest
from anyio import to_thread

from skygate.errors import BadParameter, NotFound
from skygate.inprocess import InProcess


def client_of(app) -> httpx2.Client:
    return httpx2.Client(transport=InProcess(app), base_url="http://localhost")


def only_http(app):
    """An application that does not know the lifespan protocol."""

    async def wrapped(scope, receive, send):
        assert scope["type"] == "http"
        await app(scope, receive, send)

    return wrapped


def with_lifespan(app, seen):
    async def wrapped(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            seen.append("up")
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            seen.append("down")
            await send({"type": "lifespan.shutdown.complete"})
            return
        await app(scope, receive, send)

    return wrapped


async def echo(scope, receive, send):
    body = (await receive())["body"]
    head = [(b"x-path", scope["path"].encode()), (b"x-query", scope["query_string"])]
    await send({"type": "http.response.start", "status": 201, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": scope["method"].encode()})


def test_a_request_and_its_answer():
    with client_of(only_http(echo)) as client:
        response = client.post("/a%20b?x=1&y=2", content=b"hello ")
    assert (response.status_code, response.text) == (201, "hello POST")
    assert (response.headers["x-path"], response.headers["x-query"]) == ("/a b", "x=1&y=2")


def test_the_application_starts_and_stops_with_its_client():
    seen: list[str] = []
    with client_of(with_lifespan(echo, seen)) as client:
        assert seen == ["up"]
        client.get("/")
    assert seen == ["up", "down"]
    assert not [t for t in threading.enumerate() if t.name == "skygate-app" and not t.daemon]
    with pytest.raises(RuntimeError):
        client.get("/")


def test_no_thread_outlives_its_client():
    """A thread that did would hold the engine when the interpreter ends, and DuckDB complain of it."""
    working = threading.Event()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        working.set()
        await to_thread.run_sync(time.sleep, 0.3)
        await receive()

    before = set(threading.enumerate())
    with client_of(only_http(app)) as client, client.stream("GET", "/") as response:
        next(response.iter_bytes())
        assert working.wait(5)
    assert set(threading.enumerate()) <= before


def test_the_body_streams_and_waits_for_its_reader():
    sent = []

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while len(sent) < 1000:
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            sent.append(1)
        await send({"type": "http.response.body", "body": b""})

    with client_of(only_http(endless)) as client, client.stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"x" * 1000
        time.sleep(0.1)
        assert len(sent) < 20
        assert sum(map(len, chunks)) == 999_000


def test_a_reader_who_leaves_stops_the_application():
    ended = threading.Event()

    async def waits(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    with client_of(only_http(waits)) as client:
        with client.stream("GET", "/") as response:
            next(response.iter_raw())
        assert ended.wait(5)


def test_an_answer_cut_off_is_a_broken_connection():
    async def breaks(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("in the middle")

    async def forgets(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})

    for app in (breaks, forgets):
        with client_of(only_http(app)) as client, pytest.raises(httpx2.RemoteProtocolError):
            client.get("/")


def test_a_fault_before_the_answer_is_raised_as_it_is():
    async def fails(scope, receive, send):
        raise ValueError("at once")

    with client_of(only_http(fails)) as client, pytest.raises(ValueError, match="at once"):
        client.get("/")


def test_a_start_that_fails_is_told():
    async def fails(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    with pytest.raises(RuntimeError, match="no disk"):
        InProcess(fails)


def test_requests_from_many_threads():
    with client_of(only_http(echo)) as client:
        found = []

        def ask(number: int) -> None:
            found.append(client.post("/", content=f"{number} ".encode()).text)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(f"{i} POST" for i in range(16))


def test_connect_can_be_called_again():
    import skygate

    for _ in range(2):
        with pytest.raises(NotFound, match="there is no directory"):
            skygate.connect("/no/such/place")
    with pytest.raises(BadParameter, match="no address"):
        skygate.connect("ftp://example.com")
    assert repr(skygate.connect("http://example.com:1/x/")) == "Client('http://example.com:1/x')"
