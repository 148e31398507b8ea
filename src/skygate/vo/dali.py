"""The Data Access Layer Interface (DALI 1.1): parameters by one table, errors as VOTables.

Must not know: any one protocol's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from skygate.doorway.errors import Fault
from skygate.doorway.params import Params, collect
from skygate.errors import BadParameter, Where
from skygate.formats import media
from skygate.settings import Settings
from skygate.vo import xml

T = TypeVar("T")

VOTABLE_TYPE = "application/x-votable+xml"
_SHOWN = 80
_FORM_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that may come once: how its text is read, and whether it must be there.

    `read` raises `ValueError` with a sentence about what was expected, or a `SkygateError`.
    """

    name: str
    read: Callable[[str], Any]
    required: bool = False


async def collected(request: Request, settings: Settings) -> Params:
    """The request's parameters within the limits of the settings; raises `BadParameter`, `TooLarge`."""
    return await collect(
        request,
        max_text_bytes=3 * settings.queries.max_query_kib * 1024 + _FORM_SLACK,
        max_bytes=settings.uploads.max_mib * 1024 * 1024,
    )


def read(params: Params, table: Sequence[Parameter]) -> Mapping[str, Any]:
    """The values of the table's parameters by name; blank ones are as if absent, others are ignored.

    Raises `BadParameter` for what is missing, repeated or malformed (DALI 1.1, section 2.1).
    """
    found: dict[str, Any] = {}
    for parameter in table:
        text = params.one(parameter.name)
        if text is None or not text.strip():
            if parameter.required:
                raise BadParameter(f"{parameter.name} is missing", where=Where(name=parameter.name))
            continue
        try:
            found[parameter.name] = parameter.read(text)
        except ValueError as fault:
            raise BadParameter(
                f"{parameter.name}={text[:_SHOWN]!r} is not understood",
                hint=str(fault),
                where=Where(name=parameter.name, token=text[:_SHOWN]),
            ) from None
    return found


def maxrec(hard: int) -> Parameter:
    """MAXREC (DALI 1.1, section 3.4.4): a count of rows; more than `hard` are clipped to it."""

    def count(text: str) -> int:
        digits = text.strip().removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError("a whole number of rows, 0 or more, is expected")
        return hard if len(digits.lstrip("0")) > 15 else min(int(digits), hard)

    return Parameter("MAXREC", count)


RESPONSEFORMAT = Parameter("RESPONSEFORMAT", media.pick)
FORMAT = Parameter("FORMAT", media.pick)
"""The older name of RESPONSEFORMAT (TAP 1.1, section 2.7.6)."""


def info(parent: xml.Element, name: str, value: str, *, text: str | None = None) -> xml.Element:
    """Add an INFO element."""
    return xml.add(parent, f"{{{xml.VOTABLE}}}INFO", text, attributes={"name": name, "value": value})


def votable() -> xml.Element:
    """An empty VOTABLE element."""
    top = xml.root("VOTABLE", namespace=xml.VOTABLE, prefixes={None: xml.VOTABLE})
    top.set("version", "1.4")
    return top


def fault_document(fault: Fault) -> xml.Element:
    """A VOTable that says what went wrong (DALI 1.1, section 4.4), to people and by a code to programs."""
    top = votable()
    resource = xml.add(top, f"{{{xml.VOTABLE}}}RESOURCE", attributes={"type": "results"})
    info(resource, "QUERY_STATUS", "ERROR", text=str(fault.error))
    info(resource, "error_code", fault.error.code)
    if fault.incident:
        info(resource, "incident", fault.incident)
    return top


def accent(request: Request, fault: Fault) -> Response:
    """Tell a fault as DALI does: a VOTable, and a fitting status for those who only read that."""
    body = xml.document(fault_document(fault))
    return Response(body, fault.status, headers=dict(fault.headers), media_type=VOTABLE_TYPE)
