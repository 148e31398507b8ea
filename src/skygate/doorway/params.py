"""The parameters of a request: query string and form body together, names in any case, values as sent.

Must not know: what any parameter means.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from skygate.doorway.bodies import announced, too_large
from skygate.errors import BadParameter, TooLarge, Where

MOST_PARAMETERS = 1000
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_SHOWN = 60
_TEXT_CONTROLS = "\t\n\r"
_TAIL = 512
"""More than the last boundary of a form and what may follow it."""


@dataclass(frozen=True, slots=True)
class Params:
    """What came with a request. Pairs keep their order and the spelling of their names."""

    pairs: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    """Names of the form's file parts."""

    def every(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter; names are compared without case (DALI 1.1, section 2.1)."""
        wanted = name.lower()
        return tuple(value for key, value in self.pairs if key.lower() == wanted)

    def one(self, name: str) -> str | None:
        """The value of a parameter that may come once; None without it; raises `BadParameter` on repeats."""
        values = self.every(name)
        if len(values) > 1:
            raise BadParameter(
                f"{name} is given {len(values)} times", hint="give it once", where=Where(name=name)
            )
        return values[0] if values else None

    def has(self, name: str) -> bool:
        """Whether the parameter is there, as text or as a file."""
        return bool(self.every(name)) or name.lower() in (f.lower() for f in self.files)


async def collect(request: Request, *, max_text_bytes: int, max_bytes: int) -> Params:
    """Read a request's parameters from its query string and, with POST, its form.

    `max_text_bytes` bounds what is kept in memory (an urlencoded body, one text part), `max_bytes` the
    whole body. Raises `TooLarge`, and `BadParameter` for what is no form or no text.
    """
    pairs = list(_decode(request.scope.get("query_string", b""), "the query string"))
    files: tuple[str, ...] = ()
    if request.method == "POST":
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == _MULTIPART:
            more, files = await _multipart(request, max_text_bytes=max_text_bytes, max_bytes=max_bytes)
            pairs += more
        else:
            body = await _body(request, max_text_bytes)
            if body and kind not in (_FORM, ""):
                raise BadParameter(
                    f"a request body of type {kind[:_SHOWN]!r} is not a form",
                    hint=f"send {_FORM} or {_MULTIPART}",
                    where=Where(name="Content-Type"),
                )
            pairs += _decode(body, "the form")
    if len(pairs) + len(files) > MOST_PARAMETERS:
        raise TooLarge(f"more than {MOST_PARAMETERS} parameters")
    for name, value in pairs:
        _check_text(name, value)
    return Params(tuple(pairs), files)


def _decode(data: bytes, place: str) -> Iterator[tuple[str, str]]:
    """Pairs of an urlencoded text; raises `BadParameter` where it is not UTF-8."""
    try:
        yield from parse_qsl(
            data.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise BadParameter(
            f"{place} is not UTF-8", hint="encode text as UTF-8, then each byte as %XX"
        ) from None
    except ValueError:
        raise TooLarge(f"more than {MOST_PARAMETERS} parameters in {place}") from None


def _check_text(name: str, value: str) -> None:
    """Refuse control characters: no parameter has a use for them, and no XML document can repeat them."""
    for text in (name, value):
        for at, char in enumerate(text):
            if (
                (char < " " and char not in _TEXT_CONTROLS)
                or char in "\x7f\ufffe\uffff"
                or _is_surrogate(char)
            ):
                raise BadParameter(
                    f"a character that is no text (U+{ord(char):04X}) at offset {at}",
                    where=Where(name=name[:_SHOWN] if name.isprintable() else None),
                )


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


async def _body(request: Request, most: int) -> bytes:
    """The whole body, at most `most` bytes; raises `TooLarge`."""
    parts: list[bytes] = []
    size = 0
    async for chunk in Request(request.scope, bounded(request, most)).stream():
        size += len(chunk)
        parts.append(chunk)
    return b"".join(parts)


def bounded(request: Request, most: int) -> Receive:
    """The request's `receive`, which raises `TooLarge` once more than `most` bytes of body have come."""
    if announced(request.headers) > most:
        raise too_large(most)
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > most:
            raise too_large(most)
        return message

    return receive


async def _multipart(
    request: Request, *, max_text_bytes: int, max_bytes: int
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Text parts, and the names of file parts, of a multipart form; raises `BadParameter`, `TooLarge`."""
    _check_charset(request)
    tail = bytearray()
    inner = bounded(request, max_bytes)

    async def receive() -> Message:
        message = await inner()
        tail.extend(message.get("body", b"")[-_TAIL:])
        del tail[:-_TAIL]
        return message

    reader = Request(request.scope, receive)
    try:
        async with reader.form(
            max_files=100, max_fields=MOST_PARAMETERS, max_part_size=max_text_bytes
        ) as form:
            pairs = [(k, v) for k, v in form.multi_items() if isinstance(v, str)]
            files = tuple(k for k, v in form.multi_items() if isinstance(v, UploadFile))
    except (HTTPException, ValueError, LookupError, KeyError, AssertionError) as fault:
        said = fault.detail if isinstance(fault, HTTPException) else str(fault)
        raise BadParameter(
            f"the multipart form cannot be read: {said[:200] or 'malformed'}",
            where=Where(name="Content-Type"),
        ) from None
    if b"--" + _boundary(request) + b"--" not in tail:
        raise BadParameter(
            "the multipart form is not complete",
            hint="its last boundary is missing",
            where=Where(name="Content-Type"),
        )
    return pairs, files


def _boundary(request: Request) -> bytes:
    options = parse_options_header(request.headers.get("content-type", ""))[1]
    return options.get(b"boundary", b"")


def _check_charset(request: Request) -> None:
    """Refuse a form in a character set that nobody knows."""
    for option in request.headers.get("content-type", "").split(";")[1:]:
        name, _, value = option.partition("=")
        if name.strip().lower() == "charset":
            try:
                codecs.lookup(value.strip().strip('"'))
            except (LookupError, ValueError):
                raise BadParameter(
                    f"unknown character set {value[:_SHOWN]!r}", where=Where(name="Content-Type")
                ) from None
