"""Lanes in which queries wait to be understood: work of the interpreter, of which little is done at once.

Must not know: what understanding is. Short texts have a lane of their own: none waits for long ones.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, WouldBlock, move_on_after

from skygate.errors import Busy

_AT_ONCE = 2
"""Texts of each lane."""
_WAITING = 64
_SHORT = 2000
"""Characters of a short text."""


class Lanes:
    """A lane for short texts and one for long ones; who waits longer than `wait_s` is told `Busy`."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._lanes = (CapacityLimiter(_AT_ONCE), CapacityLimiter(_AT_ONCE))

    @asynccontextmanager
    async def of(self, text: str) -> AsyncGenerator[None]:
        """A turn for a text, until the block ends; raises `Busy`."""
        lane, mark = self._lanes[len(text) > _SHORT], object()
        await self._enter(lane, mark)
        try:
            yield
        finally:
            lane.release_on_behalf_of(mark)

    async def _enter(self, lane: CapacityLimiter, mark: object) -> None:
        try:
            lane.acquire_on_behalf_of_nowait(mark)
        except WouldBlock:
            if lane.statistics().tasks_waiting < _WAITING:
                with move_on_after(self._wait_s):
                    await lane.acquire_on_behalf_of(mark)
            if mark not in lane.statistics().borrowers:
                raise Busy(
                    "too many queries wait to be understood", hint="try again", retry_after_s=2
                ) from None
