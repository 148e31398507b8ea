"""Questions that an accelerator may answer without a plan: what it found, ready to be read.

Must not know: how an accelerator looks, plans, places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from skygate.domain.catalog import Catalog, Column, Table
from skygate.domain.query import Identified, Joining, Limits, Lookup, Near, Outcome
from skygate.domain.tally import Tally
from skygate.ports import Accelerator, Found, FoundPairs, Run, Tallies, Waiting
from skygate.services import questions
from skygate.services.held import Held
from skygate.services.releases import Snapshot

SMALL = 20_000
"""Candidates of an answer that is found in milliseconds: it needs no place and no spool."""

_FEW = 1000
"""Candidates of an answer that is found in a fraction of a millisecond."""
_FEW_IDENTIFIERS = 16
_SMALL_DEG = 1.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to ADQL, its tables (each once) and where they stand."""

    rows: Waiting
    tables: tuple[Table, ...]
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class AtOnce:
    """An answer that was found in a moment (None: it must be awaited), its tables and where they stand."""

    rows: Waiting | None
    tables: tuple[Table, ...]
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Ready:
    """What an accelerator has found, and the columns of the answer."""

    found: Found
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    top: int | None = None

    @property
    def small(self) -> bool:
        """Whether it is read in a moment."""
        return self.found.candidates <= SMALL

    @property
    def few(self) -> bool:
        """Whether it is read in less time than it takes to have a thread read it."""
        return self.found.candidates <= _FEW

    def run(self, limits: Limits) -> Run:
        """The answer being read."""
        if self.top is not None and self.top <= limits.maxrec:
            return _Top(self.found.run(self.names, self.columns, replace(limits, maxrec=self.top)))
        return self.found.run(self.names, self.columns, limits)

    def held(self, limits: Limits) -> Held:
        """The answer, read."""
        run = self.run(limits)
        batches = list(run)
        assert run.outcome is not None
        return Held(self.columns, run.outcome, batches)


@dataclass(frozen=True, slots=True)
class Look:
    """A question to an accelerator; `quick` where asking takes a moment, if the files are in memory."""

    ask: Callable[[], Ready | None]
    """None is "an engine must do it"."""
    quick: bool = False


class _Top:
    """A run that TOP ends before MAXREC does: that more rows exist is no overflow."""

    def __init__(self, run: Run) -> None:
        self.columns = run.columns
        self._run = run

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._run)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""
        found = self._run.outcome
        return None if found is None else Outcome(found.rows, overflow=False)

    def cancel(self) -> None:
        """Stop."""
        self._run.cancel()

    def close(self) -> None:
        """Free what it holds."""
        self._run.close()


class _Pairs:
    """Pairs that were found, with the columns that the question names."""

    def __init__(self, found: FoundPairs, named: tuple[tuple[int, str], ...]) -> None:
        self.candidates = found.candidates
        self._found, self._named = found, named

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> Run:
        """The answer; its columns stand in the question."""
        del names
        return self._found.run(self._named, columns, limits)


class Lookups:
    """Asks the accelerator and the tallies, if there are any."""

    def __init__(self, accelerator: Accelerator | None, tallies: Tallies | None = None) -> None:
        self._accelerator = accelerator
        self._tallies = tallies

    def look(self, snapshot: Snapshot, lookup: Lookup | Joining | Tally, columns: tuple[Column, ...]) -> Look:
        """The question for rows of a table, for pairs of two, or for numbers of groups."""
        return Look(partial(self.find, snapshot, lookup, columns), _is_quick(lookup))

    def find(
        self, snapshot: Snapshot, lookup: Lookup | Joining | Tally, columns: tuple[Column, ...]
    ) -> Ready | None:
        """Rows of a table, pairs of two, or numbers of groups; None when an engine must look for them."""
        if isinstance(lookup, Joining):
            return self._join(snapshot, lookup, columns)
        if isinstance(lookup, Tally):
            return self._tally(snapshot, lookup, columns)
        release = snapshot.release_of(lookup.table)
        if self._accelerator is None or release is None:
            return None
        found = self._accelerator.find(release, lookup.table, lookup.wanted, lookup.where)
        return None if found is None else Ready(found, lookup.columns, columns, lookup.top)

    def _join(self, snapshot: Snapshot, lookup: Joining, columns: tuple[Column, ...]) -> Ready | None:
        one, other = (snapshot.release_of(table) for table in (lookup.one, lookup.other))
        if self._accelerator is None or one is None or other is None:
            return None
        found = self._accelerator.join((one, lookup.one), (other, lookup.other), lookup.wanted)
        return None if found is None else Ready(_Pairs(found, lookup.columns), (), columns, lookup.top)

    def _tally(self, snapshot: Snapshot, asked: Tally, columns: tuple[Column, ...]) -> Ready | None:
        release = snapshot.release_of(asked.table)
        if self._tallies is None or release is None:
            return None
        found = self._tallies.tally(release, asked)
        return None if found is None else Ready(found, (), columns, asked.top)

    def match(
        self,
        snapshot: Snapshot,
        table: Table,
        positions: pa.Table,
        radius_deg: float,
        columns: tuple[Column, ...],
        mine: Table,
        *,
        nearest: bool,
    ) -> Ready | None:
        """Rows of a table near positions; None when an engine must look for them."""
        release = snapshot.release_of(table)
        if self._accelerator is None or release is None:
            return None
        found = self._accelerator.match(release, table, positions, radius_deg, nearest=nearest)
        if found is None:
            return None
        names = tuple(column.name for column in columns)
        return Ready(found, names, questions.pair_columns(mine, table, columns))


def _is_quick(lookup: Lookup | Joining | Tally) -> bool:
    if isinstance(lookup, Tally):
        return lookup.is_count
    if isinstance(lookup, Joining):
        return False
    wanted = lookup.wanted
    if isinstance(wanted, Identified):
        return len(wanted.values) <= _FEW_IDENTIFIERS
    return isinstance(wanted, Near) and lookup.where is None and wanted.circle.radius_deg <= _SMALL_DEG
