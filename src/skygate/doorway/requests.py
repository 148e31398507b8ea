"""What every request gets, whichever door it takes: an id, one log line, safe headers, a told fault.

Plain ASGI, so that streams flow through untouched. Must not know: what any path means.
"""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skygate import __version__
from skygate.doorway import logs, policy, stream, urls
from skygate.doorway.errors import Accent, fault_of, text
from skygate.errors import Busy, SkygateError
from skygate.settings import Server

log = logging.getLogger("skygate.requests")
broken = logging.getLogger("skygate.doorway")

SOFTWARE = f"Skygate/{__version__}"
"""How we name ourselves (IVOA SoftID: a product token in the Server header)."""
IS_HEAD = "skygate.head"
REFUSED = "skygate.refused"
"""In the scope that the server gave: the rest of the request was no HTTP, and the server has said so."""

_GONE = 499
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
}
_CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, X-Skygate-Overflow, X-Skygate-Rows, Content-Disposition, "
    "Retry-After, Location",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, X-Request-Id, X-Requested-With",
    "Access-Control-Max-Age": "86400",
}


class Requests:
    """ASGI, outermost: the request's id in and out, the headers of the house, and its one line in the log."""

    def __init__(self, app: ASGIApp, *, server: Server, cross_origin: tuple[str, ...]) -> None:
        self.app = app
        self.server = server
        self.cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and say how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        token = logs.REQUEST_ID.set(logs.request_id(Headers(scope=scope).get("x-request-id")))
        told: dict[str, Any] = {}
        seen: dict[str, Any] = {"status": None, "bytes": 0, "ended": False}
        inner = {**scope, stream.TOLD: told}
        headers = self._headers(scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                _add(message, headers)
            elif message["type"] == "http.response.body":
                seen["bytes"] += len(message.get("body", b""))
                seen["ended"] = not message.get("more_body", False)
            await send(message)

        try:
            if scope["method"] == "OPTIONS":
                await _preflight(sending, headers)
            elif scope["method"] == "CONNECT":
                await _refuse(sending, 405)
            elif {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
                await _refuse(sending, 400)
            else:
                await self.app(inner, receive, sending)
        finally:
            self._say(scope, seen, told, time.perf_counter() - began)
            logs.REQUEST_ID.reset(token)

    def _headers(self, scope: Scope) -> dict[str, str]:
        """The headers that every response to this request carries, unless it says otherwise."""
        out = {**_SECURITY, "Server": SOFTWARE, "X-Request-Id": logs.REQUEST_ID.get()}
        path = str(scope["path"])
        if any(f"{door}/" in path + "/" for door in self.cross_origin):
            out |= _CROSS_ORIGIN
        return out

    def _say(self, scope: Scope, seen: dict[str, Any], told: dict[str, Any], seconds: float) -> None:
        refused = REFUSED in scope
        cut = not seen["ended"] or refused
        status = 400 if refused else seen["status"] or _GONE
        logs.event(
            log,
            f"{scope['method']} {scope['path']} {status}" + (" cut off" if cut else ""),
            level=logging.DEBUG if str(scope["path"]).startswith("/health") else logging.INFO,
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 4),
            bytes=seen["bytes"],
            cut=cut or None,
            client=urls.client_of(scope, self.server),
            user=policy.user_of(HTTPConnection(scope)).name,
            **told,
        )


def _add(message: Message, headers: dict[str, str]) -> None:
    """Add headers to the start of a response, where it has not set them itself."""
    message.setdefault("headers", [])
    own = MutableHeaders(raw=message["headers"])
    for name, value in headers.items():
        own.setdefault(name, value)
    message["headers"] = own.raw


async def _preflight(send: Send, headers: dict[str, str]) -> None:
    """Answer OPTIONS: what a browser may do from another origin."""
    more = _PREFLIGHT if "Access-Control-Allow-Origin" in headers else {}
    raw = [(k.lower().encode(), v.encode()) for k, v in {"Allow": "GET, HEAD, POST, OPTIONS", **more}.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(send: Send, status: int) -> None:
    """Refuse at once, and close.

    CONNECT, since a tunnel has no answer of ours in it, whatever the status; and a body whose length is said
    in two ways, which a proxy may end elsewhere (RFC 9112, section 6.3).
    """
    raw = [(b"allow", b"GET, HEAD, POST, OPTIONS"), (b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Head:
    """ASGI: HEAD is answered wherever GET is. The door sees GET (and may ask `is_head`); the body stays."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET", IS_HEAD: True}, receive, sending)


def is_head(request: HTTPConnection) -> bool:
    """Whether only the head of the answer is wanted."""
    return bool(request.scope.get(IS_HEAD, False))


class Faults:
    """ASGI: whatever goes wrong below is told in the accent of the door that was asked, never as a traceback.

    After the first byte nothing can be told: the exception goes on to the server, which cuts the connection.
    """

    def __init__(self, app: ASGIApp, *, accent: Callable[[str], Accent]) -> None:
        self.app = app
        self.accent = accent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: MutableMapping[str, bool] = {"started": False, "ended": False}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["started"] = True
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                state["ended"] = True
            await send(message)

        try:
            if urls.FAULT in scope:
                await self._tell(scope[urls.FAULT], scope, receive, send)
            else:
                await self.app(scope, receive, sending)
        except CancelledError:
            if state["started"]:
                raise
            stop = Busy("the service is stopping", hint="try again in a moment", retry_after_s=5)
            await self._tell(stop, scope, receive, send)
        except Exception as raised:  # noqa: BLE001  (the last net: told or passed on, never lost)
            error = _told_late(raised)
            if not state["started"]:
                await self._tell(error, scope, receive, send)
            elif not state["ended"]:
                self._say_cut(error)
                raise error from raised.__cause__

    async def _tell(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        fault = fault_of(error)
        request = Request(scope, receive)
        try:
            response = self.accent(urls.path_of(scope))(request, fault)
        except Exception:  # noqa: BLE001  (told plainly instead, and logged)
            broken.exception("a fault could not be told in its accent")
            response = text(request, fault)
        await response(scope, receive, send)

    def _say_cut(self, error: Exception) -> None:
        ours = not isinstance(error, SkygateError)
        broken.log(
            logging.ERROR if ours else logging.WARNING,
            "an answer broke off and its connection is cut: %s",
            error,
            exc_info=(type(error), error, error.__traceback__) if ours else None,
        )


def _told_late(error: Exception) -> Exception:
    """The fault itself, where the framework wrapped it because the response had begun."""
    cause = error.__cause__
    return cause if isinstance(error, RuntimeError) and isinstance(cause, SkygateError) else error
