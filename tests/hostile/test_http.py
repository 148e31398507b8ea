"""Whatever comes by HTTP: no fault of ours, no traceback, and the service lives on."""

import contextlib
import re
import socket
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings

from .requests_made import requests

INSIDES = re.compile(
    rb"Traceback \(most recent|File \"/|site-packages|duckdb|DuckDB|sqlglot|root:x:0", re.IGNORECASE
)
FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True)


def sent(service, request: bytes) -> bytes | None:
    """What the server answers, all of it; None when it waits for more than was sent."""
    where = urlsplit(service.url)
    out = bytearray()
    with socket.create_connection((where.hostname, where.port), timeout=10) as wire:
        with contextlib.suppress(ConnectionError):  # it had seen enough; the answer stands in the socket
            wire.sendall(request)
        wire.settimeout(0.3 if unfinished(request) else 20)
        try:
            while chunk := wire.recv(65536):
                out += chunk
        except TimeoutError:
            assert unfinished(request), (request[:500], bytes(out[:500]))
            return bytes(out) or None
        except ConnectionError:  # closed with bytes of ours unread, after it had answered
            pass
    return bytes(out)


def unfinished(request: bytes) -> bool:
    """Whether a server may wait for more."""
    head, _, body = request.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        return _chunks_missing(body)
    promised = re.search(rb"\r\nContent-Length: (\d+)", request)
    return promised is not None and int(promised[1]) > len(body)


def _chunks_missing(body: bytes) -> bool:
    """Whether chunks break off where more could come; False where they are none."""
    while body:
        line, found, body = body.partition(b"\r\n")
        size = re.match(rb"[0-9A-Fa-f]{1,20}(?=[;\s]|$)", line)
        if not found or size is None:
            return not found
        length = int(size[0], 16)
        if length == 0:
            return b"\r\n\r\n" not in b"\r\n" + body
        if len(body) < length + 2:
            return True
        if body[length : length + 2] != b"\r\n":
            return False
        body = body[length + 2 :]
    return True


def check(service, request: bytes) -> None:
    reply = sent(service, request)
    if reply is None:
        return
    status = re.match(rb"HTTP/1\.[01] (\d{3})", reply)
    assert status is not None, (request[:1000], reply[:200])
    code = int(status[1])
    head, _, body = reply.partition(b"\r\n\r\n")
    assert code < 500 or (code == 503 and b"retry-after:" in head.lower()), reply[:1000]
    assert not INSIDES.search(body), body[:1000]
    assert b"X-Evil" not in head


def test_a_thousand_hostile_requests(service):
    @settings(FUZZ, max_examples=1000, derandomize=True)
    @given(request=requests())
    def send(request: bytes) -> None:
        check(service, request)

    send()
    unharmed(service)


@pytest.mark.parametrize("path", ["/query/download", "/releases/mini", "/tap/sync", "/api/query"])
def test_a_body_that_stops_being_http_is_no_fault_of_ours(service, path):
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for body in (b"ZZ\r\nfoo", b"5\r\nquery\r\nZZ\r\n"):
        assert sent(service, head + body).startswith(b"HTTP/1.1 4")
    unharmed(service)


@pytest.mark.soak
def test_ten_thousand_hostile_requests(service):
    @settings(FUZZ, max_examples=10_000)
    @given(request=requests())
    def send(request: bytes) -> None:
        check(service, request)

    send()
    unharmed(service)


def unharmed(service) -> None:
    assert service.process.poll() is None
    reply = httpx2.get(
        f"{service.url}/tap/sync", params={"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM mini.stars"}
    )
    assert reply.status_code == 200
    said = service.said()
    assert "our own fault" not in said, said[said.index("our own fault") - 300 :][:3000]
    assert "Exception in ASGI" not in said
