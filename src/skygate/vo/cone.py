"""Simple Cone Search 1.03: `/cone/{schema.table}`, the rows of a table within a radius of a position.

Must not know: how rows are found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lxml import etree
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from skygate.domain.account import Policy
from skygate.domain.query import About
from skygate.domain.sky import Circle, Position
from skygate.doorway import origin, requests, stream
from skygate.doorway.errors import Fault
from skygate.doorway.policy import route, user_of
from skygate.errors import NotFound
from skygate.formats import media
from skygate.settings import Settings
from skygate.vo import dali, xml
from skygate.vo.cone_columns import Answer, chosen

if TYPE_CHECKING:
    from skygate.services.house import House

STANDARD = "ivo://ivoa.net/std/ConeSearch#query-1.03"
_XML = "text/xml"
_VERBOSITIES = ("1", "2", "3")
_WIDEST_RA = (-360.0, 720.0)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a number of degrees is expected") from None
    if not math.isfinite(value) or "_" in text:
        raise ValueError("a finite number of degrees is expected")
    return value


def _ra(text: str) -> float:
    value = _number(text)
    if not _WIDEST_RA[0] <= value <= _WIDEST_RA[1]:
        raise ValueError("0 to 360 degrees is expected (one turn more or less is wrapped)")
    return value


def _dec(text: str) -> float:
    value = _number(text)
    if abs(value) > 90:
        raise ValueError("-90 to 90 degrees is expected")
    return value


def _radius(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 180:
        raise ValueError("0 to 180 degrees is expected")
    return value


def _verbosity(text: str) -> int:
    if text.strip() not in _VERBOSITIES:
        raise ValueError("1, 2 or 3 is expected")
    return int(text)


def routes(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """`/cone/{name}`, where name is a table's full name."""
    table_of_parameters = (
        dali.Parameter("RA", _ra, required=True),
        dali.Parameter("DEC", _dec, required=True),
        dali.Parameter("SR", _radius, required=True),
        dali.Parameter("VERB", _verbosity),
        dali.maxrec(settings.queries.hard_maxrec),
        dali.RESPONSEFORMAT,
    )

    async def cone(request: Request) -> Response:
        found = dali.read(await dali.collected(request, settings), table_of_parameters)
        name, user = str(request.path_params["name"]), user_of(request)
        snapshot = house.releases.snapshot(user)
        table = house.releases.table_in(snapshot, name)
        if table.position is None:
            raise NotFound(
                f"{table.full_name} has no sky positions, and so no cone search", hint="query it by TAP"
            )
        choice = chosen(table, found.get("VERB", 2))
        form, content_type = _form(found)
        radius_deg = float(found["SR"])
        maxrec = 0 if radius_deg == 0 else found.get("MAXREC")
        if requests.is_head(request):
            return Response(headers={"Content-Type": content_type})
        rows = await stream.while_connected(
            request,
            house.queries.cone(
                user,
                table.full_name,
                Circle(Position(found["RA"], found["DEC"]), radius_deg),
                columns=choice.asked,
                maxrec=maxrec,
                snapshot=snapshot,
            ),
        )
        infos = origin.infos(request, snapshot.catalog, (table,), protocol=STANDARD)
        about = About(title=table.full_name, infos=infos)
        return await stream.answer(
            request,
            Answer(rows, choice, only_metadata=radius_deg == 0),
            form=form,
            about=about,
            stem=f"{table.full_name}_cone",
            content_type=content_type,
        )

    return (route("/cone/{name}", cone, methods=("GET", "POST"), policy=Policy.PUBLIC),)


def _form(found: Mapping[str, Any]) -> tuple[media.Format, str]:
    """The format, and its Content-Type: without RESPONSEFORMAT text/xml and TABLEDATA (section 2.2)."""
    if "RESPONSEFORMAT" in found:
        return found["RESPONSEFORMAT"], found["RESPONSEFORMAT"].content_type
    return media.pick("text/xml"), _XML


def accent(request: Request, fault: Fault) -> Response:
    """Tell a fault as Simple Cone Search does: a VOTable with an INFO named Error (section 2.3).

    The standard has no statuses: a parameter's fault comes with 200, so that old clients read the message.
    """
    top = dali.fault_document(fault)
    error = etree.Element(
        f"{{{xml.VOTABLE}}}INFO", ID="Error", name="Error", value=xml.clean(str(fault.error))
    )
    top.insert(0, error)
    status = 200 if fault.status == 400 else fault.status
    return Response(xml.document(top), status, headers=dict(fault.headers), media_type=_XML)
