"""Questions and their answers: understood, given a place, run, spooled, and logged with one line.

Must not know: HTTP, engines' names. `await` a call; the rows that come back are iterated in a thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakSet

import pyarrow as pa
from anyio import CapacityLimiter, WouldBlock, move_on_after, to_thread

from skygate import wire
from skygate.domain.account import Principal
from skygate.domain.catalog import Catalog, Column, Table
from skygate.domain.query import Limits, Outcome, Plan, Query
from skygate.domain.sky import Circle
from skygate.errors import BadParameter, BadQuery, Busy, HouseError, SkygateError, Where
from skygate.ports import Engine, Rows
from skygate.services import questions
from skygate.services.places import Places
from skygate.services.releases import ReleasesService, Snapshot
from skygate.services.room import Room
from skygate.services.spool import Spool, Told

log = logging.getLogger("skygate.query")

_LOGGED_CHARACTERS = 2048
_KEPT_SAMPLES = 256
_COMPILING = 2
"""Queries that are understood at once, short and long ones each: it is work of the interpreter."""
_WAITING_TEXTS = 64
_SHORT_TEXT = 2000
"""Characters of a text that does not wait behind longer ones."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What queries may use; `assembly` reads them from the settings."""

    seconds: float
    default_maxrec: int
    hard_maxrec: int
    memory_bytes: int
    spool_memory_bytes: int
    spool_disk_bytes: int
    room_memory_bytes: int
    room_disk_bytes: int
    """What all answers together may take while they wait for their readers."""
    max_query_bytes: int
    max_positions: int
    patience_s: float = 0.25
    """How long an answer that has begun may take to become complete before it is handed out."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a query was understood to mean, without running it."""

    tables: tuple[Table, ...]
    """Each table once, in order of appearance."""
    columns: tuple[Column, ...]
    """Columns of the answer."""
    rows: int
    """Rows that may have to be looked at, at most."""
    bytes: int
    """Bytes of the columns and files that may have to be read, at most (about)."""
    files: int


class Compiler(Protocol):
    """Turns ADQL over a catalogue into a plan; raises `BadQuery` with its place."""

    def __call__(self, text: str, catalog: Catalog, *, dialect: str) -> Plan:
        """The plan in this engine's dialect."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question on its way: who, what kind, its text, what it may name."""

    user: Principal
    kind: str
    text: str
    maxrec: int
    snapshot: Snapshot
    began: float


class QueriesService:
    """Runs queries, cones, crossmatches and samples of one house."""

    def __init__(
        self,
        releases: ReleasesService,
        engine: Engine,
        places: Places,
        *,
        bounds: Bounds,
        compiler: Compiler,
    ) -> None:
        self._releases = releases
        self._engine = engine
        self._places = places
        self._bounds = bounds
        self._compile = compiler
        self._compiling = (CapacityLimiter(_COMPILING), CapacityLimiter(_COMPILING))
        self._samples: OrderedDict[tuple[str, str, int], pa.Table] = OrderedDict()
        self._samples_guard = threading.Lock()
        self._room = Room(bounds.room_memory_bytes, bounds.room_disk_bytes)
        self._spools: WeakSet[Spool] = WeakSet()

    def close(self, wait_s: float = 5.0) -> None:
        """Stop every answer that still runs, and wait until the engine has let go of them."""
        until = time.monotonic() + wait_s
        spools = list(self._spools)
        for spool in spools:
            spool.close()
        for spool in spools:
            spool.ended(max(0.0, until - time.monotonic()))

    async def check(self, user: Principal, query: Query) -> Checked:
        """What the query means and about how much it must read; raises what `run` would, but for limits."""
        snapshot = self._releases.snapshot(user)
        plan = await self._plan(self._checked_text(query.text), snapshot)
        return checked(plan)

    async def run(self, user: Principal, query: Query) -> Rows:
        """The answer to ADQL.

        Raises `BadQuery`, `Busy`, `TooCostly` …, whatever goes wrong before the first rows; later faults
        are raised while iterating. Cancelling the call stops the query.
        """
        text = self._checked_text(query.text)
        asked = self._asked(user, "adql", text, query.maxrec)
        return await self._answer(asked)

    async def cone(
        self,
        user: Principal,
        table_name: str,
        circle: Circle,
        *,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
    ) -> Rows:
        """Rows of a table inside a circle, its rim included; raises `NotFound` when it has no positions."""
        table = self._releases.table(user, table_name)
        text = questions.cone(table, circle, questions.chosen(table, columns))
        return await self._answer(self._asked(user, "cone", text, maxrec))

    async def crossmatch(
        self,
        user: Principal,
        table_name: str,
        positions: pa.Table,
        radius_deg: float,
        *,
        nearest: bool = False,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
    ) -> Rows:
        """Rows of a table within `radius_deg` of positions (`ra`, `dec` in degrees; more columns come along).

        Columns of the answer: `row` (number of the position, from 0), those of the positions,
        `separation_deg`, those of the table. Raises `BadParameter` for what is no position or radius.
        """
        if not 0 <= radius_deg <= 180:
            raise BadParameter(
                f"radius {radius_deg:g} is not between 0 and 180 degrees", where=Where(name="radius_deg")
            )
        asked = self._asked(user, "crossmatch", "", maxrec)
        table = self._releases.table(user, table_name)
        picked = questions.chosen(table, columns)
        questions.placed(table)
        schema, rows = await to_thread.run_sync(self._received, positions)
        (mine,) = schema.tables
        catalog = asked.snapshot.catalog
        snapshot = replace(
            asked.snapshot,
            catalog=replace(catalog, schemas=(*catalog.schemas, schema)),
            memory={**asked.snapshot.memory, mine.full_name: rows},
        )
        text = questions.crossmatch(mine, table, radius_deg, picked, nearest_only=nearest)
        return await self._answer(replace(asked, text=text, snapshot=snapshot))

    async def sample(self, user: Principal, table: Table | str, rows: int = 10) -> pa.Table:
        """A few rows of a table; kept as long as the release does not change."""
        if isinstance(table, str):
            table = self._releases.table(user, table)
        asked = self._asked(user, "sample", questions.sample(table, rows), rows)
        key = (asked.snapshot.catalog.fingerprint, table.full_name, rows)
        with self._samples_guard:
            if key in self._samples:
                return self._samples[key]
        answer = await self._answer(asked)
        found = await to_thread.run_sync(_whole, answer)
        with self._samples_guard:
            self._samples[key] = found
            while len(self._samples) > _KEPT_SAMPLES:
                self._samples.popitem(last=False)
        return found

    def _received(self, positions: pa.Table) -> tuple[questions.Schema, pa.Table]:
        return questions.upload(positions, max_rows=self._bounds.max_positions)

    def _asked(self, user: Principal, kind: str, text: str, maxrec: int | None) -> _Asked:
        bounds = self._bounds
        if maxrec is not None and maxrec < 0:
            raise BadParameter(f"MAXREC {maxrec} is negative", where=Where(name="MAXREC"))
        rows = min(bounds.default_maxrec if maxrec is None else maxrec, bounds.hard_maxrec)
        return _Asked(user, kind, text, rows, self._releases.snapshot(user), time.monotonic())

    def _checked_text(self, text: str) -> str:
        size = len(text.encode(errors="replace"))
        if size > self._bounds.max_query_bytes:
            raise BadQuery(
                f"the query has {size} bytes; {self._bounds.max_query_bytes} are allowed",
                hint="long lists of values go better as a table of positions",
            )
        return text

    async def _plan(self, text: str, snapshot: Snapshot) -> Plan:
        lane = self._compiling[len(text) > _SHORT_TEXT]
        if lane.statistics().tasks_waiting >= _WAITING_TEXTS:
            raise _crowded()
        mark = object()
        try:
            lane.acquire_on_behalf_of_nowait(mark)
        except WouldBlock:
            with move_on_after(self._places.wait_s):
                await lane.acquire_on_behalf_of(mark)
            if mark not in lane.statistics().borrowers:
                raise _crowded() from None
        try:
            return await to_thread.run_sync(self._compiled, text, snapshot.catalog)
        except RecursionError:
            raise BadQuery("the query is nested too deeply", hint="split it with WITH") from None
        finally:
            lane.release_on_behalf_of(mark)

    def _compiled(self, text: str, catalog: Catalog) -> Plan:
        return self._compile(text, catalog, dialect=self._engine.dialect)

    async def _answer(self, asked: _Asked) -> Rows:
        try:
            plan = await self._plan(asked.text, asked.snapshot)
            if asked.maxrec == 0:
                # DALI 1.1, section 3.4.4: the columns alone, and no row is looked for
                outcome = Outcome(0, overflow=True)
                self._log(asked, outcome, None, waited_s=0.0)
                return Told(plan.columns, outcome)
            await self._places.take()
        except SkygateError as fault:
            self._log(asked, None, fault, waited_s=None)
            raise
        waited_s = time.monotonic() - asked.began
        spool = self._spool(asked, plan, waited_s)
        try:
            await to_thread.run_sync(spool.settle, self._bounds.patience_s, abandon_on_cancel=True)
        except BaseException:
            spool.close()
            raise
        return spool

    def _spool(self, asked: _Asked, plan: Plan, waited_s: float) -> Spool:
        """The answer, being run. It gives the place back and writes the line, whatever happens."""
        bounds = self._bounds
        limits = Limits(maxrec=asked.maxrec, seconds=bounds.seconds, memory_bytes=bounds.memory_bytes)

        def ended(outcome: Outcome | None, fault: SkygateError | None) -> None:
            self._places.give_back()
            self._log(asked, outcome, fault, waited_s=waited_s)

        spool = Spool(
            plan.columns,
            lambda: self._engine.run(plan, limits, asked.snapshot.memory),
            memory_bytes=bounds.spool_memory_bytes,
            disk_bytes=bounds.spool_disk_bytes,
            room=self._room,
            ended=ended,
        )
        self._spools.add(spool)
        return spool

    def _log(
        self, asked: _Asked, outcome: Outcome | None, fault: SkygateError | None, *, waited_s: float | None
    ) -> None:
        fields: dict[str, object] = {
            "user": asked.user.name,
            "kind": asked.kind,
            "seconds": round(time.monotonic() - asked.began, 4),
        }
        if waited_s is not None:
            fields["waited_s"] = round(waited_s, 4)
        if outcome is not None:
            fields |= {"rows": outcome.rows, "overflow": outcome.overflow}
        if fault is not None:
            fields |= {"error": fault.code, "fault": str(fault)[:_LOGGED_CHARACTERS]}
        fields["query"] = asked.text[:_LOGGED_CHARACTERS]
        ours = isinstance(fault, HouseError)
        log.log(
            logging.ERROR if ours else logging.INFO,
            "query",
            extra={"fields": fields},
            exc_info=fault if ours else None,
        )


def _crowded() -> Busy:
    return Busy("too many queries wait to be understood", hint="try again", retry_after_s=2)


def checked(plan: Plan) -> Checked:
    """What a plan reads, from the sizes of the parts that its sources need."""
    tables: dict[str, Table] = {}
    rows = size = files = 0
    for source in plan.sources:
        tables.setdefault(source.table.full_name, source.table)
        parts = source.parts
        share = len(source.columns) / max(1, len(source.table.columns))
        rows += sum(p.rows for p in parts)
        size += int(sum(p.size_bytes for p in parts) * min(1.0, share))
        files += len(parts)
    return Checked(tuple(tables.values()), plan.columns, rows, size, files)


def _whole(rows: Rows) -> pa.Table:
    try:
        return pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))
    finally:
        rows.close()
