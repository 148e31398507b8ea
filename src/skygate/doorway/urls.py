"""Our address in the outside world: from the settings, else a trusted proxy, else the request itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from skygate.errors import BadParameter, Where
from skygate.settings import Server

_BASE = "skygate.base_url"
FAULT = "skygate.fault"
"""In the scope: what is wrong with the request's address, to be told by whoever tells faults."""
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def external_base(scope: Scope, server: Server) -> str:
    """The URL of our root without a slash at its end; raises `BadParameter` for a Host that is none."""
    if server.base_url:
        return server.base_url.rstrip("/")
    headers = Headers(scope=scope)
    scheme = str(scope.get("scheme", "http"))
    host = headers.get("host") or _own_host(scope)
    prefix = ""
    if trusted(_peer(scope), server.trusted_proxies):
        scheme = _first(headers, "x-forwarded-proto") or scheme
        host = _with_port(_first(headers, "x-forwarded-host") or host, _first(headers, "x-forwarded-port"))
        prefix = (_first(headers, "x-forwarded-prefix") or "").rstrip("/")
    if scheme not in ("http", "https"):
        scheme = "http"
    if not _HOST.fullmatch(host):
        raise BadParameter("the request does not say which host it is for", where=Where(name="Host"))
    if not _PREFIX.fullmatch(prefix):
        raise BadParameter("the forwarded prefix is no path", where=Where(name="X-Forwarded-Prefix"))
    return f"{scheme}://{host}{prefix}"


def trusted(peer: str | None, proxies: str) -> bool:
    """Whether forwarded headers from this address are believed: `proxies` are addresses, networks, or `*`."""
    for entry in (p.strip() for p in proxies.split(",")):
        if entry == "*" or (peer is not None and entry == peer):
            return True
        try:
            if peer is not None and ipaddress.ip_address(peer) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def client_of(scope: Scope, server: Server) -> str | None:
    """Who is at the other end: behind trusted proxies, the last address that none of them is."""
    peer = _peer(scope)
    if not trusted(peer, server.trusted_proxies):
        return peer
    hops = [h.strip() for h in Headers(scope=scope).get("x-forwarded-for", "").split(",") if h.strip()]
    for hop in reversed(hops):
        if not trusted(hop, server.trusted_proxies):
            return hop if re.fullmatch(r"[0-9A-Fa-f:.\[\]]{2,60}", hop) else peer
    return peer


class Outside:
    """ASGI: notes the external base URL and makes every way to write a path one.

    A proxy may keep its prefix or strip it; doubled slashes and one at the end mean nothing.
    """

    def __init__(self, app: ASGIApp, *, server: Server) -> None:
        self.app = app
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        inner = dict(scope)
        base = ""
        try:
            base = external_base(scope, self.server)
        except BadParameter as fault:
            inner[FAULT] = fault
        prefix = urlsplit(base).path.rstrip("/")
        path = re.sub("//+", "/", str(scope["path"]))
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path[len(prefix) :]
        inner |= {_BASE: base, "root_path": prefix, "path": prefix + ("/" + path.strip("/"))}
        await self.app(inner, receive, send)


def base_url(request: HTTPConnection) -> str:
    """The external URL of our root, without a slash at its end."""
    return str(request.scope.get(_BASE, ""))


def url_of(request: HTTPConnection, path: str) -> str:
    """The absolute external URL of a path of ours, which begins with a slash."""
    return base_url(request) + quote(path, safe="/:@!$&'()*+,;=-._~%")


def path_of(scope: Mapping[str, Any]) -> str:
    """The request's path below our root, whatever prefix a proxy has put before it."""
    path = str(scope.get("path", "/"))
    base = urlsplit(str(scope.get(_BASE, ""))).path.rstrip("/")
    return (path[len(base) :] or "/") if base and path.startswith(base + "/") else path


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None


def _own_host(scope: Scope) -> str:
    server = scope.get("server") or ("localhost", None)
    return f"{server[0]}:{server[1]}" if server[1] else str(server[0])


def _first(headers: Headers, name: str) -> str | None:
    """The first of a header's comma-separated values: what the outermost proxy saw."""
    return headers.get(name, "").split(",")[0].strip() or None


def _with_port(host: str, port: str | None) -> str:
    """The host with the forwarded port, unless it has one or the port is the usual one."""
    if port is None or not port.isdigit() or port in ("80", "443") or re.search(r":\d+$", host):
        return host
    return f"{host}:{port}"
