"""The house: every service that doors and clients ask, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from skygate.ports import CacheBuilder
from skygate.services.densities import DensitiesService
from skygate.services.leaves import Leaves
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class House:
    """What is open. `close` stops what runs and frees what is held."""

    releases: ReleasesService
    queries: QueriesService
    leaves: Leaves
    densities: DensitiesService
    closing: Callable[[], None] = field(default=_nothing, repr=False)
    builder: CacheBuilder | None = None

    def close(self) -> None:
        """Close for good; blocking, a few seconds at most."""
        self.closing()
