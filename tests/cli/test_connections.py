"""Connections that ask nothing, say little or take nothing: none keeps others from being served."""

import os
import resource
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from releases_made import make_release
from served import Service, serving

pytestmark = pytest.mark.xdist_group("serve")
HALF = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    return root


def opened(service: Service, request: bytes = b"") -> socket.socket:
    where = urlsplit(service.url)
    wire = socket.create_connection((where.hostname, where.port), timeout=20)
    wire.sendall(request)
    return wire


def told(wire: socket.socket) -> bytes:
    """What comes until the server closes."""
    out = bytearray()
    try:
        while chunk := wire.recv(65536):
            out += chunk
    except ConnectionError:
        pass
    return bytes(out)


def alive(service: Service) -> bool:
    return httpx2.get(f"{service.url}/health/live", timeout=5).status_code == 200


def test_a_request_must_arrive(root, tmp_path):
    with serving(root, log=tmp_path / "log", server__head_seconds="1", server__body_seconds="1") as service:
        began = time.monotonic()
        with opened(service) as silent, opened(service, HALF) as half, opened(service, HALF) as dripping:
            for _ in range(15):  # a byte now and then gains no time
                time.sleep(0.1)
                try:
                    dripping.sendall(b"a")
                except ConnectionError:
                    break
            for wire in (silent, half, dripping):
                assert told(wire).startswith(b"HTTP/1.1 408 ")
        assert 0.9 < time.monotonic() - began < 6
        body = b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        with opened(service, body + b"Content-Length: 100\r\n\r\nLANG=ADQL") as wire:
            began = time.monotonic()
            told(wire)
            assert 0.9 < time.monotonic() - began < 6
        with opened(service, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + HALF) as next_one:
            assert told(next_one).startswith(b"HTTP/1.1 200")
        assert alive(service)
        assert "Traceback" not in service.said()


def test_odd_heads_are_answered_once_and_without_noise(root, tmp_path):
    form = b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with serving(root, log=tmp_path / "log") as service:
        two_lengths = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        with opened(service, form + two_lengths + form) as wire:  # what follows is not taken for a request
            said = told(wire)
            assert said.startswith(b"HTTP/1.1 400 ")
            assert said.count(b"HTTP/1.1") == 1
        upgrade = b"Connection: close, upgrade\r\nUpgrade: websocket\r\n\r\n"
        with opened(service, b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + upgrade) as wire:
            assert told(wire).startswith(b"HTTP/1.1 200 ")
        large = (
            b"POST /api/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
        )
        with opened(service, large) as wire:
            said = told(wire)
            assert said.startswith(b"HTTP/1.1 413 ")
            assert b"application/problem+json" in said
            assert b"larger than 262144 KiB" in said
        assert "WebSocket" not in service.said()
        assert "upgrade request" not in service.said()


def test_a_slow_body_that_keeps_coming_is_taken(root, tmp_path):
    form = b"LANG=ADQL&QUERY=SELECT+TOP+1+id+FROM+mini.stars"
    with serving(root, log=tmp_path / "log", server__body_seconds="1") as service:
        head = b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % len(
            form
        )
        with opened(service, head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n") as wire:
            for begin in range(0, len(form), 12):
                time.sleep(0.5)
                wire.sendall(form[begin : begin + 12])
            assert told(wire).startswith(b"HTTP/1.1 200")


def test_who_asks_nothing_makes_room(root, tmp_path):
    with serving(root, log=tmp_path / "log", server__connections="20") as service:
        idle = [opened(service, b"" if i % 2 else HALF) for i in range(100)]
        try:
            for _ in range(5):
                assert alive(service)
        finally:
            for wire in idle:
                wire.close()


def test_few_files_are_enough_for_many_idle_connections(root, tmp_path):
    """The limit on files sets the limit on connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    launcher = serving(
        root, log=tmp_path / "log", before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    )
    with launcher as service:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
        idle = [opened(service) for _ in range(300)]
        try:
            assert alive(service)
            query = {"LANG": "ADQL", "QUERY": "SELECT TOP 3 * FROM mini.stars"}
            assert httpx2.get(f"{service.url}/tap/sync", params=query).status_code == 200
        finally:
            for wire in idle:
                wire.close()


def test_all_places_taken_is_said(root, tmp_path):
    """Requests that are being answered are not sent away for a new one."""
    slow = b"GET /api/query?query=x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with serving(root, log=tmp_path / "log", server__connections="8") as service:
        busy = [opened(service, slow) for _ in range(8)]
        try:
            time.sleep(0.5)
            with opened(service, HALF) as wire:
                reply = told(wire)
            assert reply.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in reply.lower()
        finally:
            for wire in busy:
                wire.close()
        time.sleep(0.5)
        assert alive(service)


def test_who_takes_nothing_is_cut_off(root, tmp_path):
    query = "SELECT a.* FROM mini.stars AS a, mini.stars AS b"
    with serving(root, log=tmp_path / "log", server__stalled_seconds="1") as service:
        where = urlsplit(service.url)
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect((where.hostname, where.port))
        form = httpx2.QueryParams({"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv"})
        wire.sendall(f"GET /tap/sync?{form} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until = time.monotonic() + 20
        while "taken nothing" not in service.said() and time.monotonic() < until:
            time.sleep(0.1)
        assert "taken nothing" in service.said()
        reply = told(wire)
        wire.close()
        assert not reply.endswith(b"0\r\n\r\n")
        assert alive(service)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_workers_do_not_outlive_the_one_that_started_them(root, tmp_path):
    with serving(root, "--workers", "2", log=tmp_path / "log") as service:
        workers = children(service.process.pid)
        assert len(workers) >= 2
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
        until = time.monotonic() + 30
        while any(map(running, workers)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not [w for w in workers if running(w)]
        with pytest.raises(httpx2.HTTPError):
            alive(service)


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_bodies_together_are_bounded(root, tmp_path):
    """What has come is held until it is answered; what is too much is refused, and room comes back."""
    settings = {"uploads__max_mib": "2", "uploads__all_mib": "3", "server__body_seconds": "4"}
    with serving(root, log=tmp_path / "log", **settings) as service:
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 2000000\r\n\r\n"
        crossmatch = head % (
            b"/api/crossmatch?table=stars&radius_deg=1",
            b"application/vnd.apache.arrow.stream",
        )
        holding = [opened(service, crossmatch + bytes(1_900_000)) for _ in range(1)]
        time.sleep(0.5)
        try:
            query = head % (b"/api/query", b"application/json")
            for request in (crossmatch, query):
                with opened(service, request + b" " * 1_999_000) as wire:
                    reply = told(wire)
                assert reply.startswith(b"HTTP/1.1 503 "), reply[:200]
                assert b"retry-after: 5" in reply.lower()
            assert alive(service)
        finally:
            for wire in holding:
                wire.close()
        time.sleep(0.5)
        whole = httpx2.post(
            f"{service.url}/api/query", json={"query": "SELECT id FROM stars" + " " * 200_000}
        )
        assert whole.status_code == 200
        assert "Traceback" not in service.said()


def test_few_files_make_no_storm_in_the_log(root, tmp_path):
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))  # noqa: E731
    with serving(root, log=tmp_path / "log", before=few) as service:
        wires = []
        try:
            for _ in range(300):
                wires.append(opened(service, b"GET / HT"))
            assert alive(service)
        except OSError:
            pass
        finally:
            for wire in wires:
                wire.close()
        time.sleep(0.5)
        assert alive(service)
        assert service.said().count("Too many open files") < 20
