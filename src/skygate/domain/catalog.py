"""Releases, their tables and columns, as astronomers name them.

Must not know: how rows are stored or asked for; a `Part` is an address and some numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CELL_ORDER = 29
CELL_COLUMN = "_healpix_29"
"""The column that sorts every table with positions: HEALPix NESTED index at `CELL_ORDER`; never shown."""


class Datatype(StrEnum):
    """The primitive types of VOTable 1.5 (section 2.1) that a column can have."""

    BOOLEAN = "boolean"
    UNSIGNED_BYTE = "unsignedByte"
    SHORT = "short"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    CHAR = "char"
    UNICODE = "unicodeChar"

    @property
    def is_text(self) -> bool:
        """Whether values are character strings."""
        return self in (Datatype.CHAR, Datatype.UNICODE)

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self in (Datatype.UNSIGNED_BYTE, Datatype.SHORT, Datatype.INT, Datatype.LONG)

    @property
    def is_real(self) -> bool:
        """Whether values are floating point numbers."""
        return self in (Datatype.FLOAT, Datatype.DOUBLE)

    @property
    def is_number(self) -> bool:
        """Whether values can be calculated with."""
        return self.is_integer or self.is_real


@dataclass(frozen=True, slots=True)
class Stats:
    """What was measured of one column at publish, over all rows.

    `minimum` and `maximum` leave out nulls, NaN and infinities. `histogram` counts finite values in
    equal bins between `histogram_low` and `histogram_high` (numbers only).
    """

    rows: int
    nulls: int
    nans: int = 0
    infinities: int = 0
    minimum: float | int | str | bool | None = None
    maximum: float | int | str | bool | None = None
    mean: float | None = None
    distinct: int | None = None
    """Number of different values; exact when small, None when not counted."""
    histogram: tuple[int, ...] = ()
    histogram_low: float | None = None
    histogram_high: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or of an answer.

    `arraysize` follows VOTable: None for one number; "*" any length, "8*" at most 8, "3" exactly 3,
    "2x3" a 2-D array (first axis fastest); for text it counts characters. A timestamp is text with
    xtype "timestamp". `name` is the bare name, without quotes.
    """

    name: str
    datatype: Datatype
    arraysize: str | None = None
    xtype: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str = ""
    null: str | None = None
    """The value that meant "missing" in the source (already turned into a true null on disk)."""
    principal: bool = True
    indexed: bool = False
    std: bool = False
    source_name: str | None = None
    """Its name in the source file, when that differs."""
    inferred: Mapping[str, str] = field(default_factory=dict)
    """Which properties were inferred, and from what (`{"ucd": "name rule ^e_"}`)."""
    stats: Stats | None = None

    @property
    def is_array(self) -> bool:
        """Whether one value holds several numbers."""
        return self.arraysize is not None and not self.datatype.is_text


@dataclass(frozen=True, slots=True)
class SkyPosition:
    """Where a table's rows are on the sky: ICRS degrees in columns `ra` and `dec`."""

    ra: str
    dec: str
    epoch: float | None = None
    """Julian year of the positions, when known."""
    source_frame: str = "ICRS"
    """The frame of the source's positions, before conversion."""
    source_columns: tuple[str, ...] = ()
    """The kept original columns, when positions were converted."""
    source_format: str = "degrees"
    """How the originals were written: degrees, radians, hours (right ascension in hours), arcmin, arcsec.

    Or two of these; sexagesimal (right ascension in hours), dms (in degrees), texts (degrees), parts (of
    the CDS).
    """


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a table. Cells are order-29 NESTED, both ends inclusive; None without positions."""

    path: str
    """Absolute path of the file."""
    rows: int
    size_bytes: int
    sha256: str
    first_cell: int | None = None
    last_cell: int | None = None
    row_groups: int = 1


@dataclass(frozen=True, slots=True)
class Key:
    """A foreign key: `columns` of table `source` name rows of `target`. Full table names."""

    source: str
    target: str
    columns: tuple[tuple[str, str], ...]
    """Pairs (column of source, column of target)."""
    description: str = ""
    utype: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a release (or of TAP_SCHEMA, or an upload)."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    description: str = ""
    rows: int | None = None
    utype: str | None = None
    position: SkyPosition | None = None
    identifier: str | None = None
    """The column of the main identifier (UCD meta.id;meta.main)."""
    parts: tuple[Part, ...] = ()
    coverage: str | None = None
    """Coverage as an ASCII MOC, when the table has positions."""
    notes: tuple[str, ...] = ()
    """Sentences a reader must know (epoch of positions, rows left out and why …)."""

    @property
    def full_name(self) -> str:
        """`schema.table`, unquoted."""
        return f"{self.schema}.{self.name}"

    @property
    def has_cells(self) -> bool:
        """Whether rows on disk carry `CELL_COLUMN` and are sorted by it."""
        return self.position is not None and bool(self.parts)

    def column(self, name: str) -> Column | None:
        """The column of exactly this name."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Release:
    """A published set of tables: one version of one survey's data. Its name is its ADQL schema."""

    name: str
    version: str
    title: str
    description: str = ""
    creators: tuple[str, ...] = ()
    licence: str | None = None
    citation: str | None = None
    doi: str | None = None
    url: str | None = None
    published_at: str = ""
    """UTC, ISO 8601 with Z."""
    checksum: str = ""
    """SHA-256 of the version's manifest: names exactly these bytes."""
    tables: tuple[Table, ...] = ()
    keys: tuple[Key, ...] = ()
    path: str = ""
    """Absolute path of the version's directory."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A named set of tables that queries can name: a release, TAP_SCHEMA, or uploads."""

    name: str
    tables: tuple[Table, ...]
    description: str = ""
    title: str = ""
    utype: str | None = None
    keys: tuple[Key, ...] = ()
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that a query may name, at one moment. `fingerprint` changes whenever the content does."""

    schemas: tuple[Schema, ...]
    fingerprint: str

    def tables(self) -> Iterator[Table]:
        """Every table of every schema."""
        for schema in self.schemas:
            yield from schema.tables

    def releases(self) -> Iterator[Release]:
        """Every release."""
        for schema in self.schemas:
            if schema.release is not None:
                yield schema.release
