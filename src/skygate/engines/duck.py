"""DuckDB as an engine: one locked in-memory database that can only read the parts of running plans.

Must not know: ADQL, releases, HTTP. docs/decisions/070 says why each wall stands.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from skygate import wire
from skygate.adql.kernels import KERNELS, Kernel
from skygate.domain.catalog import CELL_COLUMN, Column, Part
from skygate.domain.query import Limits, Mark, Outcome, Plan, Source
from skygate.engines import duck_faults, duck_gate
from skygate.engines.conform import conform
from skygate.engines.duck_database import STOPPED, open_database, quoted
from skygate.engines.duck_databases import Attach, Databases, Opened
from skygate.engines.duck_files import Lease, PartFiles
from skygate.engines.duck_gate import Gate
from skygate.engines.duck_native import NativeFile, NativeFiles
from skygate.engines.duck_watch import Watch, Watched
from skygate.errors import Cancelled, HouseError, SkygateError, TooCostly
from skygate.scratch import Scratch

log = logging.getLogger("skygate.engine")

_BATCH_ROWS = 65_536
_BATCH_VALUES = 1 << 21
"""Values of a batch: those of wide answers have fewer rows, as DuckDB fills a batch outside of its memory."""
_FEWEST_ROWS = 2048
"""Rows that DuckDB makes at once, whatever is asked."""
_MIB = 1 << 20
_DENSE_BITS = 19
"""Of groups in one array (512 x 512 bins and their ends): half the time of a hash table, and some 20 MB a
thread, of which DuckDB's limit of memory knows nothing."""


class DuckEngine:
    """Runs plans of dialect "duckdb" over Parquet parts below `data_dir`. Safe to call from several threads.

    `memory_bytes` is shared by all running plans; a plan that needs more spills to a private directory in
    the system's temporary directory, up to `spill_bytes`. `kernels` are the functions that plans may call.
    """

    dialect = "duckdb"

    def __init__(
        self,
        data_dir: Path,
        *,
        memory_bytes: int,
        threads: int,
        spill_bytes: int = 20 << 30,
        kernels: Sequence[Kernel] = KERNELS,
    ) -> None:
        self._files = PartFiles(data_dir)
        self._spill = Scratch("spill")
        self._watch = Watch()
        self._runs: dict[int, DuckRun] = {}
        self._numbers = count(1)
        self._guard = threading.Lock()
        self._closed = False

        def opened(attach: Attach) -> duckdb.DuckDBPyConnection:
            return open_database(
                self._files,
                spill=self._spill.path,
                spill_bytes=spill_bytes,
                memory_bytes=memory_bytes,
                threads=threads,
                kernels=kernels,
                stopped=self._is_stopped,
                attach=attach,
            )

        self._native = NativeFiles(data_dir)
        self._databases = Databases(opened, self._native)
        cursor, _ = self._databases.cursor()
        with cursor:
            self._gate = Gate(duck_gate.safe_functions(cursor) | {k.name.lower() for k in kernels})

    def run(self, plan: Plan, limits: Limits, memory: Mapping[str, pa.Table]) -> DuckRun:
        """Check a plan and make it ready; it runs while its answer is iterated, and raises there too."""
        if plan.dialect != self.dialect:
            raise HouseError(f"a plan for {plan.dialect} came to DuckDB")
        due = time.monotonic() + limits.seconds - limits.spent_s
        cursor, opened = self._databases.cursor()
        lease: Lease | None = None
        try:
            number = next(self._numbers)
            names, tables, parts = _relations(plan, memory)
            relations = self._attached(plan, names, parts, opened.attached)
            text = _spell(plan, names, number)
            self._gate.check(cursor, plan, text, names)
            lease = self._files.lease(p for chosen in parts.values() for p in chosen)
            spelled = _scans(names, parts, lease.names, relations)
            for name, table in tables.items():
                cursor.register(name, table)
            text = _limited(_spell(plan, spelled, number), limits.maxrec)
            run = DuckRun(self, number, plan, limits, due, cursor, opened, lease, text)
        except duckdb.Error as fault:
            _let_go(cursor, lease)
            self._databases.renew(fault)
            raise duck_faults.translate(fault) from fault
        except BaseException:
            _let_go(cursor, lease)
            raise
        with self._guard:
            self._runs[number] = run
            closed = self._closed
        if closed:
            run.close()
            raise HouseError("the engine is closed")
        return run

    def close(self) -> None:
        """Cancel what runs, wait a moment for it, and free everything."""
        with self._guard:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.close()
        until = time.monotonic() + 5
        while self._runs and time.monotonic() < until:
            time.sleep(0.01)
        self._watch.close()
        self._databases.close()
        self._spill.close()

    def renew(self, fault: BaseException) -> None:
        """Open another database when `fault` says that this one will never work again."""
        self._databases.renew(fault)

    def watch(self, thing: Watched) -> None:
        """Have `thing` interrupted when it is due."""
        self._watch.add(thing)

    def hurry(self, thing: Watched) -> None:
        """Have `thing` interrupted at once."""
        self._watch.now(thing)

    def forget(self, run: DuckRun, thing: Watched) -> None:
        """The run has ended."""
        self._watch.remove(thing)
        with self._guard:
            self._runs.pop(run.number, None)

    def _is_stopped(self, number: int) -> bool:
        """Whether the run of this number has ended, was cancelled, or has run as long as it may."""
        run = self._runs.get(number)
        return run is None or run.is_due(time.monotonic())

    def _attached(
        self,
        plan: Plan,
        names: Sequence[str],
        parts: dict[str, tuple[Part, ...]],
        attached: Mapping[NativeFile, str],
    ) -> dict[str, str]:
        """The relation of each name whose table has an attached native file; its parts are not needed."""
        found: dict[str, str] = {}
        for name, source in zip(names, plan.sources, strict=True):
            file = self._native.of(source.table) if name in parts else None
            if file is not None and self._native.is_there(file) and file in attached:
                found[name] = attached[file]
                del parts[name]
        self._databases.keep_up()
        return found


class DuckRun:
    """A plan being run: iterate once, in one thread; `cancel` and `close` come from any."""

    def __init__(
        self,
        engine: DuckEngine,
        number: int,
        plan: Plan,
        limits: Limits,
        due: float,
        cursor: duckdb.DuckDBPyConnection,
        opened: Opened,
        lease: Lease,
        text: str,
    ) -> None:
        self.columns: tuple[Column, ...] = plan.columns
        self.outcome: Outcome | None = None
        self.number = number
        self._engine = engine
        self._limits = limits
        self._cursor = cursor
        self._opened: Opened | None = opened
        self._lease = lease
        self._text = text
        self._dense = plan.dense
        self._watched = Watched(self._interrupt, due)
        self._guard = threading.Lock()
        self._started = False
        self._ended = False
        self._cancelled = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The rows; ends with `outcome` set, or raises."""
        with self._guard:
            if self._cancelled:
                raise Cancelled("the query was cancelled")
            if self._started:
                raise HouseError("an answer is iterated twice")
            self._started = True
        self._engine.watch(self._watched)
        rows, reader = 0, None
        schema = wire.arrow_schema(self.columns)
        maxrec = self._limits.maxrec
        overflow = False
        try:
            left_ms = max(0, int((self._watched.due - time.monotonic()) * 1000))
            self._cursor.execute(_settings(self._limits, left_ms, dense=self._dense))
            reader = self._reader()
            for batch in reader:
                if self._cancelled:
                    raise Cancelled("the query was cancelled")
                overflow = rows + batch.num_rows > maxrec
                kept = batch.slice(0, maxrec - rows) if overflow else batch
                rows += kept.num_rows
                if kept.num_rows:
                    yield conform(kept, self.columns, schema)
                if overflow:
                    break
            self.outcome = Outcome(rows, overflow)
        except (duckdb.Error, OSError, pa.ArrowException, MemoryError) as fault:
            raise self._explain(fault) from fault
        finally:
            del reader
            self._end()

    def cancel(self) -> None:
        """Stop; the iteration raises `Cancelled` within a moment."""
        with self._guard:
            self._cancelled = True
            waiting = self._started and not self._ended
        if waiting:
            self._engine.hurry(self._watched)

    def is_due(self, clock: float) -> bool:
        """Whether it was cancelled, or has run as long as it may."""
        return self._cancelled or self._watched.due <= clock

    def close(self) -> None:
        """Stop if it has not ended, and free what it holds."""
        self.cancel()
        if not self._started:
            self._end()

    def _reader(self) -> Any:
        statement = _only_statement(self._cursor, self._text)
        rows = _BATCH_VALUES // max(1, len(self.columns))
        return self._cursor.sql(statement).to_arrow_reader(min(_BATCH_ROWS, max(_FEWEST_ROWS, rows)))

    def _interrupt(self) -> None:
        with self._guard:
            if not self._ended:
                self._cursor.interrupt()

    def _end(self) -> None:
        with self._guard:
            if self._ended:
                return
            self._ended = True
        _let_go(self._cursor, self._lease)
        self._opened = None
        self._engine.forget(self, self._watched)

    def _explain(self, fault: BaseException) -> SkygateError:
        self._engine.renew(fault)
        if self._cancelled:
            return Cancelled("the query was cancelled")
        if duck_faults.is_interrupt(fault) or STOPPED in str(fault):
            return TooCostly(
                f"the query ran longer than the limit of {self._limits.seconds:g} s",
                hint="ask for less: fewer rows, a smaller part of the sky, a condition on the position",
            )
        return duck_faults.translate(fault)


def _relations(
    plan: Plan, memory: Mapping[str, pa.Table]
) -> tuple[list[str], dict[str, pa.Table], dict[str, tuple[Part, ...]]]:
    """An unguessable name for each source in order, the rows of those in memory, the parts of the others."""
    names: list[str] = []
    tables: dict[str, pa.Table] = {}
    parts: dict[str, tuple[Part, ...]] = {}
    for source in plan.sources:
        name = "t_" + secrets.token_hex(12)
        names.append(name)
        rows = memory.get(source.table.full_name)
        if rows is not None:
            tables[name] = rows
        elif chosen := source.parts:
            parts[name] = chosen
        else:
            tables[name] = _nothing(source)
    return names, tables, parts


def _nothing(source: Source) -> pa.Table:
    """No rows, of the right types."""
    schema = wire.arrow_schema(source.table.columns)
    if source.table.position is not None:
        schema = schema.append(pa.field(CELL_COLUMN, pa.int64()))
    return schema.empty_table()


def _scans(
    names: Iterable[str],
    parts: Mapping[str, Sequence[Part]],
    leased: Sequence[str],
    attached: Mapping[str, str],
) -> list[str]:
    """What stands for each name in the text that runs. Leased names are ours: hexadecimal digits."""
    spelled: list[str] = []
    rest = iter(leased)
    for name in names:
        if name in parts:
            files = ", ".join(quoted(next(rest)) for _ in parts[name])
            spelled.append(f"read_parquet([{files}], hive_partitioning=false)")
        else:
            spelled.append(attached.get(name, name))
    return spelled


def _spell(plan: Plan, relations: Iterable[str], number: int) -> str:
    marks, rest = {Mark.RUN_NUMBER: str(number)}, iter(relations)
    spelled: list[str] = []
    for piece in plan.pieces:
        if isinstance(piece, Source):
            spelled.append(next(rest))
        else:
            spelled.append(marks[piece] if isinstance(piece, Mark) else piece)
    return "".join(spelled)


def _limited(text: str, maxrec: int) -> str:
    """One row more than may go out, so that an overflow shows and an ORDER BY need not sort everything."""
    return f"SELECT * FROM (\n{text}\n) LIMIT {maxrec + 1}"


def _settings(limits: Limits, left_ms: int, *, dense: bool) -> str:
    """What a cursor is told before a plan runs on it, in one text."""
    wanted = {
        "operator_memory_limit": f"'{max(16, limits.memory_bytes // _MIB)}MiB'",
        "max_execution_time": left_ms + 500,
    }
    if dense:
        wanted["perfect_ht_threshold"] = _DENSE_BITS
    return "; ".join(f"SET {name}={value}" for name, value in wanted.items())


def _only_statement(cursor: duckdb.DuckDBPyConnection, text: str) -> duckdb.Statement:
    """The parsed text that runs, which the gate saw before it was wrapped; raises unless it is one SELECT."""
    statements = cursor.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise HouseError("a text came to the engine that is not one SELECT")
    return statements[0]


def _let_go(cursor: duckdb.DuckDBPyConnection, lease: Lease | None) -> None:
    with contextlib.suppress(duckdb.Error):
        cursor.close()
    if lease is not None:
        lease.give_back()
