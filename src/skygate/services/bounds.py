"""What queries may use.

Must not know: settings, machines; `assembly` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one query may use, and all of them together."""

    seconds: float
    default_maxrec: int
    hard_maxrec: int
    memory_bytes: int
    spool_memory_bytes: int
    spool_disk_bytes: int
    room_memory_bytes: int
    room_disk_bytes: int
    """What all answers together may take while they wait for their readers."""
    max_query_bytes: int
    max_positions: int
    patience_s: float = 0.25
    """How long an answer that has begun may take to become complete before it is handed out."""
