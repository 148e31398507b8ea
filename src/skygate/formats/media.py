"""The formats in which an answer can leave the house: one description each, chosen by RESPONSEFORMAT.

Must not know: HTTP. A door asks `pick` for the format and `write` for its bytes.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from skygate.domain.query import About
from skygate.errors import BadParameter, NoRoom, Where
from skygate.formats.ahead import ahead
from skygate.ports import Rows

_OUTPUT = "ivo://ivoa.net/std/TAPRegExt#output-"


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an answer.

    `streams` says that bytes flow before the last row is known; the others wait on disk first.
    `ends_with_error` says that a fault after the first byte is told inside the document; the others
    break off, and whoever sends them must cut the connection.
    """

    name: str
    content_type: str
    """What the reply's Content-Type says: the media type that was asked for, else the format's own."""
    extension: str
    description: str
    writer: str
    """`module:function` that writes it, called as `function(rows, about, form=format)`."""
    short_names: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    """Every media type under which it can be asked for, its own first."""
    options: tuple[str, ...] = ()
    """What the writer must know beyond its name (the serialisation, the delimiter)."""
    ivo_id: str | None = None
    """The output format identifier of TAPRegExt 1.0, section 2.4.2."""
    streams: bool = True
    ends_with_error: bool = False
    header: bool = True
    """Whether the text formats begin with a line of column names."""

    @property
    def media_type(self) -> str:
        """The format's own media type."""
        return self.media_types[0]


class _Writer(Protocol):
    def __call__(self, rows: Rows, about: About, *, form: Format) -> Generator[bytes]: ...


def _votable(serialization: str, **more: object) -> Format:
    kept = replace(
        Format(
            name="votable",
            content_type="",
            extension="vot",
            description=f"VOTable 1.4, {serialization} serialization",
            writer="skygate.formats.votable:write",
            options=(serialization,),
            ends_with_error=True,
        ),
        **more,  # type: ignore[arg-type]
    )
    return replace(kept, content_type=kept.media_types[0])


FORMATS: tuple[Format, ...] = (
    _votable(
        "BINARY2",
        short_names=("votable", "votable/b2", "votableb2"),
        media_types=("application/x-votable+xml", "application/x-votable+xml;serialization=BINARY2"),
        ivo_id=f"{_OUTPUT}votable-binary2",
    ),
    _votable(
        "TABLEDATA",
        name="votable/td",
        short_names=("votable/td", "votabletd"),
        media_types=("application/x-votable+xml;serialization=TABLEDATA", "text/xml", "application/xml"),
        ivo_id=f"{_OUTPUT}votable-td",
    ),
    _votable(
        "BINARY",
        name="votable/b",
        short_names=("votable/b", "votableb"),
        media_types=("application/x-votable+xml;serialization=BINARY",),
        ivo_id=f"{_OUTPUT}votable-binary",
    ),
    Format(
        name="csv",
        content_type="text/csv;header=present;charset=utf-8",
        extension="csv",
        description="comma-separated values with a line of names",
        writer="skygate.formats.text:write_delimited",
        short_names=("csv",),
        media_types=("text/csv;header=present", "text/csv"),
        options=(",",),
    ),
    Format(
        name="tsv",
        content_type="text/tab-separated-values;charset=utf-8",
        extension="tsv",
        description="tab-separated values with a line of names",
        writer="skygate.formats.text:write_delimited",
        short_names=("tsv",),
        media_types=("text/tab-separated-values", "text/tab-separated-values;header=present"),
        options=("\t",),
    ),
    Format(
        name="json",
        content_type="application/json",
        extension="json",
        description="one JSON object: metadata, columns, data, rows, overflow",
        writer="skygate.formats.text:write_json",
        short_names=("json",),
        media_types=("application/json",),
    ),
    Format(
        name="arrow",
        content_type="application/vnd.apache.arrow.stream",
        extension="arrows",
        description="Apache Arrow IPC stream",
        writer="skygate.formats.columnar:write_arrow",
        short_names=("arrow", "arrows"),
        media_types=("application/vnd.apache.arrow.stream",),
    ),
    Format(
        name="parquet",
        content_type="application/vnd.apache.parquet",
        extension="parquet",
        description="Apache Parquet with the columns' metadata as a VOTable inside",
        writer="skygate.formats.columnar:write_parquet",
        short_names=("parquet",),
        media_types=("application/vnd.apache.parquet", "application/x-parquet"),
        streams=False,
    ),
    Format(
        name="fits",
        content_type="application/fits",
        extension="fits",
        description="FITS binary table",
        writer="skygate.formats.fits:write",
        short_names=("fits",),
        media_types=("application/fits",),
        streams=False,
    ),
    Format(
        name="hdf5",
        content_type="application/x-hdf5",
        extension="h5",
        description="HDF5 compound table as astropy writes it",
        writer="skygate.formats.hdf5:write",
        short_names=("hdf5", "h5"),
        media_types=("application/x-hdf5", "application/x-hdf"),
        streams=False,
    ),
)
"""Every format; the first is the default."""

EXTENSIONS: dict[str, str] = {f.extension: f.name for f in reversed(FORMATS)} | {
    "xml": "votable/td",
    "votable": "votable",
    "fit": "fits",
    "hdf5": "hdf5",
    "arrow": "arrow",
    "ipc": "arrow",
    "pq": "parquet",
    "parq": "parquet",
}
"""Format name by file name ending (without the dot, lower case)."""


@dataclass(frozen=True, slots=True)
class _MediaType:
    """A media type taken apart: names in lower case, parameters sorted."""

    essence: str
    parameters: dict[str, str] = field(default_factory=dict)


def _media_type(text: str) -> _MediaType:
    """Take a media type apart (RFC 9110, section 8.3.1); type and parameter names ignore case."""
    essence, *rest = (part.strip() for part in text.split(";"))
    pairs = (part.partition("=") for part in rest if part)
    found = {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs}
    return _MediaType(essence.lower(), found)


def pick(responseformat: str | None) -> Format:
    """The format that RESPONSEFORMAT (DALI 1.1, section 3.4.3) asks for; raises `BadParameter`.

    A short name gives the format's own Content-Type; a media type comes back as it was asked.
    """
    asked = (responseformat or "").strip()
    if not asked:
        return FORMATS[0]
    short = asked.lower()
    for form in FORMATS:
        if short in form.short_names:
            return form
    wanted = _media_type(asked)
    header = wanted.parameters.pop("header", "present")
    charset = wanted.parameters.pop("charset", "utf-8")
    for form in FORMATS:
        known = [_media_type(m) for m in form.media_types]
        for candidate in known:
            candidate.parameters.pop("header", None)
        if wanted not in known or charset not in ("utf-8", "utf8", "us-ascii"):
            continue
        if header == "present" or (header == "absent" and form.name in ("csv", "tsv")):
            return replace(form, content_type=_safe(asked), header=header == "present")
    raise BadParameter(
        f"no such output format: {asked[:200]!r}",
        hint="there are " + ", ".join(f"{f.short_names[0]} ({f.media_types[0]})" for f in FORMATS),
        where=Where(name="RESPONSEFORMAT", token=asked[:200]),
    )


def _safe(media_type: str) -> str:
    """The media type without what must not stand in a header line."""
    return "".join(c for c in media_type if " " <= c <= "~")


def of_extension(extension: str) -> Format:
    """The format of a file name ending (with or without its dot); raises `BadParameter`."""
    name = EXTENSIONS.get(extension.lower().lstrip("."))
    if name is None:
        endings = ", ".join(f".{f.extension}" for f in FORMATS if f.name == EXTENSIONS[f.extension])
        raise BadParameter(f"no format is known for files ending in {extension!r}", hint=f"known: {endings}")
    return pick(name)


def write(form: Format, rows: Rows, about: About) -> Iterator[bytes]:
    """The answer's bytes, in chunks. Closes `rows` at the end, whatever happens.

    What goes wrong before the first byte is raised by the first `next()`: a door calls it before it
    answers. Afterwards VOTable ends well-formed with QUERY_STATUS=ERROR, the others raise.
    """
    module, function = form.writer.split(":")
    writer = cast("_Writer", getattr(importlib.import_module(module), function))
    try:
        yield from ahead(writer(rows, about, form=form), stop=rows.close)
    except OSError as fault:  # of a temporary file: rows raise errors of ours
        fault.filename = fault.filename or tempfile.gettempdir()
        raise NoRoom(
            "the service has no room left to write this file", hint="try again later", retry_after_s=60
        ) from fault
    finally:
        rows.close()
