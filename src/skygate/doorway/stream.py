"""An answer on its way out: rows become bytes in a thread, and reach the client as fast as it takes them.

Small answers are complete before the first header is sent, so that they have a length, a true status and a
known end. Of a large one the beginning is. An answer that breaks off after that cuts the connection (unless
its format tells the fault itself): no client takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote

import anyio
import pyarrow as pa
from anyio import CancelScope, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from skygate.domain.catalog import Column
from skygate.domain.query import About, Outcome
from skygate.errors import Cancelled
from skygate.formats import media
from skygate.ports import Waiting
from skygate.services.hands import Hands

AHEAD_BYTES = 64 * 1024
"""How much of an answer is made before its head is sent."""
OVERFLOW_HEADER = "X-Skygate-Overflow"
ROWS_HEADER = "X-Skygate-Rows"
_AT_ONCE_BYTES = 64 * 1024
_AT_ONCE_COLUMNS = 100
"""An answer that is there, and no larger, is written in less time than it takes to have a thread write it."""
_LOOK_S = 0.01
_WATCH_S = 0.02
"""How long a client is not watched: most answers are sooner ready, and watching costs as much as some."""
TOLD = "skygate.told"
"""In the scope: what the request log says of this request beside its own (a dict)."""

_HANDS = Hands(64)
"""Of answers that are being written; what is sent at the same time waits for one of them now and then."""

T = TypeVar("T")


class Heard:
    """Rows that remember the fault which broke them off (a format may hide it in its document)."""

    def __init__(self, rows: Waiting) -> None:
        self.columns: tuple[Column, ...] = rows.columns
        self.fault: Exception | None = None
        self._rows = rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, once."""
        try:
            yield from self._rows
        except Exception as fault:
            self.fault = fault
            raise

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, when it has ended well."""
        return self._rows.outcome

    def check(self) -> None:
        """Raise the fault that broke it off, if one did."""
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        """Free what the answer holds."""
        self._rows.close()


async def while_connected(
    request: Request, work: Awaitable[T], *, on_gone: Callable[[], object] | None = None
) -> T:
    """Await `work`; when the client goes away first, call `on_gone` (blocking, in a thread), cancel the work
    and raise `Cancelled`.

    The request's body must have been read.
    """
    loop = asyncio.get_running_loop()
    scope = CancelScope()
    gone = False
    watching: asyncio.Task[None] | None = None

    async def watch() -> None:
        nonlocal gone
        await _disconnected(request.receive)
        gone = True
        if on_gone is not None:
            await to_thread.run_sync(on_gone)
        scope.cancel()

    def begin() -> None:
        nonlocal watching
        watching = loop.create_task(watch())

    timer = loop.call_later(_WATCH_S, begin)
    try:
        with scope:
            return await work
    except Exception as fault:
        if gone:
            raise Cancelled("the client went away") from fault
        raise
    finally:
        timer.cancel()
        if watching is not None:
            await _stopped(watching)
    raise Cancelled("the client went away")


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; raises what went wrong in it."""
    task.cancel()
    with CancelScope(shield=True):
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def answer(
    request: Request,
    rows: Waiting,
    *,
    form: media.Format,
    about: About,
    stem: str = "result",
    attachment: bool = False,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response that carries `rows` in format `form`; the file is called `stem` and the format's ending.

    Raises what breaks the answer off before its first bytes have left. Closes `rows`, whatever happens.
    """
    heard = Heard(rows)
    at_once = form.streams and _is_short(rows)
    chunks = media.write(form, heard, about)
    try:
        if at_once:
            head, ended = _ahead(chunks)
        else:
            beginning = _HANDS.run(_ahead, chunks)
            head, ended = await while_connected(request, beginning, on_gone=heard.close)
        heard.check()
    except BaseException:
        await _close(chunks, heard)
        raise
    told: dict[str, str] = {
        "Content-Type": content_type or form.content_type,
        "Content-Disposition": disposition(stem, form.extension, attachment=attachment),
        **(headers or {}),
    }
    outcome = heard.outcome
    if outcome is not None:
        told[OVERFLOW_HEADER] = "true" if outcome.overflow else "false"
        told[ROWS_HEADER] = str(outcome.rows)
    if ended:
        if at_once:
            heard.close()
        else:
            await _close(chunks, heard)
        _tell(request.scope, outcome)
        return Response(b"".join(head), headers=told)
    return Streamed(head, chunks, heard, headers=told)


def _is_short(rows: Waiting) -> bool:
    held = rows.held_bytes
    return held is not None and held <= _AT_ONCE_BYTES and len(rows.columns) <= _AT_ONCE_COLUMNS


def disposition(stem: str, extension: str, *, attachment: bool) -> str:
    """A Content-Disposition (RFC 6266) with a file name that no shell or browser misreads."""
    name = (re.sub(r"[^\w.-]+", "_", stem).strip("._") or "result")[:100] + f".{extension}"
    kind = "attachment" if attachment else "inline"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f'{kind}; filename="{plain}"' + ("" if plain == name else f"; filename*=UTF-8''{quote(name)}")


class Streamed(Response):
    """A response whose beginning is there and whose rest is made in a thread while it is sent."""

    def __init__(
        self, head: list[bytes], chunks: Iterator[bytes], rows: Heard, *, headers: Mapping[str, str]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self._head = head
        self._chunks = chunks
        self._rows = rows
        self._gone = False
        self.init_headers(headers)
        if "content-length" in self.headers:
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; end quietly when the client has gone.

        Raises what breaks the answer off, its last chunk unsent.
        """
        fault: Exception | None = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, receive, group.cancel_scope)
                try:
                    await self._send(send)
                except Exception as raised:  # noqa: BLE001  (raised again below, out of the group)
                    fault = raised
                group.cancel_scope.cancel()
        finally:
            await _close(self._chunks, self._rows)
            _tell(scope, self._rows.outcome)
        if fault is not None and not self._gone:
            raise fault

    async def _watch(self, receive: Receive, sending: CancelScope) -> None:
        """Stop everything when the client goes away: closing the rows ends a thread that waits for them."""
        await _disconnected(receive)
        self._gone = True
        with CancelScope(shield=True):
            await to_thread.run_sync(self._rows.close)
        sending.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for chunk in self._head:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._head = []
        while (chunk := await _HANDS.run(next, self._chunks, None)) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _ahead(chunks: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """The first chunks, and whether they are all."""
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size >= AHEAD_BYTES:
            return head, False
    return head, True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close(chunks: Iterator[bytes], rows: Heard) -> None:
    """Free the writer and its rows, even while being cancelled.

    A cancelled call may have left its thread at work on the next chunk: closing the rows ends that soon.
    """

    def free() -> None:
        rows.close()
        while getattr(chunks, "gi_running", False):
            time.sleep(_LOOK_S)
        closing = getattr(chunks, "close", None)
        if closing is not None:
            closing()

    with CancelScope(shield=True):
        await _HANDS.run(free)


def _tell(scope: Scope, outcome: Outcome | None) -> None:
    told = scope.get(TOLD)
    if isinstance(told, dict) and outcome is not None:
        told["rows"] = outcome.rows
        told["overflow"] = outcome.overflow
