"""What a data manager writes: release.toml as frozen values.

Must not know: how files are read or rows written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ColumnRecipe:
    """What release.toml says of one column, by its published name. Unset members are inferred."""

    source: str | None = None
    """Name in the file, when it is published under another one."""
    type: str | None = None
    """boolean, unsignedByte, short, int, long, float, double, string, timestamp."""
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    nulls: tuple[str | float | int, ...] = ()
    """Values that mean "missing"."""
    null_when: str | None = None
    """An expression over the columns of a row; where it is true the value becomes null."""
    derive: str | None = None
    """An expression over the table's columns that gives the value (a derived column)."""
    drop: bool = False
    """Leave the column out."""
    principal: bool | None = None
    """Whether tools show it by default (TAP_SCHEMA's principal); None: as the house decides."""


@dataclass(frozen=True, slots=True)
class FixedColumn:
    """One column of fixed-width text: bytes `start` to `end` (1-based, inclusive, as in a CDS ReadMe)."""

    name: str
    start: int
    end: int
    type: str | None = None
    unit: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class PositionRecipe:
    """Which source columns hold the sky position and how it is written.

    `format`: degrees, radians, hours (RA in hours), sexagesimal (RA in hours), dms (both in degrees); None:
    inferred from units and values. `frame`: ICRS, FK5, FK4, GALACTIC, ECLIPTIC; None: what the file says.
    """

    ra: str
    dec: str
    frame: str | None = None
    format: str | None = None
    epoch: float | None = None


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Rows to leave out: an expression that is true for them, and why (said in the report)."""

    when: str
    because: str


def reasons_of(rules: Sequence[LeaveOut]) -> list[str]:
    """What the report calls each rule: its reason, and its condition too where rules share a reason."""
    shared = Counter(rule.because for rule in rules)
    whole = Counter[str]()
    found: list[str] = []
    for rule in rules:
        name = rule.because if shared[rule.because] == 1 else f"{rule.because} (when {rule.when.strip()})"
        whole[name] += 1
        found.append(name if whole[name] == 1 else f"{name} ({whole[name]})")
    return found


@dataclass(frozen=True, slots=True)
class TableRecipe:
    """One table: where its files are and what is known of it."""

    name: str
    files: tuple[str, ...]
    """Paths or globs, relative to release.toml. `package:NAME/…`: inside an installed Python package."""
    format: str | None = None
    """fits, votable, csv, tsv, ecsv, fixed, parquet, hdf5, sqlite, records; None: the file tells."""
    inside: str | None = None
    """HDU name or number, HDF5 path, SQLite table or SELECT, VOTable table ID or number."""
    delimiter: str | None = None
    comment: str | None = None
    header: bool = True
    fixed: tuple[FixedColumn, ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    """For format "records": (name, NumPy type such as "<f4") of a binary record file."""
    skip_bytes: int = 0
    """For format "records": length of the file's header."""
    description: str | None = None
    identifier: str | None = None
    position: PositionRecipe | None = None
    no_position: bool = False
    """Do not look for a position."""
    columns: tuple[tuple[str, ColumnRecipe], ...] = ()
    nulls: tuple[str, ...] = ()
    """Texts that mean "missing" in every column of a text file, beside the empty one."""
    leave_out: tuple[LeaveOut, ...] = ()
    only_listed: bool = False
    """Publish only the columns listed in `columns`, in that order."""
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnRecipe | None:
        """What is said of the column published as `name`."""
        return dict(self.columns).get(name)


@dataclass(frozen=True, slots=True)
class KeyRecipe:
    """A foreign key between two tables of the release: pairs (column of source, column of target)."""

    source: str
    target: str
    columns: tuple[tuple[str, str], ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole release.toml. `text` is the file's own content (or the one made for `publish NAME FILE…`)."""

    name: str
    title: str
    tables: tuple[TableRecipe, ...]
    base: str = "."
    """Directory that relative paths start from."""
    description: str = ""
    creators: tuple[str, ...] = ()
    licence: str | None = None
    citation: str | None = None
    doi: str | None = None
    url: str | None = None
    keys: tuple[KeyRecipe, ...] = ()
    text: str = field(default="", repr=False)
