"""`skygate serve`: how it starts, refuses to, and stops."""

import contextlib
import json
import logging
import os
import re
import resource
import signal
import socket
import tempfile
import threading
import time

import httpx2
import pytest

from releases_made import make_release
from served import serving
from skygate.cli import main

SLOW = (
    "SELECT COUNT(*) FROM mini.stars AS a, mini.stars AS b, mini.stars AS c, mini.stars AS d "
    "WHERE SIN(a.mag_g * b.mag_g + c.mag_g * d.mag_g) > 2"
)
pytestmark = pytest.mark.xdist_group("serve")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    return root


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the command in this process: (exit status, what it said)."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def call(*arguments: str, **environment: str) -> tuple[int, str]:
        os.environ.update(environment)
        with pytest.raises(SystemExit) as stopped:
            main(["serve", *arguments])
        return int(str(stopped.value.code)), capsys.readouterr().err

    return call


def test_a_taken_port_is_one_sentence(run, root):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = run("--root", str(root), "--port", str(port))
    assert status == 2
    assert len(said.splitlines()) == 1
    assert f"port {port}" in said
    assert "--port" in said


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "203.0.113.77"])
def test_an_address_that_cannot_be_had_is_one_sentence(run, root, host):
    status, said = run("--root", str(root), "--port", "0", "--host", host)
    assert status == 2
    assert len(said.splitlines()) == 1
    assert "cannot listen" in said
    assert "--host" in said
    assert "--port" not in said


@pytest.mark.parametrize("below", ["", "none"])
def test_nothing_to_serve_is_one_sentence(run, tmp_path, below):
    status, said = run("--root", str(tmp_path / below), "--port", "0")
    assert status == 2
    assert len(said.splitlines()) == 1
    assert "skygate publish" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SKYGATE__SERVER__WORKERS", "0"),
        ("SKYGATE__QUERIES__SYNC_SECONDS", "long"),
        ("SKYGATE__LOG__FORMAT", "xml"),
        ("SKYGATE__SERVER__PROT", "1"),
        ("SKYGATE__QUERIES__SYNC_SECONDS", "1e300"),
        ("SKYGATE__QUERIES__MEMORY_GIB", "1e300"),
        ("SKYGATE__QUERIES__RUNNING", "1000000"),
    ],
)
def test_a_wrong_setting_is_named(run, root, name, value):
    status, said = run("--root", str(root), "--port", "0", **{name: value})
    assert status == 2
    assert len(said.splitlines()) == 1
    assert name.split("__")[-1].lower() in said


def test_it_serves_logs_and_stops_cleanly(root, tmp_path):
    with serving(root, log=tmp_path / "log") as service:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", service.url)
        reply = httpx2.get(f"{service.url}/health/live", headers={"X-Request-Id": "t-1"})
        assert reply.headers["x-request-id"] == "t-1"
        assert reply.headers["server"].startswith("Skygate/")
        httpx2.get(f"{service.url}/tap/availability")
        assert service.stop() == 0
        lines = [json.loads(line) for line in service.said().splitlines() if line.startswith("{")]
    assert any(line["message"].startswith("GET /tap/availability 200") for line in lines)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_base_url_from_the_command_line(root, tmp_path):
    with serving(root, "--base-url", "https://sky.example/gate", log=tmp_path / "log") as service:
        assert "users reach it at https://sky.example/gate/" in service.said()
        text = httpx2.get(f"{service.url}/tap/capabilities").text
    assert '<accessURL use="base">https://sky.example/gate/tap</accessURL>' in text


def slow_request(url: str, done: list[object]) -> threading.Thread:
    def ask() -> None:
        try:
            done.append(httpx2.get(f"{url}/tap/sync", params={"LANG": "ADQL", "QUERY": SLOW}, timeout=60))
        except httpx2.HTTPError as fault:
            done.append(fault)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_a_running_query_is_cancelled_after_the_grace(root, tmp_path):
    done: list[object] = []
    with serving(
        root, log=tmp_path / "log", server__stop_seconds="1", queries__sync_seconds="300"
    ) as service:
        thread = slow_request(service.url, done)
        time.sleep(1.5)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 10
        thread.join(30)
        said = service.said()
    [reply] = done
    assert isinstance(reply, httpx2.Response), reply
    assert reply.status_code == 503
    assert "Retry-After" in reply.headers
    assert "our own fault" not in said
    assert "Traceback" not in said


def test_a_query_may_finish_within_the_grace(root, tmp_path):
    done: list[object] = []
    with serving(root, log=tmp_path / "log", server__stop_seconds="20", queries__sync_seconds="3") as service:
        thread = slow_request(service.url, done)
        time.sleep(1)
        assert service.stop() == 0
        thread.join(30)
    [reply] = done
    assert isinstance(reply, httpx2.Response), reply
    assert reply.status_code == 422


def test_the_queue_and_a_client_that_leaves(root, tmp_path):
    limits = {"queries__running": "1", "queries__waiting": "0", "queries__sync_seconds": "60"}
    small = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM mini.stars"}
    with serving(root, log=tmp_path / "log", **limits) as service:
        _until_free(service.url, small)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get(f"{service.url}/tap/sync", params={"LANG": "ADQL", "QUERY": SLOW}, timeout=2)
        _until_free(service.url, small)

        done: list[object] = []
        thread = slow_request(service.url, done)
        until = time.monotonic() + 20
        while (reply := httpx2.get(f"{service.url}/tap/sync", params=small, timeout=30)).status_code != 503:
            assert time.monotonic() < until, "the slow query never took the only place"
            if done:  # it came while a small one ran, and was sent away
                done.clear()
                thread = slow_request(service.url, done)
            time.sleep(0.1)
        assert int(reply.headers["Retry-After"]) >= 1
        assert httpx2.get(f"{service.url}/health/ready", timeout=30).status_code == 200
        service.process.kill()
        thread.join(10)


def _until_free(url: str, params: dict[str, str]) -> None:
    """Ask until there is a place; whoever finds none is told when to come back."""
    began = time.monotonic()
    while (reply := httpx2.get(f"{url}/tap/sync", params=params, timeout=30)).status_code == 503:
        assert int(reply.headers["Retry-After"]) >= 1
        assert "QUERY_STATUS" in reply.text
        assert time.monotonic() - began < 20, "the place of a query that nobody waits for is not given back"
        time.sleep(0.05)
    assert reply.status_code == 200


def test_several_processes_serve_and_stop(root, tmp_path):
    with serving(root, "--workers", "2", log=tmp_path / "log") as service:
        for _ in range(8):
            assert httpx2.get(f"{service.url}/health/ready", timeout=30).status_code == 200
        children = [int(c) for c in _children(service.process.pid)]
        assert len(children) >= 2
        assert service.stop() == 0
    until = time.monotonic() + 10
    while any(_lives(child) for child in children):
        assert time.monotonic() < until, "a server process is left"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return True


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


MANY = "SELECT a.* FROM mini.stars AS a, mini.stars AS b, mini.stars AS c"


@pytest.mark.parametrize("form", ["fits", "parquet", "hdf5", "csv", "votable"])
def test_a_full_disk_is_503_and_no_traceback(root, tmp_path, form):
    asked = {"LANG": "ADQL", "QUERY": MANY, "RESPONSEFORMAT": form, "MAXREC": "200000"}
    with serving(
        root, log=tmp_path / "log", queries__spool_memory_mib="1", queries__spools_memory_mib="1"
    ) as service:
        before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (500_000, before[1]))
        try:
            with httpx2.stream("GET", f"{service.url}/tap/sync", params=asked, timeout=60) as reply:
                body = reply.read()
                status, headers = reply.status_code, reply.headers
        except httpx2.RemoteProtocolError:
            assert form == "csv"
        else:
            assert status == 503 or (form == "votable" and b'"ERROR"' in body[-2000:])
            assert status == 200 or int(headers["retry-after"]) > 0
            assert b"no room" in body
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)
        assert httpx2.get(f"{service.url}/tap/sync", params=asked, timeout=60).status_code == 200
        said = service.said()
    assert "Traceback" not in said
    assert tempfile.gettempdir() in said


def _gone(pids: list[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(_lives(pid) and _state(pid) != "Z" for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_server_processes_end_when_their_parent_is_killed(root, tmp_path):
    with serving(root, "--workers", "2", log=tmp_path / "log", server__stop_seconds="1") as service:
        children = [int(c) for c in _children(service.process.pid)]
        assert len(children) >= 2
        port = int(service.url.rpartition(":")[2])
        service.process.kill()
        service.process.wait(10)
        assert _gone(children, 15), "a server process outlives its parent"
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
        assert "Traceback" not in service.said()


LONG_TEXT = "SELECT id FROM mini.stars WHERE " + " OR ".join(
    f"(mag_g > {i} AND SIN(ra + {i}) < COS(dec * {i}))" for i in range(3000)
)


@pytest.mark.parametrize(
    "asked",
    [
        ("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": SLOW}),
        (
            "GET",
            "/tap/sync",
            {"LANG": "ADQL", "QUERY": "SELECT a.* FROM mini.stars a, mini.stars b", "RESPONSEFORMAT": "hdf5"},
        ),
        ("POST", "/tap/sync", {"LANG": "ADQL", "QUERY": LONG_TEXT}),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_whatever_is_at_work_a_stop_is_kept_to(root, tmp_path, asked, workers):
    method, path, values = asked
    with serving(
        root,
        "--workers",
        workers,
        log=tmp_path / "log",
        server__stop_seconds="1",
        queries__sync_seconds="300",
    ) as service:
        children = [int(c) for c in _children(service.process.pid)] if workers != "1" else []

        def ask() -> None:
            with contextlib.suppress(httpx2.HTTPError):
                how = {"params": values} if method == "GET" else {"data": values}
                httpx2.request(method, f"{service.url}{path}", timeout=60, **how)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 1 + 8 + 3
        assert _gone(children, 3)
        for thread in threads:
            thread.join(10)
        said = service.said()
    assert "nanobind" not in said
    assert "leaked" not in said
    assert "Traceback" not in said
