"""A `skygate` command that tells where its CPU goes, for `benchmarks.http`; not for use beside a benchmark.

    python -m benchmarks.sampled serve --root skygate-data

A line `begin` on standard input starts the counting, `end FILE` writes it: lines of `ns function;function;…`,
outermost first, each function as `file:name`, and answers with a line. A thread looks at all stacks a few
thousand times a second and gives each what its thread has used of the CPU since the last look, by the clock
of that thread: waiting costs nothing, however busy the machine is. Between a stack that waits and one that
works the work gets it. Threads that are not Python's are counted whole, under their names. What the thread
that looks uses itself is left out.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

PERIOD_S = 0.0002
SWITCH_S = 0.00002
"""How soon the interpreter lets the sampler look: short, since requests take a millisecond."""
_WAITS = re.compile(r"runners\.py:Runner\.run|hands\.py:Hands\._run|threading\.py:(Condition|Event)\.wait")

Stack = tuple[CodeType, ...]


class Sampler:
    """Counts CPU by stack while it is told to."""

    def __init__(self) -> None:
        self._counts: Counter[Stack] = Counter()
        self._others: Counter[str] = Counter()
        self._last: dict[int, tuple[int, Stack | None]] = {}
        self._counting = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._run, name="sampler", daemon=True).start()
        threading.Thread(target=self._obey, name="sampled", daemon=True).start()

    def _obey(self) -> None:
        for line in sys.stdin:
            command, _, path = line.strip().partition(" ")
            if command == "begin":
                self._counting.set()
            else:
                self._counting.clear()
                self._idle.wait()
                Path(path).write_text("".join(f"{ns} {stack}\n" for stack, ns in self._told()))
            print(command, flush=True)

    def _told(self) -> list[tuple[str, int]]:
        stacks = [(";".join(map(_named, stack)), round(ns)) for stack, ns in self._counts.items()]
        return stacks + [(f"thread:{name}", round(ns)) for name, ns in self._others.items()]

    def _run(self) -> None:
        me = threading.get_native_id()
        while True:
            self._idle.set()
            self._counting.wait()
            self._idle.clear()
            self._look(me)
            self._look_beside(me)
            self._counts.clear()
            self._others.clear()
            while self._counting.is_set():
                time.sleep(PERIOD_S)
                self._look(me)
            self._look_beside(me)

    def _look(self, me: int) -> None:
        known = {thread.ident: thread.native_id for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            task = known.get(ident)
            if task is None or task == me:
                continue
            stack, now = _stack(frame), _clock(task)
            before, past = self._last.get(task, (0, None))
            self._last[task] = now, stack
            if now > before and (past is None or _waits(past) == _waits(stack)):
                self._counts[stack] += (now - before) / 2
                self._counts[past or stack] += (now - before) / 2
            elif now > before and past is not None:
                self._counts[past if _waits(stack) else stack] += now - before

    def _look_beside(self, me: int) -> None:
        """Look at the threads that are not Python's."""
        python = {thread.native_id for thread in threading.enumerate()} | {me}
        for task in map(int, (entry.name for entry in Path("/proc/self/task").iterdir())):
            if task not in python:
                name = Path(f"/proc/self/task/{task}/comm").read_text().strip()
                now, (before, _) = _clock(task), self._last.get(task, (0, None))
                self._last[task] = now, None
                self._others[name] += now - before


def _stack(frame: FrameType | None) -> Stack:
    found: list[CodeType] = []
    while frame is not None:
        found.append(frame.f_code)
        frame = frame.f_back
    return tuple(reversed(found))


def _waits(stack: Stack) -> bool:
    return _WAITS.search(_named(stack[-1])) is not None


def _named(code: CodeType, known: dict[CodeType, str] = {}) -> str:  # noqa: B006  (a memory)
    if code not in known:
        inside = re.search(r"(?:site-packages|lib/python[0-9.]+|src)/(.*)", code.co_filename)
        known[code] = f"{inside[1] if inside else code.co_filename}:{code.co_qualname}"
    return known[code]


def _clock(task: int) -> int:
    """Nanoseconds of CPU that a thread has used; 0 when it has gone."""
    try:
        return time.clock_gettime_ns((~task << 3) | 6)
    except OSError:
        return 0


def main() -> None:
    """Start to look, and become the command."""
    from skygate.cli import main as skygate

    sys.setswitchinterval(SWITCH_S)
    Sampler()
    skygate()


if __name__ == "__main__":
    main()
