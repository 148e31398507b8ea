"""The pages of the portal: rendered here, without scripts; every figure on them comes from a service.

Must not know: engines, files of a release.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from skygate.domain.account import Policy
from skygate.doorway.errors import handlers
from skygate.doorway.policy import declare, route
from skygate.errors import NotFound, SkygateError
from skygate.settings import Settings
from skygate.web.catalog import CatalogPages
from skygate.web.faults import accent
from skygate.web.query import QueryPage
from skygate.web.render import HERE

if TYPE_CHECKING:
    from skygate.services.house import House

__all__ = ["accent", "routes"]

_STATIC = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
Handler = Callable[[Request], Awaitable[Response]]


def routes(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """Every page. A fault inside one is told as a page."""
    catalog = CatalogPages(house, settings)
    query = QueryPage(house, settings)
    table: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
        ("/", catalog.home, ("GET",)),
        ("/releases/{name}", catalog.release, ("GET",)),
        ("/releases/{name}/report", catalog.report, ("GET",)),
        ("/releases/{name}/report.json", catalog.report_json, ("GET",)),
        ("/tables/{name:path}", catalog.table, ("GET",)),
        ("/services", catalog.services, ("GET",)),
        ("/query", query.page, ("GET", "POST")),
        ("/query/download", query.download, ("POST",)),
        ("/static/{name}", _static, ("GET",)),
    )
    return [_page(path, handler, methods) for path, handler, methods in table]


def _page(path: str, handler: Handler, methods: tuple[str, ...]) -> Route:
    tell = handlers(accent)[SkygateError]

    async def page(request: Request) -> Response:
        try:
            return await handler(request)
        except SkygateError as fault:
            return await tell(request, fault)

    return route(path, declare(Policy.PUBLIC)(page), methods=methods, policy=Policy.PUBLIC)


async def _static(request: Request) -> Response:
    """The sheet and the icon; their address carries a version, so they may be kept."""
    name = request.path_params["name"]
    if name not in _STATIC:
        raise NotFound(f"there is no file {name}")
    return FileResponse(
        HERE / "static" / name,
        media_type=_STATIC[name],
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
