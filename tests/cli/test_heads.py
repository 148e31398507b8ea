"""Heads and bodies on the wire: what is taken, in which order it is answered, and what is refused."""

import json
import re
import socket
import time
from urllib.parse import urlsplit

import pytest

from releases_made import make_release
from served import Service, serving
from skygate.cli.connections import Answer

pytestmark = pytest.mark.xdist_group("serve")
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
ONE = b"/tap/sync?LANG=ADQL&QUERY=SELECT+TOP+1+id+FROM+mini.stars"
LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    with serving(root, log=root / "log", server__head_seconds="5", server__body_seconds="2") as service:
        yield service
        assert "Traceback" not in service.said()


def told(service: Service, *pieces: bytes, seconds: float = 20) -> bytes:
    """What the server says until it closes; a pause stands between the pieces."""
    where = urlsplit(service.url)
    out = bytearray()
    with socket.create_connection((where.hostname, where.port), timeout=seconds) as wire:
        for piece in pieces:
            wire.sendall(piece)
            time.sleep(0.1 if len(pieces) > 1 else 0)
        try:
            while chunk := wire.recv(65536):
                out += chunk
        except ConnectionError:
            pass
    return bytes(out)


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def test_requests_that_are_sent_ahead_are_answered_in_their_order(service):
    query = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % ONE
    said = told(service, LIVE + query + LIVE + query + LAST)
    assert statuses(said) == [200] * 5
    kinds = re.findall(rb"content-type: ([a-z/+-]+)", said.lower())
    assert kinds == [
        b"application/json",
        b"application/x-votable+xml",
        b"application/json",
        b"application/x-votable+xml",
        b"application/json",
    ]


def test_what_is_no_request_is_refused_when_it_is_its_turn(service):
    query = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % ONE
    said = told(service, query + b"what is this\r\n\r\n" + LIVE)
    assert statuses(said) == [200, 400]
    assert b"</VOTABLE>" in said[: said.index(b"HTTP/1.1 400")]


def test_who_sends_hundreds_ahead_is_answered_a_few(service):
    got = statuses(told(service, LIVE * 300))
    assert got[-1] == 400
    assert got[:-1] == [200] * (len(got) - 1)
    assert 1 < len(got) < 60


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /health/live HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /health/live\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health/live HTTP/1.1\nHost: x\n\n",
        b"GET /health/live HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: 1\r\n 2\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\x00\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /tap/sync HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
        b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\na=b",
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 70_000),
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"A: %s\r\n" % (b"b" * 1000) * 70 + b"\r\n",
    ],
    ids=lambda head: head[:60].decode("latin-1"),
)
def test_what_is_refused_before_any_door_hears_of_it(service, head):
    assert statuses(told(service, head + LIVE)) == [400]


def test_a_head_without_end_is_refused_when_it_is_too_long(service):
    pieces = [b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000, *[b"b" * 40_000] * 3]
    assert statuses(told(service, *pieces)) == [400]


def test_a_long_head_that_comes_in_pieces_is_taken(service):
    long = (
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"A: %s\r\n" % (b"b" * 1000) * 55
    )
    assert statuses(told(service, long[:30_000], long[30_000:50_000], long[50_000:] + b"\r\n")) == [200]


def test_what_follows_a_body_is_no_header(service):
    said = told(
        service,
        b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" + FORM
        + b"\r\n9\r\nLANG=ADQL\r\n0\r\nX-Request-Id: late\r\nHost: evil\r\n\r\n",
    )  # fmt: skip
    assert statuses(said) == [400]
    assert b"QUERY is missing" in said
    assert b"late" not in said
    assert b"evil" not in said


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(service):
    head = b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n" + FORM
    said = told(service, head + b"Content-Length: 9\r\n\r\n", b"LANG=ADQL")
    assert statuses(said) == [100, 400]
    assert b"QUERY is missing" in said


def test_who_wants_another_protocol_is_answered_and_let_go(service):
    upgrade = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    said = told(service, upgrade + LIVE)
    assert statuses(said) == [200]
    assert b"connection: close" in said.lower()


def test_a_head_is_answered_and_the_next_request_too(service):
    said = told(service, b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n", LAST)
    assert statuses(said) == [200, 200]
    assert said.count(b'"status"') == 1


def test_old_clients_are_answered_and_let_go(service):
    assert statuses(told(service, b"GET /health/live HTTP/1.0\r\n\r\n")) == [200]


def test_a_body_that_is_not_wanted_and_does_not_end_is_not_waited_for(service):
    began = time.monotonic()
    said = told(
        service, b"PUT /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
    )
    assert statuses(said) == [405]
    assert time.monotonic() - began < 15


def test_a_client_that_leaves_is_noticed_though_it_has_sent_more(service):
    endless = b"SELECT+COUNT(*)+FROM+mini.stars+AS+a,mini.stars+AS+b,mini.stars+AS+c,mini.stars+AS+d"
    query = b"GET /tap/sync?LANG=ADQL&QUERY=%s HTTP/1.1\r\nHost: x\r\nX-Request-Id: leaver\r\n\r\n" % endless
    where = urlsplit(service.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as wire:
        wire.sendall(query + LIVE * 3)
        time.sleep(0.5)
    until = time.monotonic() + 20
    while "/tap/sync 499" not in service.said() and time.monotonic() < until:
        time.sleep(0.1)
    lines = [json.loads(line) for line in service.said().splitlines() if '"leaver"' in line]
    assert {"cancelled"} == {line["error"] for line in lines if line["message"] == "query"}


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def test_a_head_leaves_with_its_body():
    wire = Wire()
    answer = Answer(wire)  # type: ignore[arg-type]
    answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert wire.sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert len(wire.sent) == 1
    answer.write(b"body")
    answer.write(b"HTTP/1.1 is what a body may hold")
    assert wire.sent[1:] == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"HTTP/1.1 is what a body may hold"]


def test_a_head_without_a_body_leaves_at_the_end_or_when_it_is_closed():
    for end in (Answer.flush, Answer.close):
        wire = Wire()
        answer = Answer(wire)  # type: ignore[arg-type]
        answer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        end(answer)
        end(answer)
        assert wire.sent == [b"HTTP/1.1 204 No Content\r\n\r\n"]
    assert wire.closed


def test_a_large_body_is_not_copied_behind_its_head():
    wire = Wire()
    answer = Answer(wire)  # type: ignore[arg-type]
    answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    large = b"x" * 200_000
    answer.write(large)
    assert wire.sent[0] == b"HTTP/1.1 200 OK\r\n\r\n"
    assert wire.sent[1] is large
