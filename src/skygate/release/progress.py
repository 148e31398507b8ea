"""What a long piece of work says of itself while it runs.

Must not know: terminals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """How far a table has come: `step` is "opening", "reading" or "writing"; unknown totals are None."""

    table: str
    step: str
    rows: int
    rows_total: int | None = None
    bytes: int | None = None
    """Bytes of the source files that the rows stand for."""
    bytes_total: int | None = None


class Progress(Protocol):
    """Somebody who watches. Called often, from one thread, and must return soon."""

    def at(self, step: Step) -> None:
        """The work has come this far."""
        ...

    def note(self, text: str) -> None:
        """A sentence worth keeping on the screen."""
        ...


class Quiet:
    """Nobody watches."""

    def at(self, step: Step) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
