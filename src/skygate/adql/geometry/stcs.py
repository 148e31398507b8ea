"""REGION's literals: STC-S (TAP 1.0, section 6) and DALI 1.1 shapes in ICRS, as points, circles and polygons.

Must not know: SQL. What is taken and what is refused is in docs/decisions/063.
"""

from __future__ import annotations

import re

from skygate.domain.sky import Circle, Polygon, Position
from skygate.errors import BadRegion
from skygate.sky.outline import box_polygon, outline_of
from skygate.sky.relate import Shape

_FRAMES = frozenset({"ICRS"})
_FLAVOURS = frozenset({"SPHERICAL2", "SPHER2"})
_POSITIONS = frozenset(
    {
        "TOPOCENTER",
        "BARYCENTER",
        "GEOCENTER",
        "HELIOCENTER",
        "LSR",
        "GALACTIC_CENTER",
        "RELOCATABLE",
        "UNKNOWNREFPOS",
    }
)
_OTHER_FRAMES = frozenset({"FK4", "FK5", "GALACTIC", "ECLIPTIC", "J2000", "B1950", "UNKNOWNFRAME"})
_SETS = frozenset({"UNION", "INTERSECTION", "NOT", "DIFFERENCE"})


def region_of(text: str) -> Shape:
    """The shape that a literal spells: POSITION, POINT, CIRCLE, BOX, POLYGON or RANGE; raises `BadRegion`."""
    words = re.sub(r"[(),]", " ", text).upper().split()
    if not words:
        raise BadRegion("the region is empty", hint="for example: REGION('CIRCLE ICRS 10.5 -3 0.2')")
    kind, rest = words[0], words[1:]
    if kind in _SETS:
        raise BadRegion(f"{kind} of regions is not supported", hint="combine conditions by AND, OR and NOT")
    while rest and not _is_number(rest[0]):
        word = rest.pop(0)
        if word in _OTHER_FRAMES:
            raise BadRegion(
                f"regions are in ICRS, not in {word}", hint="convert the coordinates, and write ICRS"
            )
        if word not in _FRAMES | _FLAVOURS | _POSITIONS:
            raise BadRegion(f"{word!r} is not understood in a region")
    if len(rest) > 2 and rest[-2] == "UNIT" and rest[-1] == "DEG":
        rest = rest[:-2]
    for word in rest:
        if not _is_number(word):
            raise BadRegion(f"{word!r} is not a number in a region")
    return _shape(kind, [float(word) for word in rest])


def _shape(kind: str, numbers: list[float]) -> Shape:
    if kind in ("POSITION", "POINT"):
        _need(kind, numbers, 2)
        return Position(*numbers)
    if kind == "CIRCLE":
        _need(kind, numbers, 3)
        return Circle(Position(*numbers[:2]), numbers[2])
    if kind == "BOX":
        _need(kind, numbers, 4)
        return box_polygon(Position(*numbers[:2]), numbers[2], numbers[3])
    if kind == "POLYGON":
        if len(numbers) < 6 or len(numbers) % 2:
            raise BadRegion(f"POLYGON needs at least 3 pairs of numbers, not {len(numbers)} numbers")
        polygon = Polygon(tuple(Position(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True)))
        outline_of(polygon)
        return polygon
    if kind == "RANGE":
        raise BadRegion("RANGE is not supported", hint="compare ra and dec with BETWEEN")
    raise BadRegion(f"{kind!r} is not a kind of region", hint="expected POSITION, CIRCLE, BOX or POLYGON")


def _need(kind: str, numbers: list[float], count: int) -> None:
    if len(numbers) != count:
        raise BadRegion(f"{kind} needs {count} numbers, not {len(numbers)}")


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?", word) is not None
