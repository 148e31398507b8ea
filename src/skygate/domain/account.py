"""Who asks, and what a route demands of them.

Must not know: passwords, sessions, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone who asks. Nobody in particular is a principal too: `ANONYMOUS`."""

    name: str
    groups: frozenset[str] = frozenset()


ANONYMOUS = Principal("anonymous", frozenset({"public"}))


class Policy(StrEnum):
    """Who may call a route. Every route declares one."""

    PUBLIC = "public"
    """Anybody; what they see is decided by the services."""
    OPERATOR = "operator"
    """Whoever runs the service: liveness and readiness probes."""
