"""TAP 1.1: `/tap/sync`, where a question is answered while you wait.

Must not know: what a query means; it is collected, handed on, and the answer is streamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from skygate.domain.account import Policy
from skygate.domain.query import About, Query
from skygate.doorway import origin, requests, stream, urls
from skygate.doorway import params as parameters
from skygate.doorway.policy import route, user_of
from skygate.errors import BadParameter, Where
from skygate.formats import media
from skygate.settings import Settings
from skygate.vo import dali

if TYPE_CHECKING:
    from skygate.services.house import House

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")
STANDARD = "ivo://ivoa.net/std/TAP"


def _language(text: str) -> str:
    if text.strip().upper() not in LANGUAGES:
        raise ValueError("one of " + ", ".join(LANGUAGES) + " is expected")
    return text.strip().upper()


def _request(text: str) -> str:
    if text.strip().lower() != "doquery":
        raise ValueError("only doQuery can be requested")
    return text


def routes(house: House, settings: Settings) -> Sequence[BaseRoute]:
    """`/tap` and `/tap/sync`."""
    table = (
        dali.Parameter("REQUEST", _request),
        dali.Parameter("LANG", _language, required=True),
        dali.Parameter("QUERY", str, required=True),
        dali.maxrec(settings.queries.hard_maxrec),
        dali.RESPONSEFORMAT,
        dali.FORMAT,
        dali.Parameter("RUNID", str),
    )

    async def sync(request: Request) -> Response:
        asked = await dali.collected(request, settings)
        _refuse_uploads(asked)
        found = dali.read(asked, table)
        form: media.Format = found.get("RESPONSEFORMAT") or found.get("FORMAT") or media.pick(None)
        query = Query(found["QUERY"], found.get("MAXREC"))
        user = user_of(request)
        if requests.is_head(request):
            await house.queries.check(user, query)
            return Response(headers={"Content-Type": form.content_type})
        told = await stream.while_connected(request, house.queries.ask(user, query))
        infos = origin.infos(request, told.catalog, told.tables, protocol=f"{STANDARD}#sync-1.1")
        about = About(query=query.text, infos=infos)
        return await stream.answer(request, told.rows, form=form, about=about)

    async def base(request: Request) -> Response:
        return RedirectResponse(urls.url_of(request, "/tap/capabilities"), 303)

    return (
        route("/tap/sync", sync, methods=("GET", "POST"), policy=Policy.PUBLIC),
        route("/tap", base, methods=("GET",), policy=Policy.PUBLIC),
    )


def _refuse_uploads(asked: parameters.Params) -> None:
    if asked.has("UPLOAD"):
        raise BadParameter(
            "this service does not take table uploads",
            hint="leave UPLOAD out; join with published tables instead",
            where=Where(name="UPLOAD"),
        )
