"""Bodies of requests: one may be only so large, and all that are being served together.

Must not know: what is in a body, which door reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skygate.errors import Busy, SkygateError, TooLarge


class _Counted(ABC):
    """ASGI: asks of each piece of a body whether it may come.

    The refusal is what the caller is told, whatever the reader of the body made of it.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self.app = app
        self.most_bytes = most_bytes

    @abstractmethod
    def refusal(self, size: int, before: int) -> SkygateError | None:
        """Why `size` bytes more, after `before` of the same body, are too many; None when they are taken."""

    def ended(self, size: int) -> None:
        """Take note that a request with so many bytes was answered."""
        return

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        mine, refused = 0, self.refused_at_once(scope)

        async def receiving() -> Message:
            nonlocal mine, refused
            if refused is not None:
                raise refused
            message = await receive()
            size = len(message.get("body", b""))
            if size:
                refused = self.refusal(size, mine)
                if refused is not None:
                    raise refused
                mine += size
            return message

        async def sending(message: Message) -> None:
            if (
                refused is not None
            ):  # whoever read the body may have taken the refusal for a fault of the body
                raise refused
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        finally:
            self.ended(mine)

    def refused_at_once(self, scope: Scope) -> SkygateError | None:
        """Why the body that a request announces is too large."""
        return None


class Bodies(_Counted):
    """All bodies together: `Busy` beyond `most_bytes`, until requests have been answered."""

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        super().__init__(app, most_bytes=most_bytes)
        self._held = 0

    def refusal(self, size: int, before: int) -> SkygateError | None:
        """Count what is taken."""
        if self._held + size > self.most_bytes:
            return Busy("too much is being sent to this service at once", hint="try again", retry_after_s=5)
        self._held += size
        return None

    def ended(self, size: int) -> None:
        """Let go of its bytes."""
        self._held -= size


class Body(_Counted):
    """Each body by itself: `TooLarge` beyond `most_bytes`."""

    def refused_at_once(self, scope: Scope) -> SkygateError | None:
        """By the length that the head says."""
        return self._too_large(announced(Headers(scope=scope)))

    def refusal(self, size: int, before: int) -> SkygateError | None:
        """By what has come."""
        return self._too_large(before + size)

    def _too_large(self, size: int) -> TooLarge | None:
        return too_large(self.most_bytes) if size > self.most_bytes else None


def announced(headers: Headers) -> int:
    """The length in bytes that the head of a request says; 0 when it says none."""
    said = headers.get("content-length", "0")
    return int(said[:19]) if said.isascii() and said.isdigit() else 0


def too_large(most_bytes: int) -> TooLarge:
    """The refusal of a body of more than `most_bytes`."""
    return TooLarge(f"the request body is larger than {most_bytes // 1024} KiB")
