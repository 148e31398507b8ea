"""VOSI 1.1: what the TAP service can do, that it is there, and which tables it has.

Must not know: where tables come from. What it says of functions, formats and limits is read from the very
tables that parser, writers and services use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from skygate.domain.account import Policy
from skygate.doorway.errors import fault_of
from skygate.doorway.policy import route, user_of
from skygate.errors import BadParameter, Where
from skygate.settings import Settings
from skygate.vo import dali, xml
from skygate.vo.capabilities import capabilities
from skygate.vo.tableset import single_table, tableset

if TYPE_CHECKING:
    from skygate.services.house import House

_XML = "text/xml"
_DETAILS = ("min", "max")


def routes(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """`/tap/capabilities`, `/tap/availability`, `/tap/tables` and `/tap/tables/{name}`."""

    async def show_capabilities(request: Request) -> Response:
        return _answer(capabilities(request, settings))

    async def show_availability(request: Request) -> Response:
        try:
            await to_thread.run_sync(house.releases.catalog, user_of(request))
        except Exception as fault:  # noqa: BLE001  (whatever it is, the service is not available; it is logged)
            return _answer(availability(available=False, note=fault_of(fault).error.message))
        return _answer(availability(available=True))

    async def show_tables(request: Request) -> Response:
        full = _detail((await dali.collected(request, settings)).one("detail")) == "max"
        catalog = await to_thread.run_sync(house.releases.catalog, user_of(request))
        return _answer(tableset(catalog, full=full))

    async def show_table(request: Request) -> Response:
        user, name = user_of(request), str(request.path_params["name"])
        table = await to_thread.run_sync(house.releases.table, user, name)
        catalog = await to_thread.run_sync(house.releases.catalog, user)
        return _answer(single_table(catalog, table))

    return (
        route("/tap/capabilities", show_capabilities, methods=("GET",), policy=Policy.PUBLIC),
        route("/tap/availability", show_availability, methods=("GET",), policy=Policy.PUBLIC),
        route("/tap/tables", show_tables, methods=("GET",), policy=Policy.PUBLIC),
        route("/tap/tables/{name}", show_table, methods=("GET",), policy=Policy.PUBLIC),
    )


def availability(*, available: bool, note: str | None = None) -> xml.Element:
    """The availability document (VOSI 1.1, section 4)."""
    top = xml.root("availability", namespace=xml.AVAILABILITY, prefixes={None: xml.AVAILABILITY})
    xml.add(top, f"{{{xml.AVAILABILITY}}}available", "true" if available else "false")
    if note:
        xml.add(top, f"{{{xml.AVAILABILITY}}}note", note)
    return top


def _detail(text: str | None) -> str:
    """The `detail` parameter of `/tables` (VOSI 1.1, section 5.3); everything is told without it."""
    if not text:
        return "max"
    if text not in _DETAILS:
        raise BadParameter(
            f"detail={text[:80]!r} is not understood",
            hint="min or max is expected",
            where=Where(name="detail"),
        )
    return text


def _answer(top: xml.Element) -> Response:
    return Response(xml.document(top), media_type=_XML)
