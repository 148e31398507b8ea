"""The sockets: what services ask of engines and stores.

Must not know: who plugs in. `assembly.py` alone does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from skygate.domain.catalog import Column, Release
from skygate.domain.query import Limits, Outcome, Plan


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
