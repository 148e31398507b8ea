"""Every key of release.toml, described once: validation, JSON schema and reference page come from here.

Must not know: files. `recipe_file` reads the text and turns these models into `recipe`'s frozen values.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from skygate.release.legal import fault_of_name, legal_name
from skygate.release.recipe import (
    ColumnRecipe,
    FixedColumn,
    KeyRecipe,
    LeaveOut,
    PositionRecipe,
    TableRecipe,
)

Format = Literal["fits", "votable", "csv", "tsv", "ecsv", "fixed", "parquet", "hdf5", "sqlite", "records"]
Kind = Literal["boolean", "unsignedByte", "short", "int", "long", "float", "double", "string", "timestamp"]
Frame = Literal["ICRS", "FK5", "FK4", "GALACTIC", "ECLIPTIC"]
Writing = Literal["degrees", "radians", "hours", "sexagesimal", "dms"]
RECORD_TYPE = re.compile(r"[<>|]?(?:[iu][1248]|f[248]|b1|\?|[SU]\d+)\Z")


def _named(what: str) -> AfterValidator:
    def check(name: str) -> str:
        fault = fault_of_name(name, what)
        if fault:
            raise ValueError(f"{fault}; a legal name would be {legal_name(name, what)}")
        return name

    return AfterValidator(check)


Text = Annotated[str, Field(min_length=1)]
ReleaseName = Annotated[str, _named("release")]
TableName = Annotated[str, _named("table")]
ColumnName = Annotated[str, _named("column")]


class Part(BaseModel):
    """A table of the file: unknown keys are mistakes, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, regex_engine="python-re")


class ReleasePart(Part):
    """What the release is, and whom to thank."""

    name: Annotated[
        ReleaseName,
        Field(description="Its name, which is also its schema in queries: `SELECT … FROM name.table`."),
    ]
    title: Annotated[Text, Field(description="One line for people.")]
    description: Annotated[
        str, Field(description="What it holds, for whom, and what it is not good for.")
    ] = ""
    creators: Annotated[
        tuple[Text, ...], Field(description="Who made the data, in the order of citation.", strict=False)
    ] = ()
    licence: Annotated[Text | None, Field(description="The licence: an SPDX name, or a sentence.")] = None
    citation: Annotated[Text | None, Field(description="How a paper should cite it.")] = None
    doi: Annotated[
        str | None,
        Field(
            description="Its DOI, without an address: `10.5281/zenodo.1234`.", pattern=r"^10\.\d{4,9}/\S+$"
        ),
    ] = None
    url: Annotated[str | None, Field(description="A page that says more.", pattern=r"^https?://\S+$")] = None
    felis: Annotated[
        Text | None,
        Field(
            description="A Felis YAML file (relative to release.toml) that describes tables, columns and "
            "keys. What release.toml says itself goes before."
        ),
    ] = None


class ColumnPart(Part):
    """What is known of one column, by its published name; all else is inferred and reported."""

    source: Annotated[
        Text | None, Field(description="Its name in the file, when published under another.")
    ] = None
    type: Annotated[Kind | None, Field(description="The type to publish it as.")] = None
    unit: Annotated[
        str | None, Field(description="Its unit, as VOUnits writes it: `mas/yr`, `mag`, `km/s`.")
    ] = None
    ucd: Annotated[
        str | None, Field(description="What it means, as UCD1+: `pos.pm;pos.eq.ra`, `phot.mag;em.opt.V`.")
    ] = None
    utype: Annotated[str | None, Field(description="Its place in an IVOA data model.")] = None
    description: Annotated[str | None, Field(description="One sentence for people.")] = None
    nulls: Annotated[
        tuple[str | int | float, ...],
        Field(description="Values that mean “missing”: `[-999, 99.99]`.", strict=False),
    ] = ()
    null_when: Annotated[
        Text | None,
        Field(description="An expression over the row; where it is true the value is missing."),
    ] = None
    derive: Annotated[
        Text | None,
        Field(description="An expression over the columns of the file that gives the value: `bp - rp`."),
    ] = None
    drop: Annotated[bool, Field(description="Leave the column out.")] = False
    principal: Annotated[
        bool | None, Field(description="Whether tools show it by default, among many columns.")
    ] = None

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnPart:
        if self.derive and self.source:
            raise ValueError("has both source and derive; expected one of them")
        return self

    def recipe(self) -> ColumnRecipe:
        """The frozen value."""
        return ColumnRecipe(**self.model_dump())


class FixedPart(Part):
    """One column of a fixed-width text file."""

    name: Annotated[Text, Field(description="Its name.")]
    bytes: Annotated[
        str,
        Field(
            description="Its place in the line, 1-based and inclusive, as CDS writes it: `8-19`, `21`.",
            pattern=r"^\s*[1-9]\d*\s*(-\s*[1-9]\d*\s*)?$",
        ),
    ]
    type: Annotated[Kind | None, Field(description="Its type, when it is not to be inferred.")] = None
    unit: Annotated[str | None, Field(description="Its unit in the file.")] = None
    description: Annotated[str | None, Field(description="One sentence for people.")] = None

    @field_validator("bytes")
    @classmethod
    def _forward(cls, value: str) -> str:
        start, end = _byte_range(value)
        if end < start:
            raise ValueError(f"ends before it begins: {value}")
        return value

    def recipe(self) -> FixedColumn:
        """The frozen value."""
        start, end = _byte_range(self.bytes)
        return FixedColumn(self.name, start, end, self.type, self.unit, self.description)


def _byte_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


class PositionPart(Part):
    """Which columns of the file say where a row is on the sky."""

    ra: Annotated[Text, Field(description="Column of the right ascension, or of the longitude.")]
    dec: Annotated[Text, Field(description="Column of the declination, or of the latitude.")]
    frame: Annotated[
        Frame | None,
        Field(
            description="The frame of these coordinates; published ones are ICRS. When left out, what the "
            "file says (metadata, UCDs, names), and ICRS where it says nothing."
        ),
    ] = None
    format: Annotated[
        Writing | None,
        Field(
            description="How they are written; `hours`: right ascension in hours; `sexagesimal`: `12:34:56`, "
            "right ascension in hours; `dms`: the same in degrees. Inferred when left out."
        ),
    ] = None
    epoch: Annotated[
        float | None,
        Field(description="Julian year of the positions: `2016.0`.", ge=1000, le=3000, strict=False),
    ] = None

    def recipe(self) -> PositionRecipe:
        """The frozen value."""
        return PositionRecipe(**self.model_dump())


class LeaveOutPart(Part):
    """Rows that are not published; the report counts them and says why."""

    when: Annotated[
        Text, Field(description="An expression over the row; where it is true the row is left out.")
    ]
    because: Annotated[Text, Field(description="The reason, for readers of the report.")]


class TablePart(Part):
    """One table: where its files are, and what is known of it."""

    name: Annotated[TableName, Field(description="Its name in queries.")]
    files: Annotated[
        Text | Annotated[tuple[Text, ...], Field(min_length=1, strict=False)],
        Field(
            description="Paths or globs (`raw/part-*.fits`), relative to release.toml; thousands of files "
            "may make one table. `package:NAME/path` is a file inside an installed Python package."
        ),
    ]
    format: Annotated[
        Format | None, Field(description="Their format, when name and first bytes do not tell it.")
    ] = None
    inside: Annotated[
        str | int | None,
        Field(description="HDU, HDF5 path, SQLite table or SELECT, or VOTable table inside the file."),
    ] = None
    delimiter: Annotated[
        str | None, Field(description="What separates the fields of a text file.", min_length=1, max_length=1)
    ] = None
    comment: Annotated[
        str | None,
        Field(
            description="What begins a line to skip in a text file (# is found); empty: no row is a comment.",
            max_length=4,
        ),
    ] = None
    header: Annotated[bool, Field(description="Whether a text file's first line names the columns.")] = True
    fixed: Annotated[
        tuple[FixedPart, ...], Field(description="The columns of a fixed-width text file.", strict=False)
    ] = ()
    records: Annotated[
        dict[str, str],
        Field(
            description="The fields of a file of binary records, in order: name and NumPy type, "
            '`source_id = "<i8"`.'
        ),
    ] = Field(default_factory=dict)
    skip_bytes: Annotated[int, Field(description="Length of a binary record file's header.", ge=0)] = 0
    description: Annotated[str | None, Field(description="What a row is, and what a reader must know.")] = (
        None
    )
    identifier: Annotated[
        ColumnName | None, Field(description="The column that names a row; duplicates are reported.")
    ] = None
    position: Annotated[
        PositionPart | Literal[False] | None,
        Field(description="The sky position; looked for when left out, `false` when there is none."),
    ] = None
    columns: Annotated[
        dict[ColumnName, ColumnPart],
        Field(description="What is known of the columns, by published name."),
    ] = Field(default_factory=dict)
    only_listed: Annotated[
        bool, Field(description="Publish only the columns listed under `columns`, in that order.")
    ] = False
    nulls: Annotated[
        tuple[str, ...],
        Field(description="Texts that mean “missing” in every column of a text file.", strict=False),
    ] = ()
    leave_out: Annotated[
        tuple[LeaveOutPart, ...], Field(description="Rows to leave out, each with its reason.", strict=False)
    ] = ()
    notes: Annotated[
        tuple[Text, ...],
        Field(description="Sentences that every reader of the table must see.", strict=False),
    ] = ()

    @field_validator("records")
    @classmethod
    def _known_types(cls, value: dict[str, str]) -> dict[str, str]:
        for name, kind in value.items():
            if not RECORD_TYPE.match(kind):
                raise ValueError(f"{name}: {kind!r} is not a NumPy type; expected <i4, <i8, <f4, <f8, S12 …")
        return value

    @model_validator(mode="after")
    def _fits_its_format(self) -> TablePart:
        if self.fixed and self.format not in (None, "fixed"):
            raise ValueError(f'has fixed columns, but format is "{self.format}"; expected "fixed"')
        if self.format == "fixed" and not self.fixed:
            raise ValueError(
                "is fixed-width text without fixed columns; expected fixed = [{ name, bytes }, …]"
            )
        if self.records and self.format not in (None, "records"):
            raise ValueError(f'has records, but format is "{self.format}"; expected "records"')
        if self.format == "records" and not self.records:
            raise ValueError('is a record file without records; expected records = { name = "<f4", … }')
        if self.skip_bytes and not self.records:
            raise ValueError("has skip_bytes, which is for binary record files only")
        seen: dict[str, str] = {}
        for name in self.columns:
            if name.lower() in seen:
                raise ValueError(
                    f"has columns {seen[name.lower()]} and {name}, which queries cannot tell apart"
                )
            seen[name.lower()] = name
        if self.only_listed and not self.columns:
            raise ValueError("publishes only_listed columns but lists none")
        return self

    def recipe(self) -> TableRecipe:
        """The frozen value."""
        position = self.position
        plain = ("name", "delimiter", "comment", "header", "skip_bytes", "description", "identifier", "nulls")
        return TableRecipe(
            **{k: getattr(self, k) for k in (*plain, "only_listed", "notes")},
            files=(self.files,) if isinstance(self.files, str) else self.files,
            format=self.format or ("fixed" if self.fixed else "records" if self.records else None),
            inside=None if self.inside is None else str(self.inside),
            fixed=tuple(f.recipe() for f in self.fixed),
            records=tuple(self.records.items()),
            position=position.recipe() if isinstance(position, PositionPart) else None,
            no_position=position is False,
            columns=tuple((name, column.recipe()) for name, column in self.columns.items()),
            leave_out=tuple(LeaveOut(r.when, r.because) for r in self.leave_out),
        )


class KeyPart(Part):
    """A foreign key between two tables: rows of `source` name rows of `target`."""

    source: Annotated[str, Field(description="The table whose rows point.")]
    target: Annotated[str, Field(description="The table whose rows are pointed to.")]
    columns: Annotated[
        dict[str, str],
        Field(description='Pairs of columns: `{ object_id = "id" }`.', min_length=1),
    ]
    description: Annotated[str, Field(description="What the link means.")] = ""

    def recipe(self) -> KeyRecipe:
        """The frozen value."""
        return KeyRecipe(self.source, self.target, tuple(self.columns.items()), self.description)


class ReleaseFile(Part):
    """A whole release.toml."""

    release: Annotated[ReleasePart, Field(description="The release itself.")]
    table: Annotated[tuple[TablePart, ...], Field(description="Its tables.", min_length=1, strict=False)]
    key: Annotated[tuple[KeyPart, ...], Field(description="Links between its tables.", strict=False)] = ()

    @model_validator(mode="after")
    def _tables_are_told_apart(self) -> ReleaseFile:
        seen: dict[str, str] = {}
        for table in self.table:
            if table.name.lower() in seen:
                raise ValueError(f"two tables are named {table.name}")
            seen[table.name.lower()] = table.name
        return self
