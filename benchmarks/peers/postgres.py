"""PostgreSQL with q3c and pgSphere as a peer: a private cluster in a temporary directory, gone afterwards.

It listens on a Unix socket in that directory and nowhere else, and runs as an unprivileged user. Durability
is off (no fsync, no synchronous commit, minimal write-ahead log): nothing here outlives the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

VERSION = "15"
PLACES = (f"/usr/lib/postgresql/{VERSION}/bin", f"/usr/pgsql-{VERSION}/bin")
EXTENSIONS = (f"/usr/share/postgresql/{VERSION}/extension", f"/usr/pgsql-{VERSION}/share/extension")
MOST_BUFFERS = 3 << 30
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SUPERUSER = "bench"
_START_S = 60


class Missing(Exception):
    """PostgreSQL, an extension or the driver is not there; says what to install."""


def programs() -> Path:
    """The directory of `initdb` and `postgres`; raises `Missing` where anything of this peer is not there."""
    found = next((Path(p) for p in PLACES if (Path(p) / "initdb").exists()), None)
    missing = [] if found else [f"postgresql-{VERSION}"]
    for package, control in (("q3c", "q3c.control"), ("pgsphere", "pg_sphere.control")):
        if not any((Path(e) / control).exists() for e in EXTENSIONS):
            missing.append(f"postgresql-{VERSION}-{package}")
    if missing or found is None:
        raise Missing(f"not installed: {', '.join(missing)} (as root: sh scripts/system.sh bench)")
    if not find_spec("psycopg"):
        raise Missing("not installed: psycopg (the extra `bench` has it)")
    return found


def settings() -> dict[str, str]:
    """What differs from PostgreSQL's defaults: large buffers, no durability, a planner told of warm pages."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    buffers = min(MOST_BUFFERS, memory // 4)
    return {
        "listen_addresses": "",
        "shared_buffers": f"{buffers >> 20}MB",
        "effective_cache_size": f"{memory // 2 >> 20}MB",
        "work_mem": "256MB",
        "maintenance_work_mem": f"{min(1 << 30, memory // 8) >> 20}MB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "8GB",
        "random_page_cost": "1.1",
        "jit": "off",
        "autovacuum": "off",
        "max_connections": "40",
        "timezone": "UTC",
    }


@dataclass(slots=True)
class Cluster:
    """A running server."""

    socket: Path
    process: subprocess.Popen[Any]
    user: str = _SUPERUSER

    def connect(self) -> psycopg.Connection[Any]:
        """A connection that commits by itself and prepares what it is told to, with generic plans."""
        import psycopg

        connection = psycopg.connect(
            host=str(self.socket), dbname="postgres", user=self.user, autocommit=True, prepare_threshold=1
        )
        connection.execute("SET plan_cache_mode = force_generic_plan")
        return connection

    def cpu_s(self) -> float:
        """CPU of the server and all its processes so far, those that have ended included (in ticks)."""
        pid = self.process.pid
        found = sum(running_cpu_s(child) for child in _children(pid))
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return found
        return found + (int(stat[13]) + int(stat[14])) * _TICK_S


def running_cpu_s(pid: int) -> float:
    """CPU of one running process, from the scheduler's own count in nanoseconds where there is one."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(stat[11]) + int(stat[12])) * _TICK_S


def _children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextlib.contextmanager
def cluster() -> Generator[Cluster]:
    """A server with q3c and pgSphere, stopped and removed at the end; raises `Missing`."""
    bin_dir = programs()
    folder = Path(tempfile.mkdtemp(prefix="skygate-pg-"))
    as_user = _unprivileged(folder)
    process: subprocess.Popen[Any] | None = None
    try:
        data, log = folder / "data", folder / "log"
        _initialise(bin_dir, data, as_user)
        with (data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings().items())
            file.write(f"unix_socket_directories = '{folder}'\n")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [str(bin_dir / "postgres"), "-D", str(data)],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **as_user,
            )
        assert process is not None
        running = Cluster(folder, process)
        _wait(running, log)
        with running.connect() as connection:
            for extension in ("q3c", "pg_sphere", "pg_prewarm"):
                connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        yield running
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> Mapping[str, Any]:
    """Whom to run as: PostgreSQL refuses to run as root, so there it is `postgres`, else `nobody`."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Missing("there is no user that PostgreSQL could run as")


def _initialise(bin_dir: Path, data: Path, as_user: Mapping[str, Any]) -> None:
    made = subprocess.run(
        [
            *(str(bin_dir / "initdb"), "-D", str(data), "-U", _SUPERUSER, "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C"),
        ],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        **as_user,
    )
    if made.returncode:
        raise Missing(f"initdb failed: {made.stderr.strip()[-400:]}")


def _end_with_parent() -> None:
    """The server stops (fast shutdown) when this process dies, even by a signal that cannot be caught."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _wait(running: Cluster, log: Path) -> None:
    import psycopg

    until = time.monotonic() + _START_S
    while True:
        try:
            running.connect().close()
        except psycopg.OperationalError:
            if running.process.poll() is not None or time.monotonic() > until:
                raise Missing(f"PostgreSQL did not start: {log.read_text()[-600:]}") from None
            time.sleep(0.1)
        else:
            return


def _stop(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
