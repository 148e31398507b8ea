"""Requests and answers on the wire: JSON in, Arrow out, and every fault as the class that it was there."""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast

import httpx2
import pyarrow as pa

from skygate import wire
from skygate.domain.catalog import Column
from skygate.domain.query import Outcome
from skygate.errors import HouseError, NeighbourError, NotFound, SkygateError

_BUFFER_BYTES = 1 << 18
ARROW = "application/vnd.apache.arrow.stream"


def get_json(http: httpx2.Client, path: str) -> Any:
    """The JSON found at `path`; raises what the service raised, `NeighbourError` where it does not answer."""
    try:
        response = http.get(path)
    except httpx2.HTTPError as fault:
        raise _unreachable(http, fault) from fault
    _refuse(response)
    return _json(response)


def post_json(http: httpx2.Client, path: str, body: Mapping[str, Any]) -> Any:
    """The JSON answer to a JSON request; raises as `get_json` does."""
    try:
        response = http.post(path, json=dict(body))
    except httpx2.HTTPError as fault:
        raise _unreachable(http, fault) from fault
    _refuse(response)
    return _json(response)


class Streamed:
    """An answer on its way: columns at once, record batches once through, then `outcome`.

    Iterating raises `NeighbourError` where the answer breaks off: a part is never taken for the whole.
    """

    def __init__(self, http: httpx2.Client, response: httpx2.Response) -> None:
        self._http = http
        self._response = response
        self._body = _Body(response.iter_bytes())
        self.outcome: Outcome | None = None
        with self._told_apart():
            # Arrow takes a short read for the end: the buffer reads on until all is there
            whole = io.BufferedReader(self._body, _BUFFER_BYTES)
            self._reader = pa.ipc.open_stream(pa.PythonFile(whole, mode="r"))
        self.schema: pa.Schema = self._reader.schema
        self.columns: tuple[Column, ...] = tuple(wire.column_of(f) for f in self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches; none of them is empty."""
        count = 0
        ending: Mapping[bytes, bytes] = {}
        while True:
            with self._told_apart():
                try:
                    batch, metadata = self._reader.read_next_batch_with_custom_metadata()
                except StopIteration:
                    break
            ending = dict(metadata or {})
            count += batch.num_rows
            if batch.num_rows:
                yield batch
        if ending.get(wire.ROWS_KEY.encode()) != str(count).encode():
            raise _cut()
        self.outcome = Outcome(count, ending.get(wire.OVERFLOW_KEY.encode()) == b"true")

    def close(self) -> None:
        """Read no further."""
        self._response.close()

    def __enter__(self) -> Streamed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _told_apart(self) -> Generator[None]:
        """Whatever stops the reading becomes one of our errors."""
        try:
            yield
        except (pa.ArrowInvalid, OSError, EOFError) as fault:
            if isinstance(self._body.fault, httpx2.HTTPError):
                raise _unreachable(self._http, self._body.fault) from fault
            raise _cut() from fault


def post_for_rows(http: httpx2.Client, path: str, **request: Any) -> Streamed:
    """The rows that a request is answered with; raises what the service raised."""
    try:
        response = http.send(http.build_request("POST", path, **request), stream=True)
        try:
            _expect_rows(http, response)
            return Streamed(http, response)
        except BaseException:
            response.close()
            raise
    except httpx2.HTTPError as fault:
        raise _unreachable(http, fault) from fault


def _expect_rows(http: httpx2.Client, response: httpx2.Response) -> None:
    """Raise what a response says that has no rows."""
    if not response.is_success:
        response.read()
        _refuse(response)
    kind = response.headers.get("content-type", "")
    if not kind.startswith(ARROW):
        raise NotFound(
            f"{http.base_url} answers {kind or 'nothing'} instead of rows",
            hint="give the address of a Skygate's home page",
        )


class _Body(io.RawIOBase):
    """A response's bytes as a file. What breaks it off is kept in `fault`, because Arrow would hide it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill as much of `buffer` as one chunk holds."""
        while not self._left:
            try:
                chunk = next(self._chunks, None)
            except httpx2.HTTPError as fault:
                self.fault = fault
                raise OSError(str(fault)) from fault
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(self._left), len(buffer))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _cut() -> NeighbourError:
    return NeighbourError(
        "the answer broke off before its end; nothing of it is kept", hint="ask again, or for fewer rows"
    )


def _unreachable(http: httpx2.Client, fault: httpx2.HTTPError) -> NeighbourError:
    if isinstance(fault, httpx2.RemoteProtocolError | httpx2.ReadError):
        return _cut()
    if isinstance(fault, httpx2.TimeoutException):
        return NeighbourError(f"{http.base_url} did not answer in time", hint="try again, or set timeout_s")
    return NeighbourError(f"{http.base_url} cannot be reached: {fault}", hint="is the service running there?")


def _refuse(response: httpx2.Response) -> None:
    """Raise what a response of failure says."""
    if response.is_success:
        return
    try:
        told = json.loads(response.content)
    except ValueError:
        told = None
    if isinstance(told, dict) and isinstance(told.get("code"), str):
        raise wire.error_from_json(cast("dict[str, Any]", told))
    raise _foreign(response)


def _foreign(response: httpx2.Response) -> SkygateError:
    """A failure that no Skygate wrote: a proxy, or another service altogether."""
    status, url = response.status_code, response.request.url
    if status == 404:
        return NotFound(f"there is no Skygate at {url}", hint="give the address of its home page")
    if status in (502, 503, 504):
        return NeighbourError(f"{url} is away (HTTP {status})", hint="try again in a while")
    return HouseError(f"{url} answered HTTP {status} {response.reason_phrase}")


def _json(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        raise NotFound(
            f"{response.request.url} does not answer as a Skygate does",
            hint="give the address of its home page",
        ) from None
