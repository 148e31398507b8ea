"""VOTable in every serialisation: TABLEDATA, BINARY, BINARY2, FITS; rows are streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
from lxml import etree

from skygate.release.read.compression import seekable, spooled
from skygate.release.read.left_out import left_tables, other_tables, repeated_names
from skygate.release.read.numeric import cannot_hold
from skygate.release.read.source import Source, fault, is_wanted, unique_names
from skygate.release.read.votable_binary import Base64File, binary_rows
from skygate.release.read.votable_fields import Field, field_of, texts_to_array
from skygate.release.read.votable_header import Head, cut_off, read_head
from skygate.release.recipe import TableRecipe


def open_votable(path: Path, recipe: TableRecipe) -> Source:
    """A TABLE of a VOTable: `inside` (ID, name or number from 0), else the first; raises `BadRelease`."""
    plain, free = seekable(path)
    try:
        head = read_head(path, plain, recipe.inside)
        others = other_tables(plain, head.index) if recipe.inside is None else []
        findings = [*left_tables(path, others, "its ID, name or number from 0")]
        _check_serialisation(path, head)
        fields = _fields(path, head, recipe)
        given = [(e.get("name") or e.get("ID") or "").strip() for e in head.table.findall("FIELD")]
        findings += repeated_names(path, given, unique_names(given))
        findings += cut_off(path, plain)
        metadata = _metadata(head, [f for f in fields if f is not None])
        if head.serialisation == "FITS":
            source = _fits_rows(path, plain, head, recipe, metadata, free)
            source.findings.extend(findings)
            return source
        wanted = [f for f in fields if f is not None and is_wanted(recipe, f.name)]
    except BaseException:
        free()
        raise
    schema = pa.schema([pa.field(f.name, f.type) for f in wanted])

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        if head.serialisation == "TABLEDATA":
            return _tabledata(path, plain, head, fields, wanted, max_rows)
        if head.serialisation is None:
            return iter(())
        known = [f for f in fields if f is not None]
        return binary_rows(path, plain, head, known, wanted, max_rows)

    rows = head.table.get("nrows")
    return Source(
        tuple(f.column for f in wanted),
        schema,
        read,
        int(rows) if rows and rows.isdigit() else None,
        metadata,
        free,
        findings,
    )


def _check_serialisation(path: Path, head: Head) -> None:
    if head.stream.get("href"):
        raise fault(path, f"its rows are elsewhere ({head.stream['href']})", hint="publish that file instead")
    if head.serialisation == "PARQUET":
        raise fault(path, "its rows are Parquet", hint="publish the Parquet file itself")


def _fields(path: Path, head: Head, recipe: TableRecipe) -> list[Field | None]:
    """Every FIELD, None for those that cannot be held and need not be (TABLEDATA only)."""
    elements = head.table.findall("FIELD")
    names = unique_names([(e.get("name") or e.get("ID") or "").strip() for e in elements])
    fields: list[Field | None] = []
    for element, name in zip(elements, names, strict=True):
        try:
            fields.append(field_of(element, name))
        except TypeError as error:
            if head.serialisation != "TABLEDATA" or is_wanted(recipe, name):
                raise cannot_hold(path, name, error) from error
            fields.append(None)
        except ValueError as error:
            raise fault(path, f"FIELD {name}: {error}") from error
    if not fields:
        raise fault(path, "its table has no FIELD")
    return fields


def _metadata(head: Head, fields: Sequence[Field]) -> dict[str, str]:
    """Name, description and, for each column with a COOSYS, its frame, equinox and epoch."""
    table = head.table
    out = {
        "name": table.get("name") or "",
        "description": " ".join((table.findtext("DESCRIPTION") or "").split()),
    }
    elements = {(e.get("name") or e.get("ID") or "").strip(): e for e in table.findall("FIELD")}
    for field in fields:
        element = elements.get(field.name)
        frame = head.frames.get(element.get("ref", "")) if element is not None else None
        if frame is None and len(head.frames) == 1:
            frame = next(iter(head.frames.values()))
        if frame is None:
            continue
        for key, attribute in (("frame", "system"), ("equinox", "equinox"), ("epoch", "epoch")):
            if frame.get(attribute):
                out[f"{key}:{field.name}"] = frame[attribute]
    return {k: v for k, v in out.items() if v}


def _tabledata(
    path: Path,
    plain: Path,
    head: Head,
    fields: Sequence[Field | None],
    wanted: Sequence[Field],
    max_rows: int,
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([pa.field(f.name, f.type) for f in wanted])
    rows: list[list[str | None]] = []
    before = 0
    for row in _texts(path, plain, head.index, len(fields)):
        rows.append(row)
        if len(rows) >= max_rows:
            yield _batch(path, rows, fields, wanted, schema, before)
            before += len(rows)
            rows = []
    if rows:
        yield _batch(path, rows, fields, wanted, schema, before)


def _batch(
    path: Path,
    rows: list[list[str | None]],
    fields: Sequence[Field | None],
    wanted: Sequence[Field],
    schema: pa.Schema,
    before: int,
) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True))
    arrays: list[pa.Array] = []
    for number, field in enumerate(fields):
        if field is None or field not in wanted:
            continue
        try:
            arrays.append(texts_to_array(field, columns[number]))
        except (pa.ArrowException, ValueError, OverflowError) as error:
            place, token = _first_bad(field, columns[number])
            raise fault(
                path,
                f"column {field.name}, row {before + place + 1}: {token!r} is no {field.datatype}",
                token=token,
            ) from error
    return pa.record_batch(arrays, schema=schema)


def _first_bad(field: Field, texts: Sequence[str | None]) -> tuple[int, str]:
    for number, text in enumerate(texts):
        try:
            texts_to_array(field, [text])
        except (pa.ArrowException, ValueError, OverflowError):
            return number, (text or "")[:60]
    return 0, ""


def _texts(path: Path, plain: Path, index: int, width: int) -> Iterator[list[str | None]]:
    """The cells of each TR of table number `index`."""
    seen = -1
    try:
        events: Any = etree.iterparse(
            str(plain),
            events=("start", "end"),
            tag=("{*}TABLE", "{*}TR"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
            huge_tree=True,
        )
        for event, element in events:
            if element.tag.endswith("TABLE"):
                if event == "start":
                    seen += 1
                elif seen == index:
                    return
                if event == "end":
                    element.clear()
                continue
            if event == "start":
                continue
            if seen == index:
                yield _cells(path, element, width)
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]
    except etree.XMLSyntaxError as error:
        line, column = error.position
        said = str(error.msg).split(", line")[0]
        raise fault(path, f"is no well-formed XML: {said}", line=line, column=column) from error
    except OSError as error:
        raise fault(path, f"cannot be read: {error}") from error


def _cells(path: Path, row: Any, width: int) -> list[str | None]:
    cells: list[str | None] = []
    for cell in row:
        if cell.get("encoding"):
            raise fault(path, "a TD is encoded, which is not read", line=cell.sourceline)
        cells.append(cell.text)
    if len(cells) != width:
        raise fault(path, f"a row has {len(cells)} cells for {width} FIELDs", line=row.sourceline)
    return cells


def _fits_rows(
    path: Path,
    plain: Path,
    head: Head,
    recipe: TableRecipe,
    metadata: Mapping[str, str],
    free: Callable[[], None],
) -> Source:
    """A FITS file inside the STREAM, with the FIELDs' metadata on its columns."""
    from skygate.release.read.fits import open_fits

    with closing(Base64File(plain, head.offset)) as stream:
        file, remove = spooled(cast(BinaryIO, stream), f"{path.name}.fits")

    def free_all() -> None:
        remove()
        free()

    try:
        inner = open_fits(file, replace(recipe, inside=None))
    except BaseException:
        remove()
        raise
    told = {f.name: f.column for f in _fields(path, head, recipe) if f is not None}
    columns = tuple(
        replace(
            c,
            unit=told[c.name].unit or c.unit,
            ucd=told[c.name].ucd or c.ucd,
            utype=told[c.name].utype or c.utype,
            description=told[c.name].description or c.description,
        )
        if c.name in told
        else c
        for c in inner.columns
    )
    return replace(inner, columns=columns, metadata={**inner.metadata, **metadata}, release=free_all)
