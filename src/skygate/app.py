"""The whole service as one ASGI application: doors mounted side by side, one habit of requests around them.

Must not know: what any door does. A new door is a line in `_doors`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio import create_task_group, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from skygate import __version__, background
from skygate.api import routes as api
from skygate.domain.account import ANONYMOUS
from skygate.domain.query import Query
from skygate.doorway import errors, health, logs, urls
from skygate.doorway.bodies import Bodies
from skygate.doorway.errors import Accent, Fault
from skygate.doorway.requests import Faults, Head, Requests
from skygate.doorway.urls import Outside
from skygate.errors import SkygateError
from skygate.settings import Settings
from skygate.vo import cone, dali, tap, vosi
from skygate.web import routes as pages

if TYPE_CHECKING:
    from skygate.services.house import House

log = logging.getLogger("skygate.app")

CROSS_ORIGIN = ("/tap", "/cone", "/api")
"""Doors that pages of other origins may use. None of them knows cookies."""

ACCENTS: Mapping[str, Accent] = {
    "/tap": dali.accent,
    "/cone": cone.accent,
    "/api": errors.problem,
    "/health": errors.problem,
}
"""How faults are told below each path; everywhere else in a page."""


def create_app(house: House, settings: Settings, *, warm: bool = False) -> Starlette:
    """The service over an open house, which is closed when the application ends.

    With `warm` a question is asked at the start, so that the first user does not wait for libraries to load.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with create_task_group() as group:
            if warm:
                group.start_soon(_warm, house)
                if settings.caches.build and house.builder is not None:
                    group.start_soon(background.build_caches, house.releases, house.builder, settings.root)
            yield
            group.cancel_scope.cancel()
        await to_thread.run_sync(house.close)

    app = Starlette(
        routes=list(_doors(house, settings)),
        middleware=[
            Middleware(Requests, server=settings.server, cross_origin=CROSS_ORIGIN),
            Middleware(Head),
            Middleware(Outside, server=settings.server),
            Middleware(Faults, accent=accent_of),
            Middleware(Bodies, most_bytes=settings.uploads.all_mib << 20),
        ],
        exception_handlers=errors.handlers(_accent),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # Outside has already made all spellings of a path one
    return app


def served() -> Starlette:
    """The service of one server process, over the settings that the process inherits."""
    from skygate.assembly import open_house

    settings = Settings()
    logs.set_up(settings.log.format, settings.log.level)
    house = open_house(settings)
    logs.event(log, "the house is open", version=__version__, root=str(settings.root.resolve()))
    return create_app(house, settings, warm=True)


async def _warm(house: House) -> None:
    """Ask something small."""
    try:
        rows = await house.queries.run(ANONYMOUS, Query("SELECT TOP 1 table_name FROM tap_schema.tables"))
    except SkygateError:
        log.warning("the first question could not be answered", exc_info=True)
    else:
        await to_thread.run_sync(rows.close)


def _doors(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """Every route, door by door."""

    async def ready() -> Mapping[str, Any]:
        catalog = await to_thread.run_sync(house.releases.looked_over, ANONYMOUS)
        return {"releases": {release.name: release.version for release in catalog.releases()}}

    return (
        *health.routes(ready),
        *tap.routes(house, settings),
        *vosi.routes(house, settings),
        *cone.routes(house, settings),
        *api.routes(house, settings),
        *pages.routes(house, settings),
    )


def accent_of(path: str) -> Accent:
    """The accent in which faults at this path (below our root) are told."""
    for door, accent in ACCENTS.items():
        if path == door or path.startswith(door + "/"):
            return accent
    return pages.accent


def _accent(request: Request, fault: Fault) -> Response:
    return accent_of(urls.path_of(request.scope))(request, fault)
