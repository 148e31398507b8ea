"""Threads that stay, and the way back into an event loop."""

import asyncio
import contextvars
import threading
import time

import pytest
from anyio import move_on_after

from skygate.services.hands import Hands

MARK: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")


def test_results_and_faults_come_back_in_the_context_of_the_caller():
    def fail() -> None:
        raise KeyError("x")

    async def story() -> None:
        hands = Hands(2)
        MARK.set("mine")
        assert await hands.run(lambda a, b: (a, b, MARK.get()), 1, b=2) == (1, 2, "mine")
        with pytest.raises(KeyError):
            await hands.run(fail)
        assert await hands.run(threading.current_thread) is not threading.main_thread()
        hands.close()

    asyncio.run(story())


def test_threads_stay_and_are_bounded():
    async def story() -> None:
        hands, seen, most, now = Hands(3), set(), 0, 0
        guard = threading.Lock()

        def work() -> None:
            nonlocal now, most
            with guard:
                now += 1
                most = max(most, now)
                seen.add(threading.get_ident())
            time.sleep(0.01)
            with guard:
                now -= 1

        await asyncio.gather(*(hands.run(work) for _ in range(20)))
        assert most == 3
        assert len(seen) == 3
        for _ in range(5):
            await hands.run(work)
        assert len(seen) == 3, "a thread that waits is taken, no new one started"
        hands.close()

    asyncio.run(story())


def test_a_cancelled_call_ends_with_its_work():
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.2)
        ended.set()

    async def story() -> None:
        with move_on_after(0.02) as scope:
            await Hands(1).run(work)
        assert scope.cancel_called  # what is awaited next ends at once
        assert ended.is_set()

    asyncio.run(story())


def test_closing_ends_the_threads_and_later_work_is_done_all_the_same():
    async def story() -> None:
        hands = Hands(4)
        thread = await hands.run(threading.current_thread)
        hands.close()
        hands.close()
        thread.join(5)
        assert not thread.is_alive()
        late = await hands.run(threading.current_thread)
        late.join(5)
        assert not late.is_alive()

    asyncio.run(story())


def test_nobody_is_told_in_a_loop_that_has_ended():
    hands, begun, go = Hands(1), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)

    async def story() -> None:
        call = asyncio.create_task(hands.run(work))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(story())
    go.set()
    assert asyncio.run(hands.run(lambda: "still at work")) == "still at work"
