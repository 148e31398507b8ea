"""What a JSON request may say: each field once, with its unit, its bounds and a sentence."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from skygate.domain.density import FINEST_SKY, MOST_BINS, AxisAsked, DensityAsked, SkyDensityAsked

_LONGEST_NAME = 500


def _text(value: str) -> str:
    """Refuse what is no text: lone surrogates and control characters other than white space."""
    for at, char in enumerate(value):
        if (
            (char < " " and char not in "\t\n\r")
            or char in "\x7f\ufffe\uffff"
            or "\ud800" <= char <= "\udfff"
        ):
            raise ValueError(f"a character that is no text (U+{ord(char):04X}) at offset {at}")
    return value


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, Field(max_length=_LONGEST_NAME), AfterValidator(_text)]
Maxrec = Annotated[
    int | None,
    Field(ge=0, le=2**63 - 1, description="Most rows of the answer; without it the service's default."),
]
FormatName = Annotated[
    Name,
    Field(
        description="A short name (json, arrow, csv, tsv, votable, parquet, fits, hdf5 …) or a media type."
    ),
]
Columns = Annotated[
    list[Name] | None, Field(max_length=10_000, description="Columns of the table; without it all of them.")
]
RadiusDeg = Annotated[float, Field(ge=0, le=180, description="Radius in degrees.")]
TableName = Annotated[Name, Field(description="Full name of a table, or its bare name where that is unique.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CheckBody(_Body):
    """A query that is to be looked at, not run."""

    query: Annotated[Text, Field(description="ADQL 2.1.")]
    maxrec: Maxrec = None


class QueryBody(CheckBody):
    """A query that is to be run."""

    format: FormatName = "json"


class ConeBody(_Body):
    """A position, a radius, and the table whose rows are wanted."""

    table: TableName
    ra_deg: Annotated[float, Field(ge=-360, le=720, description="Right ascension, ICRS degrees.")]
    dec_deg: Annotated[float, Field(ge=-90, le=90, description="Declination, ICRS degrees.")]
    radius_deg: RadiusDeg
    columns: Columns = None
    maxrec: Maxrec = None
    format: FormatName = "json"


class CrossmatchQuery(_Body):
    """What accompanies the positions of a crossmatch, in the query string."""

    table: TableName
    radius_deg: RadiusDeg
    nearest: Annotated[bool, Field(description="Only the closest row for each position.")] = False
    columns: Columns = None
    maxrec: Maxrec = None
    format: FormatName = "arrow"


class _Counting(_Body):
    table: TableName
    where: Annotated[Text | None, Field(description="An ADQL condition: only rows that meet it.")] = None
    mean: Annotated[
        Text | None, Field(description="An ADQL expression that is averaged over the rows of each bin.")
    ] = None
    format: FormatName = "json"


Bins = Annotated[int, Field(ge=1, le=MOST_BINS, description="Number of bins.")]
End = Annotated[
    float | None, Field(description="Where the bins begin or end; without it the least or greatest value.")
]


class DensityBody(_Counting):
    """Rows to be counted in bins of two values."""

    x: Annotated[Text, Field(description="An ADQL expression: a number of each row.")]
    y: Annotated[Text, Field(description="An ADQL expression: a number of each row.")]
    x_bins: Bins = 512
    y_bins: Bins = 512
    x_low: End = None
    x_high: End = None
    y_low: End = None
    y_high: End = None

    def asked(self) -> DensityAsked:
        """The same in the words of the house."""
        x = AxisAsked(self.x, self.x_bins, self.x_low, self.x_high)
        y = AxisAsked(self.y, self.y_bins, self.y_low, self.y_high)
        return DensityAsked(self.table, x, y, self.where, self.mean)


class SkyDensityBody(_Counting):
    """Rows to be counted in HEALPix cells."""

    order: Annotated[int, Field(ge=0, le=FINEST_SKY, description="HEALPix order; cells are NESTED, ICRS.")]

    def asked(self) -> SkyDensityAsked:
        """The same in the words of the house."""
        return SkyDensityAsked(self.table, self.order, self.where, self.mean)
