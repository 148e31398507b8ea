"""One question on its way, and the line that the log gets of it.

Must not know: how questions are answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from skygate.domain.account import Principal
from skygate.domain.query import Outcome
from skygate.errors import HouseError, SkygateError
from skygate.services.releases import Snapshot

log = logging.getLogger("skygate.query")

_LOGGED_CHARACTERS = 2048


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, what kind, what it may name, and its ADQL, worded when it is needed."""

    user: Principal
    kind: str
    worded: Callable[[], str]
    maxrec: int
    snapshot: Snapshot
    began: float
    spent_s: float = 0.0
    """What understanding it took; the rest of its time is left to the run."""

    @property
    def text(self) -> str:
        """The question in ADQL."""
        return self.worded()


def tell(
    asked: Asked, outcome: Outcome | None, fault: SkygateError | None, *, waited_s: float | None
) -> None:
    """Log how a question ended."""
    ours = isinstance(fault, HouseError)
    level = logging.ERROR if ours else logging.INFO
    if not log.isEnabledFor(level):
        return
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
    log.log(level, "query", extra={"fields": fields}, exc_info=fault if ours else None)
