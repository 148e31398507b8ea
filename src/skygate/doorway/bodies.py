"""Bodies of requests: all that are being served together may be only so large.

Must not know: what is in a body, which door reads it.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skygate.errors import Busy


class Bodies:
    """ASGI: counts bytes that have come until their request is answered; `Busy` beyond `most_bytes`."""

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        mine, refused = 0, False

        async def receiving() -> Message:
            nonlocal mine, refused
            message = await receive()
            size = len(message.get("body", b""))
            if size:
                if self._held + size > self.most_bytes:
                    refused = True
                    raise _crowded()
                self._held += size
                mine += size
            return message

        async def sending(message: Message) -> None:
            if refused:  # whoever read the body may have taken the refusal for a fault of the body
                raise _crowded()
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        finally:
            self._held -= mine


def _crowded() -> Busy:
    return Busy("too much is being sent to this service at once", hint="try again", retry_after_s=5)
