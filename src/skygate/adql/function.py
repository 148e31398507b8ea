"""What a function of ADQL is: its name, arguments and result.

Must not know: which functions there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """The language feature that a function belongs to (ADQL 2.1, section 4; TAPRegExt 1.0)."""

    CORE = "core"
    """Mandatory in ADQL 2.1: not declared."""
    GEOMETRY = "adqlgeo"
    STRING = "adql-string"
    CONDITIONAL = "adql-conditional"
    TYPE = "adql-type"
    UNIT = "adql-unit"
    UDF = "udf"
    """User defined: those of the IVOA catalogue, and our extensions."""


class Use(StrEnum):
    """Where a function can be called."""

    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    """Over the rows of a group, or over a window with OVER."""
    WINDOW = "window"
    """Only with OVER."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: an ADQL type, NUMERIC, ANY, REGION (circle, box, polygon), GEOMETRY or LITERAL (text)."""

    name: str
    type: str
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One way to call a function. `returns` is an ADQL type or `SAME`, that of the first argument."""

    name: str
    arguments: tuple[Argument, ...]
    returns: str
    description: str
    feature: Feature = Feature.CORE
    example: str = ""
    use: Use = Use.SCALAR
    unit: str | None = None
    """Unit of the result; `SAME` is that of the first argument."""

    @property
    def signature(self) -> str:
        """`name(arg TYPE, …) -> TYPE`, as capabilities write it (ADQL 2.1, section 4.1.2)."""
        inside = ", ".join(f"{a.name} {_SHOWN.get(a.type, a.type)}" for a in self.arguments)
        returns = self.arguments[0].type if self.returns == "SAME" else self.returns
        return f"{self.name}({inside}) -> {_SHOWN.get(returns, returns)}"

    @property
    def least(self) -> int:
        """Fewest arguments."""
        return sum(1 for a in self.arguments if not (a.optional or a.repeated))

    @property
    def most(self) -> int | None:
        """Most arguments, None without end."""
        return None if any(a.repeated for a in self.arguments) else len(self.arguments)

    def takes(self, count: int) -> bool:
        """Whether it can be called with so many arguments."""
        return count >= self.least and (self.most is None or count <= self.most)

    def argument(self, i: int) -> Argument:
        """The description of the i-th argument (0-based); the last group of repeated ones goes round."""
        if i < len(self.arguments):
            return self.arguments[i]
        repeated = [a for a in self.arguments if a.repeated]
        return repeated[(i - len(self.arguments)) % len(repeated)]


_SHOWN = {"NUMERIC": "DOUBLE", "ANY": "VARCHAR", "LITERAL": "VARCHAR", "GEOMETRY": "REGION"}
