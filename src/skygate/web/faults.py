"""How a page tells a fault: in a sentence, at its place in the query, never as a traceback."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from skygate.doorway import urls
from skygate.doorway.errors import Fault
from skygate.errors import Where
from skygate.web.render import environment

_HEADINGS = {
    400: "That cannot be answered",
    404: "There is nothing here",
    422: "That is too much",
    500: "Something went wrong on our side",
    503: "Too busy at the moment",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A fault of a query: what is wrong, and the line with the offending piece cut out."""

    heading: str
    message: str
    hint: str | None
    line: int | None = None
    before: str = ""
    token: str = ""
    after: str = ""


def shown(fault: Fault, text: str) -> Shown:
    """The fault as the query page shows it."""
    error = fault.error
    where = error.where or Where()
    place = (
        f"Line {where.line}, column {where.column}:"
        if where.line
        else _HEADINGS.get(fault.status, "Error") + ":"
    )
    line = before = token = after = None
    if where.line is not None and where.column is not None:
        lines = text.splitlines() or [""]
        line = min(where.line, len(lines))
        whole = lines[line - 1]
        at = min(max(where.column - 1, 0), len(whole))
        length = len((where.token or "").splitlines()[0]) if where.token else 1
        before, token, after = whole[:at], whole[at : at + length], whole[at + length :]
    return Shown(
        heading=place,
        message=error.message,
        hint=error.hint,
        line=line,
        before=before or "",
        token=token or " ",
        after=after or "",
    )


def accent(request: Request, fault: Fault) -> Response:
    """A page that says what is wrong."""
    page = (
        environment()
        .get_template("error.html")
        .render(
            base=request.scope.get("root_path", ""),
            base_url=urls.base_url(request),
            section="",
            title=_HEADINGS.get(fault.status, fault.title),
            heading=_HEADINGS.get(fault.status, fault.title),
            message=fault.error.message,
            hint=fault.error.hint,
            error_id=fault.incident,
        )
    )
    return HTMLResponse(page, fault.status, headers=dict(fault.headers))
