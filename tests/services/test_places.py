"""Places for running queries and the line before them."""

import threading
import time

import anyio
import pytest

from skygate.errors import Busy
from skygate.services.places import Places


def test_places_then_the_line_then_busy():
    async def story() -> None:
        places = Places(2, waiting=1, wait_s=5)
        await places.take()
        await places.take()
        order: list[str] = []
        async with anyio.create_task_group() as group:

            async def third() -> None:
                await places.take()
                order.append("third")

            group.start_soon(third)
            await anyio.sleep(0.03)
            with pytest.raises(Busy) as caught:
                await places.take()
            assert caught.value.retry_after_s == 5
            assert order == []
            threading.Thread(target=places.give_back).start()
        assert order == ["third"]
        places.give_back()
        places.give_back()
        assert places.free == 2

    anyio.run(story)


def test_waiting_has_an_end():
    async def story() -> None:
        places = Places(1, waiting=4, wait_s=0.05)
        await places.take()
        begin = time.monotonic()
        with pytest.raises(Busy):
            await places.take()
        assert 0.04 < time.monotonic() - begin < 1
        places.give_back()
        await places.take()

    anyio.run(story)


def test_who_leaves_the_line_keeps_no_place():
    async def story() -> None:
        places = Places(1, waiting=4, wait_s=5)
        await places.take()
        with anyio.move_on_after(0.03):
            await places.take()
        places.give_back()
        assert places.free == 1

    anyio.run(story)


def test_no_line_at_all():
    async def story() -> None:
        places = Places(1, waiting=0, wait_s=5)
        await places.take()
        with pytest.raises(Busy):
            await places.take()

    anyio.run(story)
