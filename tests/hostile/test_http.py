"""Whatever comes by HTTP: no fault of ours, no traceback, and the service lives on."""

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


def sent(service, request: bytes) -> bytes:
    """What the server answers, all of it; nothing when it waits for more than was sent."""
    where = urlsplit(service.url)
    out = bytearray()
    with socket.create_connection((where.hostname, where.port), timeout=10) as wire:
        try:
            wire.sendall(request)
            _, _, body = request.partition(b"\r\n\r\n")
            promised = re.search(rb"\r\nContent-Length: (\d+)", request)
            wire.settimeout(0.2 if promised and int(promised[1]) > len(body) else 20)
            while chunk := wire.recv(65536):
                out += chunk
        except (TimeoutError, ConnectionError, BrokenPipeError):
            pass
    return bytes(out)


def check(service, request: bytes) -> None:
    reply = sent(service, request)
    if not reply:
        return
    status = re.match(rb"HTTP/1\.[01] (\d{3})", reply)
    assert status is not None, reply[:200]
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
