"""What a request costs over HTTP on the demo's `gaia`: whole time, first byte, CPU, and where it goes.

    python -m benchmarks.http --root skygate-data
    python -m benchmarks.http --root skygate-data --flame docs/images/http.svg

A server of its own answers one client, then sixteen, on connections that stay open; it logs as it does by
default. Times are medians in milliseconds, CPU is that of the server process for each request. A second
server says how the CPU divides into parts (`benchmarks.sampled`, `benchmarks.flame`). Beside it DuckDB alone,
in this process, on the same Parquet. The demo is published when it is not there.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import duckdb

from benchmarks.flame import PARTS, Profile, drawn, read
from skygate.demo import recipe_path
from skygate.stores.releases import FolderReleases

RELEASE, TABLE = "bright_sky", "gaia"
NAME = f"{RELEASE}.{TABLE}"
SIX = "source_id, ra, dec, phot_g_mean_mag, phot_bp_mean_mag, phot_rp_mean_mag"
CLIENTS = 16
RUN = (sys.executable, "-c", "from skygate.cli import main; main()")
HAVERSINE = (
    "2 * degrees(asin(sqrt(power(sin(radians(dec + 5.4) / 2), 2) + cos(radians(dec)) * cos(radians(-5.4))"
    " * power(sin(radians(ra - 83.8) / 2), 2)))) <= 1 AND dec BETWEEN -6.4 AND -4.4"
)
_numbers = count(1)


def tap(adql: str, form: str | None = None) -> bytes:
    """A query as a request."""
    sent = {"LANG": "ADQL", "QUERY": adql, "MAXREC": "1000000"} | ({"RESPONSEFORMAT": form} if form else {})
    body = urlencode(sent).encode()
    kind = b"application/x-www-form-urlencoded"
    return (
        b"POST /tap/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (kind, len(body), body)
    )


def place() -> tuple[float, float]:
    """Another position, where there are stars, at each call."""
    n = next(_numbers)
    return (n * 137.508) % 360, (n * 0.618034) % 1 * 120 - 60


def contains(radius_deg: float) -> bytes:
    """A cone in ADQL, somewhere else at each call."""
    circle = "CIRCLE({:.4f}, {:.4f}, {})".format(*place(), radius_deg)
    return tap(f"SELECT {SIX} FROM {NAME} WHERE 1 = CONTAINS(POINT(ra, dec), {circle})")


def cone() -> bytes:
    """A small cone search, somewhere else at each call."""
    asked = "/cone/{}?RA={:.4f}&DEC={:.4f}&SR=0.1".format(NAME, *place())
    return f"GET {asked} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@dataclass
class Case:
    """A kind of request: `ask` makes the next one. `sql` is the same for DuckDB alone, `{gaia}` its files."""

    name: str
    ask: Callable[[], bytes]
    sql: str | None = None
    times: int = 1
    total_ms: float = 0.0
    first_ms: float = 0.0
    cpu_ms: float = 0.0
    size: int = 0
    alone_ms: float | None = None
    profile: Profile | None = field(default=None, repr=False)


def cases() -> list[Case]:
    """What is measured with one client. `times` of --repeat are made."""
    cell = "ivo_healpix_index(3, ra, dec)"
    rows = f"SELECT TOP 100000 {SIX} FROM {NAME}"
    limited = f"SELECT {SIX} FROM {{gaia}} LIMIT 100000"
    return [
        Case("live probe", lambda: b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", times=4),
        Case(
            "COUNT(*)",
            lambda: tap(f"SELECT COUNT(*) AS n FROM {NAME}"),
            "SELECT COUNT(*) FROM {gaia}",
            4,
        ),
        Case("COUNT(*), new text", lambda: tap(f"SELECT COUNT(*) AS n{next(_numbers)} FROM {NAME}"), times=4),
        Case(
            "GROUP BY magnitude",
            lambda: tap(
                f"SELECT FLOOR(phot_g_mean_mag) AS m, COUNT(*) AS n FROM {NAME}"
                " GROUP BY FLOOR(phot_g_mean_mag)"
            ),
            "SELECT floor(phot_g_mean_mag), COUNT(*) FROM {gaia} GROUP BY 1",
            2,
        ),
        Case(
            "GROUP BY cell",
            lambda: tap(f"SELECT {cell} AS cell, COUNT(*) AS n FROM {NAME} GROUP BY {cell}"),
            times=2,
        ),
        Case(
            "1° CONTAINS, new place",
            lambda: contains(1.0),
            f"SELECT {SIX} FROM {{gaia}} WHERE {HAVERSINE}",
            4,
        ),
        Case("0.1° cone search, new place", cone, times=4),
        Case("100 k rows, BINARY2", lambda: tap(rows, "votable"), limited),
        Case("100 k rows, CSV", lambda: tap(rows, "csv"), limited),
    ]


class Wire:
    """A connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = memoryview(bytearray(1 << 20))

    def ask(self, request: bytes) -> tuple[float, float, int]:
        """Seconds until the first byte of the answer and until its last, and how many bytes its body has."""
        began = time.perf_counter()
        self._socket.sendall(request)
        head, size = b"", 0
        first: float | None = None
        while b"\r\n\r\n" not in head:
            head += self._more()
            first = first or time.perf_counter() - began
        head, _, body = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{head.decode()}\n{body.decode(errors='replace')}")
        size, tail = len(body), bytes(body[-5:])
        length = re.search(rb"content-length: *(\d+)", head.lower())
        while size < int(length[1]) if length else tail != b"0\r\n\r\n":
            piece = self._more()
            size, tail = size + len(piece), (tail + bytes(piece[-5:]))[-5:]
        return first or 0.0, time.perf_counter() - began, size

    def _more(self) -> memoryview:
        got = self._socket.recv_into(self._room)
        if not got:
            raise SystemExit("the server has closed the connection")
        return self._room[:got]

    def close(self) -> None:
        """Close it."""
        self._socket.close()


@dataclass
class Service:
    """A running server."""

    process: subprocess.Popen[str]
    port: int

    def cpu_s(self) -> float:
        """CPU seconds that it has used, with all of its threads."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def tell(self, command: str) -> None:
        """Tell it when to count, where it is one that counts."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(command, file=self.process.stdin, flush=True)
        self.process.stdout.readline()


@contextmanager
def serving(root: Path, log: Path, command: Sequence[str] = RUN) -> Iterator[Service]:
    """A server until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "serve", "--root", str(root), "--port", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            env={**os.environ, "SKYGATE__LOG__FORMAT": "json"},
        )
    try:
        while not (found := re.search(r" at http://\S+:(\d+)/\s", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(f"the server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield Service(process, int(found[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measure(case: Case, service: Service, repeat: int) -> None:
    """Fill in the times of a case, after some requests that do not count."""
    wire = Wire(service.port)
    for _ in range(5):
        wire.ask(case.ask())
    asked = [case.ask() for _ in range(repeat * case.times)]
    before = service.cpu_s()
    taken = [wire.ask(request) for request in asked]
    case.cpu_ms = 1000 * (service.cpu_s() - before) / len(taken)
    case.first_ms = 1000 * statistics.median(first for first, _, _ in taken)
    case.total_ms = 1000 * statistics.median(total for _, total, _ in taken)
    case.size = taken[-1][2]
    wire.close()


def explain(case: Case, service: Service, seconds: float, scratch: Path) -> None:
    """Fill in where the CPU of a case goes."""
    wire = Wire(service.port)
    for _ in range(5):
        wire.ask(case.ask())
    service.tell("begin")
    until, asked = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        wire.ask(case.ask())
        asked += 1
    path = scratch / "stacks"
    service.tell(f"end {path}")
    case.profile = read(path, asked)
    wire.close()


def crowd(ask: Callable[[], bytes], service: Service, each: int) -> tuple[float, float, float]:
    """Requests per second of all clients, the median in ms, CPU ms of a request."""
    asked = [[ask() for _ in range(each)] for _ in range(CLIENTS)]
    taken: list[float] = []

    def client(requests: list[bytes]) -> None:
        wire = Wire(service.port)
        taken.extend(wire.ask(request)[1] for request in requests)
        wire.close()

    threads = [threading.Thread(target=client, args=(requests,)) for requests in asked]
    before, began = service.cpu_s(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - began, service.cpu_s() - before
    if len(taken) != each * CLIENTS:
        raise SystemExit("a client has failed")
    return len(taken) / seconds, 1000 * statistics.median(taken), 1000 * used / len(taken)


def alone(case: Case, files: str, repeat: int) -> None:
    """The median of DuckDB in this process."""
    if case.sql is None:
        return
    text = case.sql.format(gaia=f"read_parquet([{files}], hive_partitioning=false)")
    with duckdb.connect() as peer:
        peer.sql("SET parquet_metadata_cache=true")
        taken = []
        for _ in range(repeat + 2):
            began = time.perf_counter()
            peer.sql(text).to_arrow_table()
            taken.append(time.perf_counter() - began)
    case.alone_ms = 1000 * statistics.median(taken[2:])


def told(case: Case) -> str:
    """A line of the table."""
    parts = case.profile.parts_ms(case.cpu_ms) if case.profile else {}
    alone_ms = "" if case.alone_ms is None else f"{case.alone_ms:.1f}"
    return (
        f"| {case.name} | {case.total_ms:.2f} | {case.first_ms:.2f} | {case.cpu_ms:.2f} | "
        + " | ".join(f"{parts[part]:.2f}" if part in parts else "" for part in PARTS)
        + f" | {alone_ms} |"
    )


def main() -> None:
    """Read the command line, serve, measure, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=None, help="where the demo is, or is to be, published")
    parser.add_argument("--repeat", type=int, default=50, help="requests of each kind (more of quick ones)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for which each is looked into; 0: not at all"
    )
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--flame", type=Path, default=None, help="draw where time goes into this SVG")
    asked = parser.parse_args()
    found = [case for case in cases() if asked.only in case.name]
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.root or Path(scratch)
        if RELEASE not in FolderReleases(root).names():
            subprocess.run([*RUN, "publish", str(recipe_path()), "--root", str(root)], check=True)
        parts = next(t.parts for t in FolderReleases(root).load(RELEASE).tables if t.name == TABLE)
        files = ", ".join(f"'{part.path}'" for part in parts)
        with serving(root, Path(scratch, "log")) as service:
            for case in found:
                measure(case, service, asked.repeat)
            crowds = [
                (name, *crowd(ask, service, 2 * asked.repeat))
                for name, ask in (("0.1° CONTAINS", lambda: contains(0.1)), ("0.1° cone search", cone))
            ]
        if asked.seconds:
            command = (sys.executable, "-m", "benchmarks.sampled")
            with serving(root, Path(scratch, "log"), command) as service:
                for case in found:
                    explain(case, service, asked.seconds, Path(scratch))
        print(f"| request | total | first byte | CPU | {' | '.join(PARTS)} | DuckDB alone |")
        print("|---|" + "--:|" * (len(PARTS) + 4))
        for case in found:
            alone(case, files, asked.repeat)
            print(told(case), flush=True)
        print()
        for name, rate, median, used in crowds:
            print(f"{CLIENTS} clients, {name}: {rate:.0f}/s, median {median:.1f} ms, CPU {used:.2f} ms")
        if asked.flame:
            profiles = [(case.name, case.cpu_ms, case.profile) for case in found if case.profile]
            asked.flame.write_text(drawn(profiles), encoding="utf-8")


if __name__ == "__main__":
    main()
