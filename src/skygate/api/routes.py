"""The JSON API, described by itself at `/api/openapi.json`.

Must not know: what a query means, how rows are found. Each route reads, calls one service, and tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, FastAPI
from fastapi import Query as QueryString
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from skygate import __version__, wire
from skygate.api import shapes
from skygate.api.bodies import CheckBody, ConeBody, CrossmatchQuery, DensityBody, QueryBody, SkyDensityBody
from skygate.api.positions import positions_of
from skygate.domain.account import Policy
from skygate.domain.catalog import Release, Table
from skygate.domain.query import About, Query
from skygate.domain.sky import Circle, Position
from skygate.doorway import errors, origin, stream, urls
from skygate.doorway.bodies import Body
from skygate.doorway.policy import declare, user_of
from skygate.errors import BadParameter, Where
from skygate.formats import media
from skygate.settings import Settings

if TYPE_CHECKING:
    from skygate.services.densities import Counted
    from skygate.services.house import House
    from skygate.services.releases import Snapshot

_SHOWN = 200
_PROBLEM = {
    "description": "What is wrong, as a problem (RFC 9457) with `code`, `message`, `hint`, `where`",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows, in the format that was asked for",
        "content": {f.media_type: {} for f in media.FORMATS},
    }
}


def routes(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """Everything below `/api`."""
    return (Mount("/api", app=application(house, settings)),)


class _Api(FastAPI):
    """FastAPI without its own answer to unknown exceptions: the house has one for all doors."""

    def build_middleware_stack(self) -> ASGIApp:
        """The usual layers but the outermost."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack


def application(house: House, settings: Settings) -> FastAPI:
    """The API as an application of its own."""
    app = _Api(
        title="Skygate",
        version=__version__,
        description="Releases, tables and their rows. Positions are ICRS degrees.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Body, most_bytes=settings.uploads.max_mib << 20)],
        exception_handlers=_handlers(),
    )
    for router in (_metadata(house), _queries(house, settings), _densities(house)):
        app.include_router(router, responses={"default": _PROBLEM})

    @app.get("/openapi.json", include_in_schema=False)
    @declare(Policy.PUBLIC)
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse({**app.openapi(), "servers": [{"url": urls.url_of(request, "/api")}]})

    return app


def _metadata(house: House) -> APIRouter:
    router = APIRouter(tags=["metadata"])

    @router.get("/releases", responses={200: {"model": shapes.Releases}})
    @declare(Policy.PUBLIC)
    async def releases(request: Request) -> JSONResponse:
        """Every release: version, citation, and the names of its tables."""
        catalog = house.releases.catalog(user_of(request))
        return JSONResponse(shapes.releases_json(tuple(catalog.releases())))

    @router.get("/releases/{name}", responses={200: {"model": Release}})
    @declare(Policy.PUBLIC)
    async def release(request: Request, name: str) -> JSONResponse:
        """One release, with the columns of its tables."""
        found = house.releases.release(user_of(request), name)
        return JSONResponse(wire.to_json(shapes.public_release(found, columns=True)))

    @router.get("/tables", responses={200: {"model": shapes.Tables}})
    @declare(Policy.PUBLIC)
    async def tables(request: Request) -> JSONResponse:
        """Every table that can be queried, with its columns."""
        catalog = house.releases.catalog(user_of(request))
        return JSONResponse(shapes.tables_json(catalog))

    @router.get("/tables/{full_name}", responses={200: {"model": Table}})
    @declare(Policy.PUBLIC)
    async def table(request: Request, full_name: str) -> JSONResponse:
        """One table, with its columns and what was measured of them."""
        found = house.releases.table(user_of(request), full_name)
        return JSONResponse(wire.to_json(shapes.public_table(found)))

    return router


def _queries(house: House, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["queries"])

    @router.post("/check", responses={200: {"model": shapes.Answer}})
    @declare(Policy.PUBLIC)
    async def check(request: Request, body: CheckBody) -> JSONResponse:
        """Whether a query is good ADQL here, and the columns that it would have."""
        found = await house.queries.check(user_of(request), Query(body.query, body.maxrec))
        told = shapes.Answer(
            columns=found.columns,
            tables=tuple(t.full_name for t in found.tables),
            rows=found.rows,
            bytes=found.bytes,
            files=found.files,
        )
        return JSONResponse(wire.to_json(told))

    @router.post("/query", responses=_ROWS, response_class=Response)
    @declare(Policy.PUBLIC)
    async def query(request: Request, body: QueryBody) -> Response:
        """Run ADQL and wait for its rows."""
        form = _form(body.format)
        asked = Query(body.query, body.maxrec)
        user = user_of(request)
        told = await stream.while_connected(request, house.queries.ask(user, asked))
        about = About(query=body.query, infos=origin.infos(request, told.catalog, told.tables))
        return await stream.answer(request, told.rows, form=form, about=about)

    async def cone_answer(request: Request, body: ConeBody) -> Response:
        form = _form(body.format)
        user = user_of(request)
        circle = Circle(Position(body.ra_deg, body.dec_deg), body.radius_deg)
        snapshot = house.releases.snapshot(user)
        about = _about(house, request, body.table, snapshot)
        found = house.queries.cone(
            user, body.table, circle, columns=body.columns, maxrec=body.maxrec, snapshot=snapshot
        )
        rows = await stream.while_connected(request, found)
        return await stream.answer(request, rows, form=form, about=about)

    @router.get("/cone", responses=_ROWS, response_class=Response)
    @declare(Policy.PUBLIC)
    async def cone_by_get(request: Request, asked: Annotated[ConeBody, QueryString()]) -> Response:
        """The rows of a table around a position."""
        return await cone_answer(request, asked)

    @router.post("/cone", responses=_ROWS, response_class=Response)
    @declare(Policy.PUBLIC)
    async def cone(request: Request, body: ConeBody) -> Response:
        """The rows of a table around a position."""
        return await cone_answer(request, body)

    @router.post(
        "/crossmatch",
        responses=_ROWS,
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "Positions: an Arrow IPC stream with columns `ra` and `dec`, ICRS degrees",
                "content": {"application/vnd.apache.arrow.stream": {}},
            }
        },
    )
    @declare(Policy.PUBLIC)
    async def crossmatch(request: Request, asked: Annotated[CrossmatchQuery, QueryString()]) -> Response:
        """The rows of a table around each of many positions."""
        form = _form(asked.format)
        about = _about(house, request, asked.table)
        read = partial(positions_of, await request.body(), most=settings.uploads.max_rows)
        positions = await to_thread.run_sync(read)
        found = house.queries.crossmatch(
            user_of(request),
            asked.table,
            positions,
            asked.radius_deg,
            nearest=asked.nearest,
            columns=asked.columns,
            maxrec=asked.maxrec,
        )
        rows = await stream.while_connected(request, found)
        return await stream.answer(request, rows, form=form, about=about)

    return router


def _densities(house: House) -> APIRouter:
    router = APIRouter(tags=["densities"])

    async def answer(
        request: Request, body: DensityBody | SkyDensityBody, counting: Callable[[], Awaitable[Counted]]
    ) -> Response:
        form = _form(body.format)
        about = _about(house, request, body.table)
        found = await stream.while_connected(request, counting())
        about = replace(about, infos=(*about.infos, *shapes.density_infos(found.seen, found.axes)))
        return await stream.answer(request, found.rows, form=form, about=about)

    @router.post("/density", responses=_ROWS, response_class=Response)
    @declare(Policy.PUBLIC)
    async def density(request: Request, body: DensityBody) -> Response:
        """Rows of a table counted in equal bins of two values: a row for each bin that holds any."""
        return await answer(request, body, lambda: house.densities.density(user_of(request), body.asked()))

    @router.post("/density/sky", responses=_ROWS, response_class=Response)
    @declare(Policy.PUBLIC)
    async def sky(request: Request, body: SkyDensityBody) -> Response:
        """Rows of a table counted in HEALPix cells: a row for each cell that holds any."""
        return await answer(request, body, lambda: house.densities.sky(user_of(request), body.asked()))

    return router


def _form(asked: str) -> media.Format:
    """The format of a field that is called `format` here."""
    try:
        return media.pick(asked)
    except BadParameter as fault:
        raise BadParameter(fault.message, hint=fault.hint, where=Where(name="format")) from None


def _about(house: House, request: Request, name: str, snapshot: Snapshot | None = None) -> About:
    """What accompanies rows of one table; raises `NotFound` where there is none."""
    snapshot = snapshot or house.releases.snapshot(user_of(request))
    table = house.releases.table_in(snapshot, name)
    return About(title=table.full_name, infos=origin.infos(request, snapshot.catalog, (table,)))


def _handlers() -> dict[Any, Any]:
    """Faults as problems; a body that does not fit its description is a `BadParameter`."""

    async def misfit(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return errors.problem(request, errors.fault_of(_bad_parameter(error.errors())))

    return {**errors.handlers(errors.problem), RequestValidationError: misfit}


def _bad_parameter(faults: Sequence[Mapping[str, Any]]) -> BadParameter:
    """The first fault that the validation found, with the name of its field."""
    first = faults[0]
    place = [str(p) for p in first.get("loc", ())[1:]]  # the first says: body, query or path
    said = str(first.get("msg", "does not fit")).removeprefix("Value error, ")
    kind = str(first.get("type", ""))
    name = ".".join(place)[:_SHOWN] or "the request body"
    if kind == "missing":
        said = "is missing"
    elif kind == "extra_forbidden":
        said = "is not known here"
    elif kind == "json_invalid":
        name, said = "the request body", f"is no JSON: {first.get('ctx', {}).get('error', '')}"
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return BadParameter(
        f"{clean}: {said[:_SHOWN]}",
        hint="see /api/openapi.json for what is expected",
        where=Where(name=clean),
    )
