"""What can be asked now: the releases in force as one catalogue, taken up anew when a pointer moves.

Must not know: folders, HTTP. Calls are cheap but for the first after a change, and safe from any thread.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from skygate.adql.names import did_you_mean, nearest
from skygate.domain.account import Principal
from skygate.domain.catalog import Catalog, Release, Schema, Table
from skygate.errors import BrokenRelease, EngineAway, NotFound, SkygateError
from skygate.ports import ReleaseStore
from skygate.services import metadata
from skygate.services.names import read_name, spell

log = logging.getLogger("skygate.releases")

_BROKEN_AGAIN_S = 5.0
_ATTEMPTS = 3
_KEPT_NAMES = 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalogue at one moment, with the rows of its tables that lie in memory (TAP_SCHEMA)."""

    catalog: Catalog
    memory: Mapping[str, pa.Table]
    broken: frozenset[str] = frozenset()
    """Releases that are in force and cannot be read; they are left out."""
    made_at: float = 0.0
    named: dict[str, Table] = field(default_factory=dict[str, Table], compare=False, repr=False)
    """Tables by the names under which they were asked for."""

    def release_of(self, table: Table) -> Release | None:
        """The release that a table is part of; None for what lies in memory."""
        return next((s.release for s in self.catalog.schemas if s.name == table.schema), None)


class ReleasesService:
    """Releases, tables and reports, as a user may see them."""

    def __init__(self, store: ReleaseStore) -> None:
        self._store = store
        self._snapshot: Snapshot | None = None
        self._making = threading.Lock()
        self._away = False

    def snapshot(self, user: Principal) -> Snapshot:
        """Everything that may be asked now. What was taken once stays as it is, whatever is published.

        Raises `EngineAway` while the store, or every release in it, cannot be read: an empty catalogue
        would tell callers that their names are wrong.
        """
        fingerprint = self._fingerprint()
        found = self._snapshot
        if found is None or not _fresh(found, fingerprint):
            with self._making:
                found = self._snapshot
                if found is None or not _fresh(found, fingerprint):
                    found = self._snapshot = self._make(found)
        if found.broken and not any(found.catalog.releases()):
            raise EngineAway("no release can be read now", hint="it is not your request's fault")
        return found

    def catalog(self, user: Principal) -> Catalog:
        """Every schema that a query may name."""
        return self.snapshot(user).catalog

    def looked_over(self, user: Principal) -> Catalog:
        """Every schema, after a look at each release on the disk: what was lost is left out, and logged.

        Raises `EngineAway` as `snapshot` does. Dearer than `catalog`: for probes, not for each request.
        """
        found = self.snapshot(user)
        for release in found.catalog.releases():
            try:
                self._store.load(release.name, release.version)
            except SkygateError:
                with self._making:
                    if self._snapshot is found:  # taken up anew by whoever asks next
                        self._snapshot = replace(found, catalog=replace(found.catalog, fingerprint=""))
                break
        return self.catalog(user)

    def release(self, user: Principal, name: str) -> Release:
        """The version in force; raises `NotFound` with the nearest names, `BrokenRelease`."""
        found = self.snapshot(user)
        known = {r.name: r for r in found.catalog.releases()}
        if name in known:
            return known[name]
        if name in found.broken:
            raise BrokenRelease(f"release {name} cannot be read", hint="an operator must look at the log")
        raise NotFound(f"there is no release {_shown(name)}" + did_you_mean(nearest(name, known)))

    def table(self, user: Principal, name: str) -> Table:
        """A table by its full name, or its bare name where only one has it; raises `NotFound`.

        Names may be delimited. Without quotes the letter case matters only where two names differ by it.
        """
        return self.table_in(self.snapshot(user), name)

    def table_in(self, snapshot: Snapshot, name: str) -> Table:
        """The same, of what was taken before."""
        known = snapshot.named.get(name)
        if known is not None:
            return known
        tables = list(snapshot.catalog.tables())
        parts = read_name(name)
        found = _named(tables, parts)
        if len(found) == 1:
            if len(snapshot.named) < _KEPT_NAMES:
                snapshot.named[name] = found[0]
            return found[0]
        if found:
            names = ", ".join(t.full_name for t in found)
            raise NotFound(f"several tables are called {_shown(name)}", hint=f"choose one of {names}")
        near = nearest(".".join(parts) or name, [t.full_name for t in tables] + [t.name for t in tables])
        raise NotFound(f"there is no table {_shown(name)}" + did_you_mean(near))

    def report(self, user: Principal, name: str) -> dict[str, Any]:
        """The validation report of the version in force."""
        return self.report_of(self.release(user, name))

    def report_of(self, release: Release) -> dict[str, Any]:
        """The validation report of this very version; raises `BrokenRelease`."""
        path = self._store.directory(release.name, release.version) / "report" / "report.json"
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as fault:
            raise BrokenRelease(f"the report of release {release.name} cannot be read") from fault
        return found

    @staticmethod
    def spell(name: str) -> str:
        """A name in legal ADQL."""
        return spell(name)

    def _fingerprint(self) -> str:
        """The store's; that it went away, and that it is back, is logged once."""
        try:
            found = self._store.fingerprint()
        except EngineAway as fault:
            if not self._away:
                why = {"fault": str(fault.__cause__ or fault)}
                log.error("the releases are away", extra={"fields": why})  # noqa: TRY400  (a clear sentence)
            self._away = True
            raise
        if self._away:
            self._away = False
            log.info("the releases are back")
        return found

    def _make(self, before: Snapshot | None) -> Snapshot:
        """Load everything; again, if a pointer moved meanwhile."""
        for _ in range(_ATTEMPTS - 1):
            made = self._load(before)
            if self._store.fingerprint() == made.catalog.fingerprint:
                return made
        return self._load(before)

    def _load(self, before: Snapshot | None) -> Snapshot:
        fingerprint = self._store.fingerprint()
        schemas: list[Schema] = []
        broken: set[str] = set()
        for name in self._store.names():
            try:
                schemas.append(_schema(self._store.load(name)))
            except NotFound:
                continue  # unpublished in this moment
            except SkygateError as fault:
                broken.add(name)
                if before is None or name not in before.broken:
                    log.error(  # noqa: TRY400  (a clear sentence; the class says whose fault it is)
                        "a release is left out", extra={"fields": {"release": name, "fault": str(fault)}}
                    )
        schemas.append(metadata.SCHEMA)
        catalog = Catalog(tuple(schemas), fingerprint)
        if before is None or catalog.fingerprint != before.catalog.fingerprint:
            versions = {r.name: r.version for r in catalog.releases()}
            log.info("releases taken up", extra={"fields": {"releases": versions}})
        return Snapshot(catalog, metadata.rows_of(schemas), frozenset(broken), time.monotonic())


def _fresh(found: Snapshot, fingerprint: str) -> bool:
    if found.catalog.fingerprint != fingerprint:
        return False
    return not found.broken or time.monotonic() - found.made_at < _BROKEN_AGAIN_S


def _schema(release: Release) -> Schema:
    tables = tuple(_with_index(t) for t in release.tables)
    release = replace(release, tables=tables)
    return Schema(
        release.name,
        tables,
        description=release.description,
        title=release.title,
        keys=release.keys,
        release=release,
    )


def _with_index(table: Table) -> Table:
    """A condition on the position reads only the cells that it needs: these columns are indexed."""
    if not table.has_cells or table.position is None:
        return table
    fast = (table.position.ra, table.position.dec)
    columns = tuple(replace(c, indexed=True) if c.name in fast else c for c in table.columns)
    return replace(table, columns=columns)


def _named(tables: list[Table], parts: tuple[str, ...]) -> list[Table]:
    """Tables of this name, letter by letter; else without regard to case."""
    for fold in (str, str.lower):
        if len(parts) == 2:
            wanted = (fold(parts[0]), fold(parts[1]))
            found = [t for t in tables if (fold(t.schema), fold(t.name)) == wanted]
        elif len(parts) == 1:
            found = [t for t in tables if fold(t.name) == fold(parts[0])]
        else:
            found = []
        if found:
            return found
    return []


def _shown(name: str) -> str:
    return repr(name[:100])
