"""Eight clients at once, each a process of its own: cones of 1″ for some seconds, Skygate and pgSphere."""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers.bench import OBJECTS, Bench
from benchmarks.peers.cones import BOUND, COLUMNS, KINDS, SPHERE, arrow_ids
from benchmarks.peers.measure import Line, with_ratios
from benchmarks.peers.pgrows import fetch
from benchmarks.peers.postgres import Cluster, running_cpu_s

CLIENTS, SMOKE_CLIENTS = 8, 2
RADIUS = 1 / 3600
SECONDS = 15.0
_WARM = 30


@dataclass(frozen=True, slots=True)
class Found:
    """What one client did."""

    walls: np.ndarray[Any, Any]
    cpu_s: float
    rows: int
    first_ids: list[int]
    """Identifiers of the warming calls, which are the same for everybody."""


def crowd(bench: Bench) -> list[Line]:
    """Throughput, latency and CPU of eight clients."""
    places = np.column_stack([bench.sample["ra"], bench.sample["dec"]])[:5000]
    clients, seconds = (SMOKE_CLIENTS, 1.0) if bench.smoke else (CLIENTS, SECONDS)
    runs = {"Skygate": _all(clients, _skygate, os.fspath(bench.root), places, seconds)}
    if bench.postgres is not None:
        runs["pgSphere"] = _all(clients, _pgsphere, os.fspath(bench.postgres.socket), places, seconds)
    ours = runs["Skygate"]
    said = f"{clients} clients (processes) of 1″ cones at once, 6 columns"
    lines = []
    for side, found in runs.items():
        walls = 1000 * np.concatenate([f.walls for f in found])
        same = [f.first_ids for f in found] == [f.first_ids for f in ours]
        lines.append(
            Line(
                case="crowd",
                says=said,
                side=side,
                calls=len(walls),
                rows=sum(f.rows for f in found),
                wall_ms=round(float(np.median(walls)), 4),
                wall_p99_ms=round(float(np.percentile(walls, 99)), 4),
                cpu_ms=round(1000 * sum(f.cpu_s for f in found) / len(walls), 4),
                agrees=None if side == "Skygate" else same,
                per_second=round(sum(len(f.walls) / f.walls.sum() for f in found), 1),
            )
        )
    return with_ratios(lines)


def _all(clients: int, client: Any, target: str, places: Any, seconds: float) -> list[Found]:
    context = mp.get_context("spawn")
    start = context.Barrier(clients)
    told: Any = context.Queue()
    made = [
        context.Process(target=_guarded, args=(client, n, target, places, seconds, start, told), daemon=True)
        for n in range(clients)
    ]
    for process in made:
        process.start()
    found = [told.get(timeout=600) for _ in made]
    for process in made:
        process.join(60)
    faults = [f for _, f in found if not isinstance(f, Found)]
    if faults:
        raise RuntimeError(f"a client failed: {faults[0]}")
    return [f for _, f in sorted(found, key=lambda pair: pair[0])]


def _guarded(
    client: Any, number: int, target: str, places: Any, seconds: float, start: Any, told: Any
) -> None:
    try:
        told.put((number, client(number, target, places, seconds, start)))
    except Exception as fault:  # noqa: BLE001  (told by the parent)
        start.abort()
        told.put((number, repr(fault)))


def _skygate(number: int, target: str, places: Any, seconds: float, start: Any) -> Found:
    import skygate

    with skygate.connect(target) as gate:

        def ask(ra: float, dec: float) -> Any:
            return arrow_ids(gate.cone(OBJECTS, ra, dec, RADIUS, columns=COLUMNS).to_arrow())

        return _drive(ask, number, places, seconds, start, lambda: 0.0)


def _pgsphere(number: int, target: str, places: Any, seconds: float, start: Any) -> Found:
    from pathlib import Path

    server: Any = None
    with Cluster(Path(target), server).connect() as connection:
        text = f"SELECT {', '.join(COLUMNS)} FROM objects WHERE {SPHERE.format(**BOUND)}"

        def ask(ra: float, dec: float) -> Any:
            return fetch(connection, text, [ra, dec, RADIUS], KINDS)["object_id"]

        backend = connection.info.backend_pid
        return _drive(ask, number, places, seconds, start, lambda: running_cpu_s(backend))


def _drive(ask: Any, number: int, places: Any, seconds: float, start: Any, backend_s: Any) -> Found:
    order = np.random.default_rng(number).permutation(len(places))
    first: list[int] = []
    for k in order[:_WARM]:
        first += sorted(int(i) for i in ask(float(places[k, 0]), float(places[k, 1])))
    start.wait(300)
    walls, rows, k = [], 0, 0
    used, behind, end = time.process_time(), backend_s(), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        ra, dec = places[order[k % len(order)]]
        rows += len(ask(float(ra), float(dec)))
        walls.append(time.perf_counter() - began)
        k += 1
    cpu = time.process_time() - used + backend_s() - behind
    return Found(np.array(walls), cpu, rows, first)
