"""An ASGI application as a transport of httpx2's plain client: no socket, but streamed all the same.

The application lives on an event loop in a thread of its own; a few chunks wait between the two.
Must not know: what the application does.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import Future
from typing import Any

import httpx2

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_WAITING_CHUNKS = 8
_STOP_S = 30.0
_CUT = "the application broke its answer off"


class InProcess(httpx2.BaseTransport):
    """Sends requests to `app`. Its start-up runs at once, its shut-down in `close`."""

    def __init__(self, app: Application) -> None:
        self._app: Application | None = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="skygate-app", daemon=True)
        self._thread.start()
        atexit.register(_close_late, weakref.ref(self))  # for scripts that end without closing their client
        self._closing: list[Callable[[], None]] = []
        self._life: _Life | None = _Life(app)
        try:
            self.do(self._life.begin())
        except BaseException:
            self._end_loop()
            raise

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request and the head of its response; the body follows as it is read."""
        if self._app is None:
            raise httpx2.ConnectError("this client is closed", request=request)
        exchange = _Exchange(self._app, _scope(request), request.read())
        status, headers = self.do(exchange.begin())
        return httpx2.Response(status, headers=headers, stream=_Body(exchange, self.do))

    def close(self) -> None:
        """Let the application shut down, and end its thread."""
        if self._life is None:
            return
        life, self._life = self._life, None
        for closing in self._closing:
            closing()
        self._app = (
            None  # what it holds is freed with the application, not with whoever keeps a closed client
        )
        try:
            self.do(life.end(), timeout_s=_STOP_S)
        finally:
            self._end_loop()

    def before_closing(self, act: Callable[[], None]) -> None:
        """Have something done first when this is closed."""
        self._closing.append(act)

    def do(self, work: Any, timeout_s: float | None = None) -> Any:
        """Run a coroutine over there and wait; interrupted here, it is cancelled there."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def _end_loop(self) -> None:
        """End everything that the loop runs: a thread that lived on would hold the engine at the exit."""
        self.do(_settle(), timeout_s=_STOP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_S)
        if not self._thread.is_alive():
            self._loop.close()
        for thread in threading.enumerate():
            if getattr(thread, "loop", None) is self._loop:  # AnyIO's workers know whom they work for
                thread.join(_STOP_S)


def _close_late(kept: weakref.ref[InProcess]) -> None:
    transport = kept()
    if transport is not None:
        transport.close()
    del transport
    gc.collect()  # DuckDB complains at length of objects that outlive the interpreter


async def _settle() -> None:
    """Cancel what is left on this loop and wait for it."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _scope(request: httpx2.Request) -> dict[str, Any]:
    """The request as ASGI 3.0 tells it."""
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": [(k.lower(), v) for k, v in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": {},
    }


class _Exchange:
    """One request and its response, on the application's side."""

    def __init__(self, app: Application, scope: dict[str, Any], body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._request = body
        self._chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_WAITING_CHUNKS)
        self._head: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] | None = None
        self._gone = asyncio.Event()
        self._received = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Start the application; status and headers as soon as it says them."""
        self._head = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(self._head))
        try:
            return await asyncio.shield(self._head)
        except asyncio.CancelledError:
            await self.leave()
            raise

    async def next_chunk(self) -> bytes | None:
        """The next piece of the body, None after the last; raises where the answer was cut."""
        chunk = await self._chunks.get()
        if isinstance(chunk, Exception):
            raise httpx2.RemoteProtocolError(_CUT) from chunk
        return chunk

    async def leave(self) -> None:
        """The reader has gone: tell the application, and wait until it has ended."""
        self._gone.set()
        if self._task is None or self._task.done():
            return
        while not self._chunks.empty():
            self._chunks.get_nowait()
        done, _ = await asyncio.wait({self._task}, timeout=1.0)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, head: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]]) -> None:
        ended = False

        async def send(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start" and not head.done():
                head.set_result((message["status"], list(message.get("headers", []))))
            elif message["type"] == "http.response.body" and not self._gone.is_set():
                if body := message.get("body", b""):
                    await self._put(bytes(body))
                if not message.get("more_body", False):
                    ended = True
                    await self._put(None)

        fault: Exception | None = None
        try:
            await self._app(self._scope, self._receive, send)
        except Exception as raised:  # noqa: BLE001  (handed to the reader below)
            fault = raised
        if not head.done():
            head.set_exception(fault or httpx2.RemoteProtocolError("the application gave no answer"))
        elif not ended:
            await self._put(fault or httpx2.RemoteProtocolError(_CUT))

    async def _put(self, item: bytes | Exception | None) -> None:
        """Wait for room, unless the reader goes first."""
        putting = asyncio.ensure_future(self._chunks.put(item))
        leaving = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({putting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
            leaving.cancel()

    async def _receive(self) -> Message:
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": self._request, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}


class _Body(httpx2.SyncByteStream):
    """The body on the reader's side."""

    def __init__(self, exchange: _Exchange, do: Callable[..., Any]) -> None:
        self._exchange = exchange
        self._do = do
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._do(self._exchange.next_chunk())) is not None:
            yield chunk

    def close(self) -> None:
        """Read no further."""
        if not self._closed:
            self._closed = True
            self._do(self._exchange.leave())


class _Life:
    """The lifespan protocol of ASGI: start-up, shut-down."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._said: asyncio.Queue[Message] | None = None
        self._told: asyncio.Queue[Message] | None = None

    async def begin(self) -> None:
        """Start up; an application without the protocol is taken as started."""
        self._said, self._told = asyncio.Queue(), asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        said, told = self._said, self._told
        await told.put({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._app(scope, told.get, said.put))
        await self._heard("startup")

    async def end(self) -> None:
        """Shut down."""
        if self._told is None or self._task is None or self._task.done():
            return
        await self._told.put({"type": "lifespan.shutdown"})
        await self._heard("shutdown")
        await asyncio.wait({self._task}, timeout=_STOP_S)

    async def _heard(self, step: str) -> None:
        assert self._said is not None
        assert self._task is not None
        hearing = asyncio.ensure_future(self._said.get())
        await asyncio.wait({hearing, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            hearing.cancel()
            self._task.exception()  # it does not know the protocol, and may run without
            return
        message = hearing.result()
        if message["type"] == f"lifespan.{step}.failed":
            raise RuntimeError(f"the application's {step} failed: {message.get('message', '')}")
