"""Probes for whoever runs the service: is the process alive, and can it answer?"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from skygate import __version__
from skygate.domain.account import Policy
from skygate.doorway.policy import route
from skygate.errors import NeighbourError

log = logging.getLogger("skygate.doorway")
Readiness = Callable[[], Awaitable[Mapping[str, Any]]]
"""Raises when the service cannot answer; else says what it has."""
_NO_STORE = {"Cache-Control": "no-store"}


def routes(ready: Readiness) -> Sequence[BaseRoute]:
    """`/health/live` (200 while the process runs); `/health/ready`, `/health` (503 and why when not)."""

    async def is_live(request: Request) -> Response:
        return JSONResponse({"status": "live", "version": __version__}, headers=_NO_STORE)

    async def is_ready(request: Request) -> Response:
        try:
            found = await ready()
        except Exception as fault:
            if isinstance(fault, NeighbourError):
                reason = fault.message
                log.warning("not ready: %s", fault)
            else:
                reason = "something went wrong inside the service; the log has the cause"
                log.exception("not ready")
            return JSONResponse(
                {"status": "not ready", "version": __version__, "reason": reason},
                503,
                headers={**_NO_STORE, "Retry-After": "5"},
            )
        return JSONResponse({"status": "ready", "version": __version__, **found}, headers=_NO_STORE)

    return (
        route("/health", is_ready, methods=("GET",), policy=Policy.OPERATOR),
        route("/health/live", is_live, methods=("GET",), policy=Policy.OPERATOR),
        route("/health/ready", is_ready, methods=("GET",), policy=Policy.OPERATOR),
    )
