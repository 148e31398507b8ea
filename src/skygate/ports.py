"""The sockets: what services ask of engines and stores.

Must not know: who plugs in. `assembly.py` alone does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from skygate.domain.catalog import Column, Release, Table
from skygate.domain.condition import Condition
from skygate.domain.query import Limits, Outcome, Paired, Plan, Wanted
from skygate.domain.tally import Tally


class Rows(Protocol):
    """An answer: columns known at once, record batches once through, then how it ended.

    Iterating raises a `SkygateError` where the answer breaks off. `outcome` is None until the
    answer is known to be whole: at the latest when the iteration has ended well. `close` may be called at any
    time, from any thread, and frees what the answer holds.
    Batches have exactly the Arrow schema of `skygate.wire.arrow_schema(columns)`.
    """

    columns: tuple[Column, ...]

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    @property
    def outcome(self) -> Outcome | None:
        """How the answer ended, once it has."""
        ...

    def close(self) -> None:
        """Free what the answer holds."""
        ...


class Waiting(Rows, Protocol):
    """An answer that waits for its reader."""

    @property
    def held_bytes(self) -> int | None:
        """Bytes of an answer that is whole and in memory; None while it still comes, or lies on a disk."""
        ...


class Run(Rows, Protocol):
    """A plan being run by an engine. Blocking; `cancel` may be called from any thread."""

    def cancel(self) -> None:
        """Stop the run soon; the iteration then raises `Cancelled`."""
        ...


class Engine(Protocol):
    """Runs plans of its own dialect. Blocking calls; safe to call from several threads."""

    dialect: str

    def run(self, plan: Plan, limits: Limits, memory: Mapping[str, pa.Table]) -> Run:
        """Start a plan.

        `memory` holds the rows of tables that have no parts (TAP_SCHEMA, uploads) by full name. At most
        `limits.maxrec` rows come out; one more existing row sets `Outcome.overflow`. Raises `BadQuery`
        where the engine finds a fault in the query, `TooCostly` when time or memory runs out.
        """
        ...

    def close(self) -> None:
        """Free everything. Running plans are cancelled."""
        ...


class Found(Protocol):
    """Rows that an accelerator can give: looked for, not yet read."""

    @property
    def candidates(self) -> int:
        """Rows that have to be looked at, about."""
        ...

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> Run:
        """The answer: these columns of the table (for a match: after the positions' own and the separation).

        `columns` describe it, under whatever names. Limits and outcome are those of `Engine.run`.
        """
        ...


class FoundPairs(Protocol):
    """Pairs of rows that an accelerator can give: looked for, not yet read."""

    @property
    def candidates(self) -> int:
        """Rows that have to be looked at, about."""
        ...

    def run(self, names: Sequence[tuple[int, str]], columns: tuple[Column, ...], limits: Limits) -> Run:
        """The answer: these columns, named as `Joining.columns` names them, and described by `columns`."""
        ...


class Accelerator(Protocol):
    """Answers simple questions about published tables without a plan; None is "an engine must do it".

    That is so at any time: accelerators work on what was made beside a release and can be gone. Answers are
    those of an engine, in the order of the sky. Quick calls, safe from any thread.
    """

    def find(
        self, release: Release, table: Table, wanted: Wanted, where: Condition | None = None
    ) -> Found | None:
        """The wanted rows of a table of which `where` is true."""
        ...

    def match(
        self, release: Release, table: Table, positions: pa.Table, radius_deg: float, *, nearest: bool
    ) -> Found | None:
        """The rows of a table within a radius of positions (or the nearest of them).

        `positions` has `row`, `ra` and `dec` (degrees), and more. Ordered by `row`, then by separation.
        """
        ...

    def join(
        self, one: tuple[Release, Table], other: tuple[Release, Table], wanted: Paired
    ) -> FoundPairs | None:
        """Pairs of rows of two tables."""
        ...


class Tallies(Protocol):
    """Knows numbers of groups of rows of published tables without a plan; None is "an engine must do it".

    That is so at any time, as for an accelerator. Numbers are those of an engine, sums but for rounding.
    """

    def tally(self, release: Release, asked: Tally) -> Found | None:
        """The numbers of a table's groups; columns are named in the question, none when it is run."""
        ...


class CacheBuilder(Protocol):
    """Makes what an accelerator works on, from a release on disk."""

    def missing(self, release: Release) -> Sequence[Table]:
        """Tables that could be accelerated and are not."""
        ...

    def busy(self, release: Release) -> bool:
        """Whether another process builds on this machine."""
        ...

    def build(self, release: Release, table: Table, wrote: Callable[[int], None]) -> bool:
        """Make it for one table, telling the rows done; False when another builds, or the version is gone.

        Raises `BrokenRelease` for files that cannot be read, `HouseError` where the disk refuses.
        """
        ...


class ReleaseStore(Protocol):
    """Releases on disk: versions side by side, one pointer that says which is in force."""

    def names(self) -> Sequence[str]:
        """Names of releases that have a version in force; raises `EngineAway`."""
        ...

    def current(self, name: str) -> str:
        """The version in force; raises `NotFound`."""
        ...

    def versions(self, name: str) -> Sequence[str]:
        """Complete versions, oldest first."""
        ...

    def load(self, name: str, version: str | None = None) -> Release:
        """The described release (of the version in force); raises `NotFound`, `BrokenRelease`."""
        ...

    def directory(self, name: str, version: str | None = None) -> Path:
        """The version's directory; raises `NotFound`."""
        ...

    def fingerprint(self) -> str:
        """Changes whenever any pointer changes. Cheap: asked before every request; raises `EngineAway`."""
        ...


class Staging(Protocol):
    """A version being made; what an interrupted publish left behind is still there.

    `root` becomes the version's directory; `work` is for everything that does not belong to it.
    """

    @property
    def version(self) -> str:
        """The name that the version will get."""
        ...

    @property
    def root(self) -> Path:
        """The directory that becomes the version's."""
        ...

    @property
    def work(self) -> Path:
        """A directory beside it."""
        ...

    def commit(self) -> str:
        """Make `root`, whose files are complete and flushed, the version in force; returns its name."""
        ...


class ReleaseWorkshop(ReleaseStore, Protocol):
    """A store in which new versions can be made."""

    def stage(self, name: str) -> AbstractContextManager[Staging]:
        """Open the one staging area of a release; raises `BadRelease` while another process has it."""
        ...

    def point(self, name: str, version: str) -> None:
        """Put a complete version in force; raises `NotFound`."""
        ...
