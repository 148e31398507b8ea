"""HDF5: compound datasets (astropy, PyTables, pandas tables), and groups with one dataset for each column.

Nothing in the file is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.release.findings import Finding
from skygate.release.read.compression import seekable
from skygate.release.read.ecsv import column_headers
from skygate.release.read.hdf5_pandas import (
    as_told,
    below_microseconds,
    refuse_pickled,
    refuse_where_fixed,
    told_type,
)
from skygate.release.read.numeric import cannot_hold, numpy_to_arrow, raw_column
from skygate.release.read.source import Source, fault, is_wanted, text_of, unreadable, with_changes
from skygate.release.recipe import TableRecipe

_DAMAGED = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What HDF5's library raises for damaged files."""
_CONVENTIONS = ("scale_factor", "add_offset", "_FillValue", "missing_value")
_SHOWN_LABELS = 8
_YAML = ".__table_column_meta__"
_PARTS = ("_i_table", "_data_bin", "__table_column_meta__")
"""Children that PyTables and astropy add for themselves."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One column: a dataset, or a field of a compound dataset; `mask` is a dataset that is true for nulls."""

    name: str
    dataset: str
    member: str | None
    known: Mapping[str, Any]
    mask: str | None = None
    told: pa.DataType | None = None
    """What pandas says that stored integers are."""


def open_hdf5(path: Path, recipe: TableRecipe) -> Source:
    """A table of an HDF5 file at `inside` (the only one where that is not given); raises `BadRelease`."""
    plain, free = seekable(path)
    try:
        with h5py.File(plain, "r") as file:
            return _open(path, plain, file, recipe, free)
    except _DAMAGED as error:
        free()
        raise unreadable(path, error, what="HDF5") from error
    except BaseException:
        free()
        raise


def _open(path: Path, plain: Path, file: h5py.File, recipe: TableRecipe, free: Callable[[], None]) -> Source:
    place = _place(path, file, recipe.inside)
    node: Any = file[place]
    refuse_pickled(path, node)
    items = _compound(file, place, node) if isinstance(node, h5py.Dataset) else _group(path, place, node)
    items = [i for i in items if is_wanted(recipe, i.name)]
    columns: list[Column] = []
    fields: list[pa.Field] = []
    for item in items:
        try:
            kind = _values(file, item, 0, 0).type
        except TypeError as error:
            raise cannot_hold(path, item.name, error) from error
        field = pa.field(item.name, pa.string() if pa.types.is_null(kind) else kind)
        dataset: Any = file[item.dataset]
        shape = dataset.dtype[item.member].shape if item.member else dataset.shape[1:]
        column = raw_column(field, shape=shape, **item.known)
        columns.append(replace(column, inferred={**column.inferred} or {"datatype": "file"}))
        fields.append(field)
    first: Any = file[items[0].dataset] if items else None
    rows = 0 if first is None else int(first.shape[0])
    schema = pa.schema(fields)

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        try:
            with h5py.File(plain, "r") as reading:
                for first in range(0, rows, max_rows):
                    last = min(first + max_rows, rows)
                    changes: dict[str, tuple[str, int]] = {}
                    arrays = _block(reading, items, first, last, changes)
                    yield pa.record_batch(arrays, schema=with_changes(schema, changes))
        except _DAMAGED as error:
            raise unreadable(path, error, what="HDF5") from error

    titles = [node.attrs.get(n) for n in ("description", "TITLE")]
    said = next((text_of(t) for t in titles if isinstance(t, (str, bytes, np.bytes_)) and t), "")
    told = {"description": said} if said else {}
    findings = [*_of_conventions(path, file, items)]
    return Source(tuple(columns), schema, read, rows, told, free, findings)


def _of_conventions(path: Path, file: h5py.File, items: Sequence[_Item]) -> Iterator[Finding]:
    """Attributes that change what a dataset's numbers mean, and are not followed."""
    for item in items:
        dataset: Any = file[item.dataset]
        found = [n for n in _CONVENTIONS if item.member is None and n in dataset.attrs]
        if found:
            yield Finding(
                "warning",
                "attributes_not_followed",
                f"{path.name}: {item.name} has {', '.join(found)}, which are not followed",
                "`nulls` and `derive` in release.toml say what the numbers mean",
                column=item.name,
            )
        labels = h5py.check_enum_dtype(dataset.dtype if item.member is None else dataset.dtype[item.member])
        if labels and set(labels) != {"FALSE", "TRUE"}:
            shown = ", ".join(f"{number} {label}" for label, number in list(labels.items())[:_SHOWN_LABELS])
            yield Finding(
                "warning",
                "labels_left_out",
                f"{path.name}: the numbers of {item.name} have labels ({shown}); the numbers are published",
                "say what they mean in the column's description",
                column=item.name,
            )


def _place(path: Path, file: Any, inside: str | None) -> str:
    if inside is not None:
        if inside not in file:
            raise fault(path, f"has nothing at {inside!r}", hint="its tables are at " + _listed(file))
        node: Any = file[inside]
        if isinstance(node, h5py.Group) and isinstance(node.get("table"), h5py.Dataset):
            return f"{inside.rstrip('/')}/table"
        return inside
    found = _tables(file)
    if len(found) != 1:
        if not found:
            refuse_where_fixed(path, file)
        said = "holds no table" if not found else "holds several tables"
        raise fault(path, said, hint="give `inside`: one of " + _listed(file) if found else None)
    return found[0]


def _listed(file: h5py.File) -> str:
    return ", ".join(_tables(file)[:20]) or "(none)"


def _tables(file: h5py.File) -> list[str]:
    """Where tables are: one-dimensional compound datasets, and groups of equally long datasets."""
    found: list[str] = []

    def visit(name: str, node: Any) -> None:
        if any(part in name for part in _PARTS) or any(name.startswith(f"{f}/") for f in found):
            return
        if isinstance(node, h5py.Dataset):
            hit = bool(node.dtype.names) and len(node.shape) == 1
        else:
            hit = isinstance(node, h5py.Group) and _is_group(node)
        if hit:
            found.append(name)

    if _is_group(file):
        return ["/"]
    file.visititems(visit)
    return found


def _members(group: Any) -> dict[str, Any]:
    """Datasets by column name: direct children, or children that are groups with `data` (vaex)."""
    out: dict[str, Any] = {}
    for name, node in group.items():
        if isinstance(node, h5py.Group) and isinstance(node.get("data"), h5py.Dataset):
            node = node["data"]
        if isinstance(node, h5py.Dataset) and not node.dtype.names and node.shape:
            out[name] = node
    return out


def _is_group(group: Any) -> bool:
    members = [d for n, d in _members(group).items() if not n.endswith(_YAML)]
    return bool(members) and len({d.shape[0] for d in members}) == 1


def _group(path: Path, place: str, group: Any) -> list[_Item]:
    members = _members(group)
    lengths = {name: d.shape[0] for name, d in members.items()}
    if not members or len(set(lengths.values())) != 1:
        shown = ", ".join(f"{n} {length}" for n, length in list(lengths.items())[:10])
        raise fault(path, f"{place} is no table: its datasets are not equally long ({shown})")
    items: list[_Item] = []
    for name, dataset in members.items():
        mask = dataset.parent.get("mask") if dataset.parent.name != group.name else None
        masked = mask.name if isinstance(mask, h5py.Dataset) else None
        holder = dataset.parent if dataset.parent.name != group.name else dataset
        known = _known(holder.attrs) | {k: v for k, v in _known(dataset.attrs).items() if v}
        items.append(_Item(name, str(dataset.name), None, known, masked))
    return items


def _known(attributes: Any) -> dict[str, Any]:
    def first(*names: str) -> str | None:
        found = (attributes.get(n) for n in names)
        return next((text_of(v) for v in found if isinstance(v, (str, bytes, np.bytes_)) and v), None)

    return {
        "unit": first("unit", "units", "UNIT", "Units"),
        "ucd": first("ucd", "UCD"),
        "description": first("description", "DESCRIPTION", "comment", "long_name") or "",
    }


def _compound(file: h5py.File, place: str, dataset: h5py.Dataset) -> list[_Item]:
    names = dataset.dtype.names or ()
    told = _astropy_headers(file, place)
    items: list[_Item] = []
    masks = {n.removesuffix(".mask"): n for n in names if n.endswith(".mask")}
    for name in names:
        if name in masks.values() and name.removesuffix(".mask") in names:
            continue
        header = told.get(name, {})
        known: dict[str, Any] = {
            "unit": str(header["unit"]) if header.get("unit") else None,
            "description": str(header.get("description", "")),
        }
        number = names.index(name)
        unit = dataset.attrs.get(f"FIELD_{number}_UNIT", dataset.attrs.get(f"FIELD_{number}_ATTR_unit"))
        if known["unit"] is None and isinstance(unit, (str, bytes, np.bytes_)):
            known["unit"] = text_of(unit)
        told_kind = told_type(dataset, name)
        items.append(_Item(name, str(dataset.name), name, known, masks.get(name), told_kind))
    return items


def _astropy_headers(file: Any, place: str) -> dict[str, Mapping[str, Any]]:
    node = file.get(place.rstrip("/") + _YAML)
    if not isinstance(node, h5py.Dataset):
        return {}
    return column_headers([text_of_line(line) for line in node[:]])


def text_of_line(line: Any) -> str:
    """A line of a header with its indentation."""
    return line.decode("utf-8", "replace") if isinstance(line, bytes) else str(line)


def _block(
    file: Any, items: Sequence[_Item], first: int, last: int, changes: dict[str, tuple[str, int]]
) -> list[pa.Array]:
    """The rows of every column; a compound dataset is read once. `changes` takes what was rounded."""
    read: dict[str, Any] = {}
    for item in items:
        if item.member is not None and item.dataset not in read:
            read[item.dataset] = file[item.dataset][first:last]
    for item in items:
        if item.told is not None and item.member is not None:
            count = below_microseconds(read[item.dataset][item.member], item.told)
            if count:
                changes[item.name] = "rounded to microseconds", count
    return [_values(file, item, first, last, block=read.get(item.dataset)) for item in items]


def _values(file: Any, item: _Item, first: int, last: int, *, block: Any = None) -> pa.Array:
    dataset: Any = file[item.dataset]
    if item.member is None:
        values = dataset[first:last]
        mask = file[item.mask][first:last] if item.mask else None
    else:
        whole = dataset[first:last] if block is None else block
        values = whole[item.member]
        mask = whole[item.mask] if item.mask else None
    kind = dataset.dtype if item.member is None else dataset.dtype[item.member]
    array = _to_arrow(values, kind) if item.told is None else as_told(np.asarray(values), item.told)
    if mask is not None and np.any(mask):
        array = pa.array(array.to_pylist(), array.type, mask=np.asarray(mask, dtype=bool))
    return array


def _to_arrow(values: Any, kind: np.dtype[Any]) -> pa.Array:
    if h5py.check_string_dtype(kind) is not None and kind.kind == "O":
        texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in np.ravel(values)]
        return pa.array([t or None for t in texts], pa.string())
    enum = h5py.check_enum_dtype(kind)
    if enum is not None and set(enum) == {"FALSE", "TRUE"}:
        return numpy_to_arrow(np.asarray(values).astype(np.bool_))
    item = h5py.check_vlen_dtype(kind)
    if item is not None:
        arrow = numpy_to_arrow(np.zeros(1, item)).type
        return pa.array([v.tolist() for v in values], pa.list_(arrow))
    return numpy_to_arrow(np.asarray(values))
