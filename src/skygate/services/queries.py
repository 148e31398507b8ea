"""Questions and their answers: understood, given a place, run, spooled, and logged with one line.

Must not know: HTTP, engines' names. `await` a call; the rows that come back are iterated in a thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from weakref import WeakSet

import pyarrow as pa
from anyio import to_thread

from skygate.domain.account import Principal
from skygate.domain.catalog import Catalog, Column, Table
from skygate.domain.query import Limits, Lookup, Near, Outcome, Plan, Query
from skygate.domain.sky import Circle
from skygate.errors import BadParameter, BadQuery, SkygateError, Where
from skygate.ports import Accelerator, Engine, Run, Tallies, Waiting
from skygate.room import Room
from skygate.services import questions
from skygate.services.asked import Asked, tell
from skygate.services.bounds import Bounds
from skygate.services.hands import Hands
from skygate.services.held import Held, whole
from skygate.services.lanes import Lanes
from skygate.services.lookups import Answered, AtOnce, Look, Lookups, Ready
from skygate.services.pace import Pace
from skygate.services.places import Places
from skygate.services.releases import ReleasesService, Snapshot
from skygate.services.spool import Spool
from skygate.services.understanding import Checked, Compiler, Known, Understood, checked, tables_of

_KEPT_SAMPLES = 256
_LOOKUPS = 32
"""Lookups at once; places are beside these."""


T = TypeVar("T")


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
        known: Known | None = None,
        accelerator: Accelerator | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        self._releases = releases
        self._engine = engine
        self._places = places
        self._bounds = bounds
        self._compile = compiler
        self._known = known
        self._hands = Hands(places.running + _LOOKUPS)
        self._pace = Pace()
        self._lanes = Lanes(places.wait_s)
        self._lookups = Lookups(accelerator, tallies)
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
        self._hands.close()

    async def check(self, user: Principal, query: Query) -> Checked:
        """What the query means and about how much it must read; raises what `run` would, but for limits."""
        snapshot = self._releases.snapshot(user)
        text = self._checked_text(query.text)
        plan, _ = await self._in_lane(text, lambda: self._compiled(text, snapshot.catalog).plan())
        return checked(plan)

    async def run(self, user: Principal, query: Query) -> Waiting:
        """The rows of `ask`."""
        return (await self.ask(user, query)).rows

    async def ask(self, user: Principal, query: Query) -> Answered:
        """The answer to ADQL.

        Raises `BadQuery`, `Busy`, `TooCostly` …, whatever goes wrong before the first rows; later faults
        are raised while iterating. Cancelling the call stops the query.
        """
        asked = self._worded(user, query)
        asked, meant = await self._understood(asked)
        rows = await self._answer(asked, meant=meant)
        return Answered(rows, tables_of(meant), asked.snapshot.catalog)

    def run_at_once(self, user: Principal, query: Query) -> AtOnce:
        """The answer of `run` where it is found in a moment, in this thread."""
        asked = self._worded(user, query)
        try:
            meant = self._compiled(asked.text, asked.snapshot.catalog)
        except SkygateError:
            return AtOnce(None, (), asked.snapshot.catalog)  # `run` says it, and logs it
        rows = self._at_once(asked, self._lookup(asked, meant))
        return AtOnce(rows, tables_of(meant), asked.snapshot.catalog)

    async def cone(
        self,
        user: Principal,
        table_name: str,
        circle: Circle,
        *,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
        snapshot: Snapshot | None = None,
    ) -> Waiting:
        """Rows of a table inside a circle, its rim included; raises `NotFound` when it has no positions.

        `snapshot` is what may be asked, where the caller has it.
        """
        asked, _, look = self._cone(user, table_name, circle, columns, maxrec, snapshot)
        return await self._answer(asked, look)

    def cone_at_once(
        self,
        user: Principal,
        table_name: str,
        circle: Circle,
        *,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
    ) -> AtOnce:
        """The answer of `cone` where it is found in a moment, in this thread."""
        asked, table, look = self._cone(user, table_name, circle, columns, maxrec)
        return AtOnce(self._at_once(asked, look), (table,), asked.snapshot.catalog)

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
    ) -> Waiting:
        """Rows of a table within `radius_deg` of positions (`ra`, `dec` in degrees; more columns come along).

        Columns of the answer: `row` (number of the position, from 0), those of the positions,
        `separation_deg`, those of the table. Raises `BadParameter` for what is no position or radius.
        """
        if not 0 <= radius_deg <= 180:
            raise BadParameter(
                f"radius {radius_deg:g} is not between 0 and 180 degrees", where=Where(name="radius_deg")
            )
        asked = self._asked(user, "crossmatch", str, maxrec)
        table = self._releases.table_in(asked.snapshot, table_name)
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
        asked = replace(asked, worded=lambda: text, snapshot=snapshot)
        match = partial(self._lookups.match, snapshot, table, rows, radius_deg, picked, mine, nearest=nearest)
        return await self._answer(asked, Look(match))

    async def sample(self, user: Principal, table: Table | str, rows: int = 10) -> pa.Table:
        """A few rows of a table; kept as long as the release does not change."""
        if isinstance(table, str):
            table = self._releases.table(user, table)
        asked = self._asked(user, "sample", partial(questions.sample, table, rows), rows)
        key = (asked.snapshot.catalog.fingerprint, table.full_name, rows)
        with self._samples_guard:
            if key in self._samples:
                return self._samples[key]
        answer = await self._answer(asked)
        found = await to_thread.run_sync(whole, answer)
        with self._samples_guard:
            self._samples[key] = found
            while len(self._samples) > _KEPT_SAMPLES:
                self._samples.popitem(last=False)
        return found

    def _received(self, positions: pa.Table) -> tuple[questions.Schema, pa.Table]:
        return questions.upload(positions, max_rows=self._bounds.max_positions)

    def _worded(self, user: Principal, query: Query) -> Asked:
        text = self._checked_text(query.text)
        return self._asked(user, "adql", lambda: text, query.maxrec)

    def _cone(
        self,
        user: Principal,
        table_name: str,
        circle: Circle,
        columns: Sequence[str] | None,
        maxrec: int | None,
        snapshot: Snapshot | None = None,
    ) -> tuple[Asked, Table, Look]:
        """A cone as a question, its table, and as a lookup."""
        snapshot = snapshot or self._releases.snapshot(user)
        table = self._releases.table_in(snapshot, table_name)
        picked = questions.chosen(table, columns)
        questions.placed(table)
        lookup = Lookup(table, tuple([c.name for c in picked]), Near(circle))
        asked = self._asked(user, "cone", partial(questions.cone, table, circle, picked), maxrec, snapshot)
        return asked, table, self._lookups.look(snapshot, lookup, picked)

    def _asked(
        self,
        user: Principal,
        kind: str,
        worded: Callable[[], str],
        maxrec: int | None,
        snapshot: Snapshot | None = None,
    ) -> Asked:
        bounds = self._bounds
        if maxrec is not None and maxrec < 0:
            raise BadParameter(f"MAXREC {maxrec} is negative", where=Where(name="MAXREC"))
        rows = min(bounds.default_maxrec if maxrec is None else maxrec, bounds.hard_maxrec)
        taken = snapshot if snapshot is not None else self._releases.snapshot(user)
        return Asked(user, kind, worded, rows, taken, time.monotonic())

    def _checked_text(self, text: str) -> str:
        size = len(text.encode(errors="replace"))
        if size > self._bounds.max_query_bytes:
            raise BadQuery(
                f"the query has {size} bytes; {self._bounds.max_query_bytes} are allowed",
                hint="long lists of values go better as a table of positions",
            )
        return text

    async def _in_lane(self, text: str, work: Callable[[], T]) -> tuple[T, float]:
        """What the work of understanding a text gives, and the seconds that it took."""
        async with self._lanes.of(text):
            began = time.monotonic()
            try:
                return await self._hands.run(work), time.monotonic() - began
            except RecursionError:
                raise BadQuery("the query is nested too deeply", hint="split it with WITH") from None

    def _compiled(self, text: str, catalog: Catalog) -> Understood:
        return self._compile(text, catalog, dialect=self._engine.dialect)

    async def _understood(self, asked: Asked) -> tuple[Asked, Understood]:
        """What a question means."""
        if self._known is not None:
            known = self._known(asked.text, asked.snapshot.catalog, dialect=self._engine.dialect)
            if known is not None:
                return asked, known
        return await self._understanding(asked, partial(self._compiled, asked.text, asked.snapshot.catalog))

    async def _understanding(self, asked: Asked, work: Callable[[], T]) -> tuple[Asked, T]:
        """The question, which has used up some of its time; what is wrong with it is logged."""
        try:
            found, spent_s = await self._in_lane(asked.text, work)
            return replace(asked, spent_s=asked.spent_s + spent_s), found
        except SkygateError as fault:
            tell(asked, None, fault, waited_s=None)
            raise

    def _lookup(self, asked: Asked, meant: Understood) -> Look | None:
        return self._lookups.look(asked.snapshot, meant.lookup, meant.columns) if meant.lookup else None

    def _at_once(self, asked: Asked, look: Look | None) -> Waiting | None:
        """A small answer of an accelerator."""
        ready = look.ask() if look is not None and asked.maxrec > 0 else None
        return self._held(asked, ready) if ready is not None and ready.small else None

    def _held(self, asked: Asked, ready: Ready) -> Waiting:
        """All rows of a small answer, which need no place; logged."""
        try:
            rows = ready.held(self._limits(asked))
        except SkygateError as fault:
            tell(asked, None, fault, waited_s=0.0)
            raise
        tell(asked, rows.outcome, None, waited_s=0.0)
        return rows

    async def _looked(self, asked: Asked, look: Look) -> Ready | Waiting | None:
        """What an accelerator finds, and where that is little, all of it: here, where it takes a moment."""

        def looked() -> Ready | Waiting | None:
            ready = look.ask()
            return self._held(asked, ready) if ready is not None and ready.small else ready

        if not look.quick or not self._pace.is_fast:
            return await self._hands.run(looked)
        with self._pace.timed():
            ready = look.ask()
            if ready is None or not ready.small:
                return ready
            if ready.few:
                return self._held(asked, ready)
        return await self._hands.run(self._held, asked, ready)

    async def _answer(
        self, asked: Asked, look: Look | None = None, *, meant: Understood | None = None
    ) -> Waiting:
        """The answer of an accelerator, or else of the engine, to which the question goes as a plan."""
        if meant is not None:
            look = self._lookup(asked, meant)
        if look is not None and asked.maxrec > 0:
            found = await self._looked(asked, look)
            if isinstance(found, Ready):
                return await self._spooled(asked, found.columns, partial(found.run, self._limits(asked)))
            if found is not None:
                return found
        if meant is None:
            asked, meant = await self._understood(asked)
        if asked.maxrec == 0:
            # DALI 1.1, section 3.4.4: the columns alone, and no row is looked for
            outcome = Outcome(0, overflow=True)
            tell(asked, outcome, None, waited_s=0.0)
            return Held(meant.columns, outcome)
        if isinstance(meant, Plan):
            plan = meant
        else:
            asked, plan = await self._understanding(asked, meant.plan)
        start = partial(self._engine.run, plan, self._limits(asked), asked.snapshot.memory)
        return await self._spooled(asked, plan.columns, start)

    def _limits(self, asked: Asked) -> Limits:
        bounds = self._bounds
        return Limits(asked.maxrec, bounds.seconds, bounds.memory_bytes, asked.spent_s)

    async def _spooled(self, asked: Asked, columns: tuple[Column, ...], start: Callable[[], Run]) -> Waiting:
        """A run that has got a place, and is known to its end or has begun to give rows."""
        try:
            await self._places.take()
        except SkygateError as fault:
            tell(asked, None, fault, waited_s=None)
            raise
        spool = self._spool(asked, columns, start, time.monotonic() - asked.began)
        try:
            await spool.settle(self._bounds.patience_s)
        except BaseException:
            spool.close()
            raise
        return spool

    def _spool(
        self, asked: Asked, columns: tuple[Column, ...], start: Callable[[], Run], waited_s: float
    ) -> Spool:
        """The answer, being run. It gives the place back and writes the line, whatever happens."""

        def ended(outcome: Outcome | None, fault: SkygateError | None) -> None:
            self._places.give_back()
            tell(asked, outcome, fault, waited_s=waited_s)

        spool = Spool(
            columns,
            start,
            memory_bytes=self._bounds.spool_memory_bytes,
            disk_bytes=self._bounds.spool_disk_bytes,
            room=self._room,
            hands=self._hands,
            ended=ended,
        )
        self._spools.add(spool)
        return spool
