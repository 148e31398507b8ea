"""Positions and regions on the celestial sphere.

ICRS, degrees. Must not know: HEALPix, ADQL, wires.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from skygate.errors import BadRegion


@dataclass(frozen=True, slots=True)
class Position:
    """A point: right ascension in [0, 360) and declination in [-90, 90], ICRS degrees."""

    ra_deg: float
    dec_deg: float

    def __post_init__(self) -> None:
        """Wrap the right ascension; refuse what is not a position with `BadRegion`."""
        if not (math.isfinite(self.ra_deg) and math.isfinite(self.dec_deg)):
            raise BadRegion("a position needs finite numbers")
        if abs(self.dec_deg) > 90:
            raise BadRegion(
                f"declination {self.dec_deg:g} is beyond the poles", hint="expected -90 to 90 degrees"
            )
        object.__setattr__(self, "ra_deg", self.ra_deg % 360.0)


@dataclass(frozen=True, slots=True)
class Circle:
    """A disc: every point at most `radius_deg` (0 to 180) from `center`."""

    center: Position
    radius_deg: float

    def __post_init__(self) -> None:
        """Refuse radii that are no angle with `BadRegion`."""
        if not (math.isfinite(self.radius_deg) and 0 <= self.radius_deg <= 180):
            raise BadRegion(f"radius {self.radius_deg:g} is not an angle", hint="expected 0 to 180 degrees")


@dataclass(frozen=True, slots=True)
class Polygon:
    """Great-circle edges between three or more `corners`.

    The smaller side is inside, whatever the winding.
    """

    corners: tuple[Position, ...]

    def __post_init__(self) -> None:
        """Refuse fewer than three corners with `BadRegion`."""
        if len(self.corners) < 3:
            raise BadRegion(f"a polygon needs at least 3 corners, not {len(self.corners)}")


@dataclass(frozen=True, slots=True)
class Box:
    """A range of coordinates: `ra` from west to east edge (may wrap through 0) and `dec` from south to north.

    What ADQL's BOX(center, width, height) means is decided in docs/decisions.
    """

    center: Position
    width_deg: float
    height_deg: float

    def __post_init__(self) -> None:
        """Refuse sizes that are no angle with `BadRegion`."""
        for name, value, top in (("width", self.width_deg, 360), ("height", self.height_deg, 180)):
            if not (math.isfinite(value) and 0 <= value <= top):
                raise BadRegion(f"{name} {value:g} is not an angle", hint=f"expected 0 to {top} degrees")


Region = Circle | Polygon | Box
