"""A server process: how many files it may open, and that it ends when asked to, or with its parent."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

log = logging.getLogger("skygate.process")

LAST_S = 8
"""After the grace of running requests: time for what was cancelled to let go. Then the process ends."""
_MOST_FILES = 65_536


def served() -> Any:
    """The service (an ASGI application) of one server process, which now minds its signals and its parent."""
    from skygate import app
    from skygate.settings import Settings

    end_in_time(Settings().server.stop_seconds)
    end_with_parent()
    return app.served()


def raise_file_limit() -> int:
    """Let this process and its children open as many files as they may; the number of these."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def end_in_time(stop_seconds: int) -> None:
    """See to it that a stop signal ends the process `LAST_S` after the grace, whatever is at work then."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _timed(signal.getsignal(number), stop_seconds + LAST_S))


def end_with_parent() -> None:
    """Stop as on SIGTERM when the process that started this one dies, however it dies."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        log.warning("the parent process has gone; this one stops too")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="skygate-parent", daemon=True).start()


def leave(number: int, frame: FrameType | None) -> None:
    """End the process at once and well: a stop that was asked for is no failure.

    Nothing is left to tidy then, and the interpreter's own end would wait for threads and let native
    libraries complain of each other.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _timed(handler: Any, seconds: int) -> Callable[[int, FrameType | None], None]:
    begun = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        if not begun.is_set():
            begun.set()
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds + 2)  # for native code that lets no thread of Python run
            threading.Thread(target=_end, args=(seconds,), name="skygate-end", daemon=True).start()
        if callable(handler):
            handler(number, frame)

    return asked


def _end(seconds: int) -> None:
    time.sleep(seconds)
    log.warning("something was still at work %d s after the stop signal; the process ends", seconds)
    leave(0, None)
