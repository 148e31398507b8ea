"""From the class of an error to what the caller is told: one table of statuses, and a plain accent or two.

Must not know: which door speaks. A door brings its accent; VOTable and pages have theirs elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from skygate import errors, wire
from skygate.doorway import logs
from skygate.errors import SkygateError

log = logging.getLogger("skygate.doorway")

_SAID_AGAIN_S = 5.0

STATUS: Mapping[type[SkygateError], int] = {
    errors.CallerError: 400,
    errors.BadParameter: 400,
    errors.BadQuery: 400,
    errors.BadRegion: 400,
    errors.BadRelease: 422,
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.TooCostly: 422,
    errors.TooLarge: 413,
    errors.Cancelled: 409,
    errors.HouseError: 500,
    errors.BrokenRelease: 500,
    errors.NeighbourError: 503,
    errors.Busy: 503,
    errors.EngineAway: 503,
    SkygateError: 500,
}
"""The one table from class to HTTP status; a class that is not named answers as its nearest ancestor."""


def status_of(error: SkygateError) -> int:
    """The HTTP status of an error."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is told: `error` is safe to show, `incident` the id under which ours are logged."""

    error: SkygateError
    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    incident: str | None = None

    @property
    def title(self) -> str:
        """The name of the status."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "Error"


Accent = Callable[[Request, Fault], Response]
"""How a door tells a fault."""


def fault_of(error: BaseException) -> Fault:
    """What to tell of an exception. What is our own is logged under an id, and only the id is told."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, ClientDisconnect):
        error = errors.Cancelled("the client went away before its request had come")
    if not isinstance(error, SkygateError) or status_of(error) == 500:
        return _of_house(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.NeighbourError):
        headers["Retry-After"] = str(max(1, error.retry_after_s))
        _say_away(error)
    return Fault(error, status_of(error), headers)


_said_away: dict[str, tuple[float, int]] = {}
"""By code: when a neighbour's fault was last logged, and how many came since."""


def _say_away(error: errors.NeighbourError) -> None:
    """Log it, and what is like it again only after a while: every request meets it until it has passed."""
    last, since = _said_away.get(error.code, (-_SAID_AGAIN_S, 0))
    now = time.monotonic()
    if now - last < _SAID_AGAIN_S:
        _said_away[error.code] = (last, since + 1)
        return
    _said_away[error.code] = (now, 0)
    logs.event(
        log,
        "a neighbour is busy or away",
        level=logging.WARNING,
        code=error.code,
        error=str(error),
        cause=str(error.__cause__) if error.__cause__ else None,
        more_since_last=since or None,
    )


def _of_http(error: HTTPException) -> Fault:
    """A fault that the routing found: no such path, method not offered."""
    said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    known: dict[int, SkygateError] = {
        404: errors.NotFound(said or "there is nothing at this address"),
        403: errors.NotAllowed(said or "this is not allowed"),
        405: errors.CallerError(
            "this address does not take that method",
            hint="it takes " + (error.headers or {}).get("Allow", "others"),
        ),
        413: errors.TooLarge(said or "the request is too large"),
    }
    told = known.get(error.status_code) or errors.CallerError(said or "the request cannot be served")
    return Fault(told, error.status_code, dict(error.headers or {}))


def _of_house(error: BaseException) -> Fault:
    """Our own fault: the log gets everything, the caller an id."""
    incident = logs.REQUEST_ID.get() or logs.request_id()
    log.error(
        "our own fault: %s",
        error,
        exc_info=(type(error), error, error.__traceback__),
        extra={"fields": {"incident": incident, "code": getattr(error, "code", type(error).__name__)}},
    )
    kind = type(error) if isinstance(error, errors.HouseError) else errors.HouseError
    told = kind(
        "something went wrong inside the service",
        hint=f"it is not your request's fault; its operator finds the cause under the id {incident}",
    )
    return Fault(told, 500, {}, incident)


def problem(request: Request, fault: Fault) -> Response:
    """`application/problem+json` (RFC 9457): type, title, status, detail, and all of `wire.error_to_json`."""
    body: dict[str, Any] = {
        "type": f"urn:skygate:error:{fault.error.code}",
        "title": fault.title,
        "status": fault.status,
        "detail": str(fault.error),
        **wire.error_to_json(fault.error),
    }
    if fault.incident:
        body["incident"] = fault.incident
    return JSONResponse(
        body, fault.status, headers=dict(fault.headers), media_type="application/problem+json"
    )


def text(request: Request, fault: Fault) -> Response:
    """One plain sentence."""
    return PlainTextResponse(f"{fault.title}: {fault.error}\n", fault.status, headers=dict(fault.headers))


def handlers(accent: Accent) -> dict[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """`exception_handlers=` of a Starlette or FastAPI app whose door speaks with `accent`."""

    async def tell(request: Request, error: Exception) -> Response:
        return accent(request, fault_of(error))

    return {SkygateError: tell, HTTPException: tell}
