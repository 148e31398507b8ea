"""Who may call a route: every route declares it, and a test walks the whole app to see that it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from skygate.domain.account import ANONYMOUS, Policy, Principal

Handler = Callable[[Request], Awaitable[Response]]
E = TypeVar("E")

_POLICY = "skygate_policy"
_USER = "skygate.user"


def declare(policy: Policy) -> Callable[[E], E]:
    """Decorate an endpoint (of Starlette or FastAPI, a function or an ASGI app) with its policy.

    With FastAPI it stands below `@router.get(...)`.
    """

    def mark(endpoint: E) -> E:
        setattr(endpoint, _POLICY, policy)
        return endpoint

    return mark


def route(path: str, endpoint: Handler, *, methods: Collection[str], policy: Policy) -> Route:
    """A Starlette route with its policy declared. GET brings HEAD with it."""

    async def handle(request: Request) -> Response:
        return await endpoint(request)

    return Route(
        path, declare(policy)(handle), methods=list(methods), name=getattr(endpoint, "__name__", path)
    )


@dataclass(frozen=True, slots=True)
class Declared:
    """One route of an app as the rules see it. `policy` is None where nobody declared one."""

    path: str
    methods: frozenset[str]
    policy: Policy | None


def declared(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[Declared]:
    """Every route below `routes`, through mounts and included routers."""
    for entry in routes:
        some: Any = entry
        included = getattr(some, "original_router", None)  # FastAPI keeps an included router whole
        if included is not None:
            yield from declared(included.routes, prefix + str(getattr(some.include_context, "prefix", "")))
            continue
        path = prefix + str(getattr(some, "path", ""))
        target = getattr(some, "endpoint", None) or getattr(some, "app", None)
        below = getattr(some, "routes", None)
        if below:
            yield from declared(below, path)
            continue
        methods = frozenset[str](getattr(some, "methods", None) or ())
        policy = getattr(target, _POLICY, None)
        yield Declared(path, methods, policy if isinstance(policy, Policy) else None)


def user_of(connection: HTTPConnection) -> Principal:
    """Who asks. Nobody in particular is a principal too."""
    user = connection.scope.get(_USER)
    return user if isinstance(user, Principal) else ANONYMOUS
