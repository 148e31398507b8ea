"""ECSV: delimited text whose YAML header gives types, units and descriptions (APE 6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import yaml

from skygate.domain.catalog import Column, Datatype
from skygate.release.compute import pc
from skygate.release.findings import Finding
from skygate.release.read.compression import first_bytes
from skygate.release.read.delimited import (
    Field,
    convert_texts,
    nulls_of,
    raw_batches,
)
from skygate.release.read.lines import HEAD_BYTES, Head, decode, physical_lines, sniff, split_line
from skygate.release.read.numeric import cannot_hold, raw_column
from skygate.release.read.rows_of_bytes import Seen
from skygate.release.read.source import Source, changes_in, fault, is_wanted, rebatch, with_changes
from skygate.release.read.text_findings import of_lines
from skygate.release.read.text_values import ARROW, Kind
from skygate.release.recipe import TableRecipe

_TYPES: dict[str, tuple[Kind, pa.DataType]] = {
    "bool": (Kind.BOOLEAN, pa.bool_()),
    "int8": (Kind.INTEGER, pa.int8()),
    "uint8": (Kind.INTEGER, pa.uint8()),
    "int16": (Kind.INTEGER, pa.int16()),
    "uint16": (Kind.INTEGER, pa.uint16()),
    "int32": (Kind.INTEGER, pa.int32()),
    "uint32": (Kind.INTEGER, pa.uint32()),
    "int64": (Kind.INTEGER, pa.int64()),
    "uint64": (Kind.TEXT, pa.uint64()),
    "float16": (Kind.REAL, pa.float32()),
    "float32": (Kind.REAL, pa.float32()),
    "float64": (Kind.REAL, pa.float64()),
    "float128": (Kind.REAL, pa.float64()),
    "string": (Kind.TEXT, pa.string()),
    "str": (Kind.TEXT, pa.string()),
}


class _Loader(yaml.SafeLoader):
    """YAML with astropy's tags read as plain values."""


def _plain(loader: Any, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _plain)
_Loader.add_multi_constructor("tag:", _plain)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the header says of one column, and how it is converted: texts as `field`, then to `type`."""

    field: Field
    type: pa.DataType
    column: Column
    shape: str | None
    """`subtype` of an array column."""


def header_values(lines: Sequence[str]) -> Mapping[str, Any]:
    """The YAML header as plain values; raises ValueError where it is none."""
    try:
        # A safe loader: tags make plain values only.
        found = yaml.load("\n".join(lines), Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(f"its YAML header cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise ValueError("its YAML header is no mapping")  # noqa: TRY004
    return cast(Mapping[str, Any], found)


def column_headers(lines: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What a YAML header says of each column by name; nothing where it cannot be read."""
    try:
        listed = header_values(lines).get("datatype", [])
    except ValueError:
        return {}
    return {str(c["name"]): c for c in listed if isinstance(c, dict) and "name" in c}


def open_ecsv(path: Path, recipe: TableRecipe) -> Source:
    """An ECSV file; raises `BadRelease` where the header or a value is not what it says."""
    rough = sniff(path, delimiter=recipe.delimiter, comment="#", header=False)
    if not any(n.startswith("%ECSV") for n in rough.notes):
        raise fault(path, "does not begin with # %ECSV", hint='say format = "csv" in release.toml')
    lines = _yaml_lines(path, rough)
    try:
        values = header_values(lines)
        listed = column_headers(lines)
    except ValueError as error:
        raise fault(path, str(error), line=2) from error
    delimiter = recipe.delimiter or str(values.get("delimiter", " "))
    names = _names(path, rough, delimiter)
    if not listed or list(listed) != names:
        raise fault(
            path,
            "its header's columns are not the ones of its first line: "
            + ", ".join(sorted(set(listed) ^ set(names))[:5]),
            line=rough.skip_lines + 1,
        )
    head = Head(delimiter, tuple(names), rough.skip_lines + 1, "#", rough.encoding)
    told = [_told(path, recipe, name, listed[name]) for name in names]
    fields = tuple(t.field for t in told)
    kept = [n for n, t in enumerate(told) if is_wanted(recipe, t.field.name)]
    schema = pa.schema([pa.field(told[n].field.name, told[n].type) for n in kept])
    text_schema = pa.schema([pa.field(f.name, ARROW[f.kind]) for f in fields])

    findings: list[Finding] = []

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        before, seen = 0, Seen()
        for block in raw_batches(path, head, seen):
            for raw in rebatch(block, max_rows):
                batch = convert_texts(path, raw, fields, text_schema, rows_before=before)
                arrays = [_typed(path, told[n], batch.column(n), before) for n in kept]
                yield pa.record_batch(arrays, schema=with_changes(schema, changes_in(batch)))
                before += batch.num_rows
        findings[:] = of_lines(path, head.comment, seen)

    columns = tuple(told[n].column for n in kept)
    return Source(columns, schema, read, None, _metadata(values), findings=findings)


def _yaml_lines(path: Path, head: Head) -> list[str]:
    """The header's lines with their indentation, which `Head.notes` has lost."""
    text, _ = decode(path, first_bytes(path, HEAD_BYTES))
    lines = physical_lines(text)[: head.skip_lines]
    return [line[2:] for line in lines if line.startswith("# ") and not line.startswith("# %")]


def _names(path: Path, head: Head, delimiter: str) -> list[str]:
    lines = physical_lines(decode(path, first_bytes(path, HEAD_BYTES))[0])
    return split_line(lines[head.skip_lines], delimiter) if head.skip_lines < len(lines) else []


def _told(path: Path, recipe: TableRecipe, name: str, header: Mapping[str, Any]) -> _Told:
    datatype, subtype = str(header.get("datatype", "string")), header.get("subtype")
    if datatype.startswith("complex"):
        if is_wanted(recipe, name):
            raise cannot_hold(path, name, TypeError("complex numbers"))
        datatype = "string"
    if datatype not in _TYPES:
        raise fault(path, f"column {name}: unknown datatype {datatype!r}")
    kind, arrow = _TYPES[datatype]
    known: dict[str, Any] = {
        "unit": str(header["unit"]) if header.get("unit") else None,
        "description": str(header.get("description", "")),
    }
    meta = header.get("meta")
    if isinstance(meta, dict):
        known["ucd"] = cast(dict[str, Any], meta).get("ucd")
        known["utype"] = cast(dict[str, Any], meta).get("utype")
    shape = str(subtype) if subtype else None
    arraysize = None
    if shape is not None:
        arrow, arraysize = _array_type(shape)
    field = Field(name, kind if shape is None else Kind.TEXT, nulls_of(recipe, name))
    column = raw_column(pa.field(name, arrow), **known)
    if arraysize:
        column = replace(column, arraysize=arraysize)
    why = f"ECSV datatype {datatype}" + (f", subtype {shape}" if shape else "")
    evidence = dict(column.inferred) if pa.types.is_uint64(arrow) else {"datatype": why}
    if column.datatype is Datatype.CHAR and not column.xtype:
        column = replace(column, datatype=Datatype.UNICODE)
    return _Told(field, arrow, replace(column, inferred=evidence), shape)


def _array_type(shape: str) -> tuple[pa.DataType, str | None]:
    """(Arrow type, arraysize) of a subtype such as `float64[2,3]` or `int64[null]`; other JSON stays text."""
    item, bracket, size = shape.partition("[")
    if not bracket or item not in _TYPES or item in ("string", "str"):
        return pa.string(), None
    sizes = size.rstrip("]").split(",")
    base = pa.int64() if item == "uint64" else _TYPES[item][1]
    if any(not s.strip().isdigit() for s in sizes):
        return pa.list_(base), "*"
    total = 1
    for part in sizes:
        total *= int(part)
    return pa.list_(base, total), "x".join(s.strip() for s in reversed(sizes))


def _typed(path: Path, told: _Told, values: pa.Array, before: int) -> pa.Array:
    """The narrow type that the header gives; raises `BadRelease` naming column and row."""
    if told.shape is not None and not pa.types.is_string(told.type):
        return _lists(path, told, values, before)
    if values.type == told.type:
        return values
    try:
        if pa.types.is_float32(told.type):
            return pc.cast(values, told.type, safe=False)
        return pc.cast(values, told.type)
    except pa.ArrowInvalid as error:
        said = str(error).splitlines()[0]
        raise fault(path, f"column {told.field.name}, after row {before}: {said}") from error


def _lists(path: Path, told: _Told, values: pa.Array, before: int) -> pa.Array:
    flatten: Callable[[Any], list[Any]] = lambda v: (  # noqa: E731
        [x for item in v for x in flatten(item)] if isinstance(v, list) else [v]
    )
    rows: list[Any] = []
    texts: list[str | None] = values.to_pylist()
    for number, text in enumerate(texts):
        if text is None:
            rows.append(None)
            continue
        try:
            rows.append(flatten(json.loads(text)))
        except ValueError as error:
            where = f"column {told.field.name}, row {before + number + 1}"
            raise fault(path, f"{where}: {text[:60]!r} is no JSON array", token=text[:60]) from error
    try:
        return pa.array(rows, told.type)
    except (pa.ArrowException, TypeError) as error:
        raise fault(path, f"column {told.field.name}, after row {before}: {error}") from error


def _metadata(values: Mapping[str, Any]) -> dict[str, str]:
    meta = values.get("meta")
    if isinstance(meta, list):
        merged: dict[str, Any] = {}
        for item in cast(list[Any], meta):
            if isinstance(item, dict):
                merged.update(cast(dict[str, Any], item))
            elif isinstance(item, tuple):  # an ordered mapping (!!omap)
                key, value = cast(tuple[Any, Any], item)
                merged[str(key)] = value
        meta = merged
    if not isinstance(meta, dict):
        return {}
    plain = {str(k).lower(): v for k, v in cast(dict[str, Any], meta).items()}
    out: dict[str, str] = {}
    for key, names in (("name", ("name", "extname")), ("description", ("description", "comments", "title"))):
        for name in names:
            value = plain.get(name)
            if value and key not in out:
                out[key] = (
                    " ".join(map(str, cast(list[Any], value))) if isinstance(value, list) else str(value)
                )
    for name, mixin in _mappings(plain.get("__serialized_columns__")):
        frame = mixin.get("frame")
        for _, part in _mappings(mixin) if isinstance(frame, str) else ():
            value = part.get("value")
            held = (value if isinstance(value, dict) else part).get("name")
            if isinstance(held, str) and held.startswith(f"{name}."):
                out[f"frame:{held}"] = str(frame)
                equinox = _year(mixin.get("equinox"))
                if equinox:
                    out[f"equinox:{held}"] = equinox
    return out


def _year(time: Any) -> str | None:
    """A serialised time as a Besselian or Julian year, such as B1950 (SOFA's definitions of both)."""
    said = cast(dict[str, Any], time) if isinstance(time, dict) else {}
    days = sum(float(said[k]) for k in ("jd1", "jd2") if isinstance(said.get(k), int | float))
    if not days:
        return None
    if str(said.get("format", "")).startswith("byear"):
        return f"B{1900.0 + (days - 2415020.31352) / 365.242198781:.6g}"
    return f"J{2000.0 + (days - 2451545.0) / 365.25:.6g}"


def _mappings(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """The members of a mapping that are mappings themselves."""
    if not isinstance(value, dict):
        return []
    members = cast(dict[str, Any], value)
    return [(str(k), cast(dict[str, Any], v)) for k, v in members.items() if isinstance(v, dict)]
