"""What can be made beside a release to answer faster: mapped columns, pyramids, a DuckDB file.

Must not know: queries, who waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skygate.domain.catalog import Release, Table
from skygate.engines import cache_folders, duck_native, mapped_build, pyramid_build, pyramid_files
from skygate.engines.mapped_files import fits, read_about


@dataclass(frozen=True, slots=True)
class Caches:
    """Builds them, table by table; `native` and `pyramids` say whether these are wanted."""

    native: bool = True
    pyramids: bool = True

    def missing(self, release: Release) -> Sequence[Table]:
        """Tables that lack something."""
        return [t for t in release.tables if self._kinds(release, t)]

    def busy(self, release: Release) -> bool:
        """Whether another process builds on this machine."""
        return cache_folders.busy(release)

    def build(self, release: Release, table: Table, wrote: Callable[[int], None]) -> bool:
        """Make what a table lacks; False when another process builds, or the version has gone."""
        made = [make(release, table, wrote) for make in self._kinds(release, table)]
        return all(made)

    def _kinds(self, release: Release, table: Table) -> list[Callable[..., bool]]:
        kinds: list[Callable[..., bool]] = []
        if fits(table) and read_about(release, table) is None:
            kinds.append(mapped_build.build)
        if self.pyramids and pyramid_files.fits(table) and pyramid_files.read_about(release, table) is None:
            kinds.append(pyramid_build.build)
        if self.native and duck_native.missing(release, table):
            kinds.append(duck_native.build)
        return kinds
