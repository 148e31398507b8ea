"""How calls are measured: sides take turns, each call has its wall time and the CPU of client and back end.

Must not know: what is asked of whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Ids = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One contender in a case. `ask(i)` does the i-th piece of work and gives its answer whole, as arrays."""

    name: str
    ask: Callable[[int], Any]
    ids: Callable[[Any], Ids]
    """What must be the same on all sides, in any order: identifiers, or a row of numbers for each row."""
    backend_cpu_s: Callable[[], float] = lambda: 0.0
    """CPU of processes that work for this side outside of this one, so far."""
    calls: int | None = None
    """Fewer calls than the case has, where one takes minutes."""
    says: str = ""
    same: bool = True
    """Whether its answers are held against the first side's."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured of one side in one case."""

    case: str
    says: str
    side: str
    calls: int
    rows: int
    """Rows of all answers together."""
    wall_ms: float
    wall_p99_ms: float
    cpu_ms: float
    agrees: bool | None
    """Whether every answer was the first side's; None for the first side, and where nothing is compared."""
    note: str = ""
    per_second: float | None = None
    wall_ratio: float | None = None
    """This side's median over Skygate's: above 1 Skygate is faster."""
    cpu_ratio: float | None = None


@dataclass(slots=True)
class _Kept:
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    rows: int = 0
    faults: list[int] = field(default_factory=list)


def in_turn(case: str, says: str, sides: Sequence[Side], calls: int, *, warm: int = 1) -> list[Line]:
    """`calls` pieces of work by each side in turn, after `warm` that do not count; checks that they agree."""
    for side in sides:
        for i in range(min(warm, side.calls or calls)):
            side.ask(i)
    kept = {side.name: _Kept() for side in sides}
    for i in range(calls):
        asked = [side for side in sides if side.calls is None or i < side.calls]
        found: dict[str, Ids] = {}
        for side in asked[i % len(asked) :] + asked[: i % len(asked)]:  # everybody is first in turn
            answer = _timed(side, i, kept[side.name])
            found[side.name] = _sorted(side.ids(answer))
            del answer
        for side in asked:
            kept[side.name].rows += len(found[side.name])
            if side.same and not np.array_equal(found[sides[0].name], found[side.name]):
                kept[side.name].faults.append(i)
    return with_ratios([_line(case, says, s, kept[s.name], first=s is sides[0]) for s in sides])


def with_ratios(lines: Sequence[Line]) -> list[Line]:
    """The lines of one case, each with how it compares to the first one, which is Skygate's."""
    ours = lines[0]
    return [
        replace(
            line,
            wall_ratio=_ratio(line.wall_ms, ours.wall_ms),
            cpu_ratio=_ratio(line.cpu_ms, ours.cpu_ms),
        )
        for line in lines
    ]


def _ratio(theirs: float, ours: float) -> float | None:
    return round(theirs / ours, 3) if ours else None


def _timed(side: Side, i: int, kept: _Kept) -> Any:
    behind, own = side.backend_cpu_s(), time.process_time()
    began = time.perf_counter()
    answer = side.ask(i)
    wall = time.perf_counter() - began
    own = time.process_time() - own
    kept.walls.append(1000 * wall)
    kept.cpus.append(1000 * (own + side.backend_cpu_s() - behind))
    return answer


def _sorted(ids: Ids) -> Ids:
    if ids.ndim == 1:
        return np.sort(ids)
    return ids[np.lexsort(ids.T[::-1])]


def _line(case: str, says: str, side: Side, kept: _Kept, *, first: bool) -> Line:
    note = side.says
    if kept.faults:
        note = f"{len(kept.faults)} answers differ, the first that of call {kept.faults[0]}. {note}".strip()
    return Line(
        case=case,
        says=says,
        side=side.name,
        calls=len(kept.walls),
        rows=kept.rows,
        wall_ms=round(float(np.median(kept.walls)), 4),
        wall_p99_ms=round(float(np.percentile(kept.walls, 99)), 4),
        cpu_ms=round(float(np.mean(kept.cpus)), 4),
        agrees=None if first or not side.same else not kept.faults,
        note=note,
    )
