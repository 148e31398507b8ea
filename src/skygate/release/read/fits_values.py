"""The cells of a FITS binary table: TFORM, TDIM, TSCAL, TZERO, TNULL and the heap of variable arrays.

Must not know: files' names, recipes.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from skygate.release.read.numeric import text_array

_CODES = {"L": "S1", "B": ">u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "S1", "E": ">f4", "D": ">f8"}
_UNSIGNED = {("I", 2**15): np.uint16, ("J", 2**31): np.uint32, ("K", 2**63): np.uint64, ("B", -128): np.int8}
_LONG = np.iinfo(np.int64)
_FORM = re.compile(r"^\s*(\d*)\s*([LXBIJKAEDCMPQ])\s*([LXBIJKAEDCM]?)")


@dataclass(frozen=True, slots=True)
class Cell:
    """One column: `repeat` elements of `code` at byte `offset` of a row; `heap` P or Q for variable arrays.

    `shape` is in NumPy's order (TDIM reversed); empty for single values.
    """

    name: str
    number: int
    offset: int
    width: int
    form: str
    code: str
    repeat: int
    heap: str | None
    shape: tuple[int, ...]
    scale: float
    zero: float
    """Both are of type int where they are whole numbers."""
    null: int | None


def cell_of(name: str, number: int, offset: int, header: Any) -> Cell:
    """Column `number` of a table; raises ValueError for formats that are none."""
    form = str(header.get(f"TFORM{number}", "")).strip()
    match = _FORM.match(form)
    if match is None:
        raise ValueError(f"TFORM{number} = {form!r} is no format")
    repeat = int(match[1]) if match[1] else 1
    code, heap = match[2], None
    if code in "PQ":
        heap, code = code, match[3] or "B"
        width = repeat * (8 if heap == "P" else 16)
    elif code == "X":
        width = (repeat + 7) // 8
    else:
        width = repeat * {"C": 8, "M": 16}.get(code, 0) or repeat * np.dtype(_CODES.get(code, "u1")).itemsize
    dims = re.findall(r"\d+", str(header.get(f"TDIM{number}", "")))
    shape = tuple(int(d) for d in reversed(dims))
    if heap is not None or not shape or math.prod(shape) > repeat:
        shape = () if repeat == 1 or code == "A" or heap else (repeat,)
    scale, zero = number_of(header.get(f"TSCAL{number}", 1)), number_of(header.get(f"TZERO{number}", 0))
    null = header.get(f"TNULL{number}")
    whole = code in "BIJK" and isinstance(null, int)
    return Cell(
        name, number, offset, width, form, code, repeat, heap, shape, scale, zero, null if whole else None
    )


def number_of(value: Any) -> float:
    """TSCAL or TZERO: an int where it is whole, however it is written; raises ValueError or TypeError."""
    if isinstance(value, int):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def whole_scaling(scale: float, zero: float) -> bool:
    """Whether scaled integers are integers."""
    return all(isinstance(n, int) and abs(n) <= 2**63 for n in (scale, zero))


def scaled_integers(
    name: str, values: np.ndarray[Any, Any], scale: int, zero: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Integers, scaled exactly; raises ValueError where one is beyond 64 bits."""
    if not len(values):
        return values.astype(np.int64)
    ends = [int(end) * scale + zero for end in (values.min(), values.max())]
    if min(ends) < _LONG.min or max(ends) > _LONG.max:
        odd = min(ends) if min(ends) < _LONG.min else max(ends)
        raise ValueError(
            f"column {name}: {odd} (TSCAL and TZERO applied) is beyond the 64-bit integers; "
            "write the column as TFORM D, or leave it out with drop = true"
        )
    # Steps between may leave 64 bits, which wraps around and comes back: the ends are within them.
    wrapped = values.astype(np.int64).view(np.uint64) * np.uint64(scale % 2**64) + np.uint64(zero % 2**64)
    return wrapped.view(np.int64)


def field_type(cell: Cell) -> pa.DataType:
    """The Arrow type of the column; raises TypeError for what no column can hold (complex numbers)."""
    if cell.code in "CM":
        raise TypeError("complex numbers")
    if cell.code == "A":
        return pa.string()
    item = _item_type(cell)
    if cell.heap:
        return pa.list_(item)
    size = math.prod(cell.shape) if cell.shape else cell.repeat
    if cell.repeat == 0:
        return pa.string()
    return pa.list_(item, size) if cell.shape or cell.repeat > 1 else item


def _item_type(cell: Cell) -> pa.DataType:
    if cell.code in "LX":
        return pa.bool_()
    unsigned = _unsigned(cell)
    if unsigned is not None:
        return pa.from_numpy_dtype(unsigned)
    if _scaled(cell):
        return pa.int64() if _whole(cell) else pa.float64()
    return pa.from_numpy_dtype(np.dtype(_CODES[cell.code]).newbyteorder("="))


def _scaled(cell: Cell) -> bool:
    return cell.code not in "LXA" and (cell.scale != 1 or cell.zero != 0)


def _whole(cell: Cell) -> bool:
    return cell.code in "BIJK" and whole_scaling(cell.scale, cell.zero)


def _unsigned(cell: Cell) -> np.dtype[Any] | None:
    if cell.scale != 1 or not _whole(cell):
        return None
    kind = _UNSIGNED.get((cell.code, int(cell.zero)))
    return None if kind is None else np.dtype(kind)


def read_cells(cell: Cell, block: np.ndarray[Any, Any], file: BinaryIO, heap: int) -> pa.Array:
    """The column's values in a block of rows (bytes); `heap` is where the file's heap starts."""
    rows = len(block)
    if cell.repeat == 0:
        return pa.nulls(rows, pa.string())
    raw = np.ascontiguousarray(block[:, cell.offset : cell.offset + cell.width])
    if cell.heap:
        return _variable(cell, raw, file, heap)
    if cell.code == "A":
        return _texts(cell, raw)
    size = math.prod(cell.shape) if cell.shape else cell.repeat
    if cell.code == "X":
        flat = np.unpackbits(raw, axis=1)[:, :size].reshape(-1).astype(np.bool_)
        items = pa.array(flat)
    else:
        kind = np.dtype(_CODES[cell.code])
        items = _items(cell, raw.view(kind)[:, :size].reshape(-1))
    if not cell.shape and cell.repeat == 1:
        return items
    return pa.FixedSizeListArray.from_arrays(items, size)


def _items(cell: Cell, values: np.ndarray[Any, Any]) -> pa.Array:
    """Flat elements: scaled, nulls where TNULL or NaN says so."""
    if cell.code == "L":
        letters = values.view(np.uint8)
        known = (letters == ord("T")) | (letters == ord("F"))
        if not known.all() and not np.isin(letters[~known], (0, 32)).all():
            raise ValueError(f"column {cell.name}: a logical value is neither T nor F")
        return pa.array(letters == ord("T"), mask=~known)
    mask = None
    if cell.null is not None:
        mask = values == cell.null
        mask = mask if mask.any() else None
    native = values.astype(values.dtype.newbyteorder("="))
    unsigned = _unsigned(cell)
    if unsigned is not None:
        # Flipping the top bit adds or subtracts the offset without overflow.
        width = native.dtype.itemsize
        top = np.array(1, f"u{width}") << np.array(8 * width - 1, f"u{width}")
        native = (native.view(f"u{width}") ^ top).view(unsigned)
    elif _scaled(cell) and _whole(cell):
        # What stands for null is not scaled: it may lie at the end of the type.
        kept = native if mask is None else np.where(mask, 0, native)
        native = scaled_integers(cell.name, kept, int(cell.scale), int(cell.zero))
    elif _scaled(cell):
        native = native.astype(np.float64) * cell.scale + float(cell.zero)
    if native.dtype.kind == "f":
        scalar = not cell.shape and cell.repeat == 1 and cell.heap is None
        return pa.array(native, mask=mask, from_pandas=scalar)
    return pa.array(native, mask=mask)


def _texts(cell: Cell, raw: np.ndarray[Any, Any]) -> pa.Array:
    """Texts; arrays of texts (TDIM) as one JSON text."""
    if len(cell.shape) < 2:
        return text_array(raw.reshape(-1).view(f"S{cell.width}"))
    length = cell.shape[-1]
    flat = text_array(raw.reshape(-1).view(f"S{length}")).to_pylist()
    count = cell.width // length
    lists = [flat[n : n + count] for n in range(0, len(flat), count)]
    return pa.array([json.dumps([t or "" for t in texts]) for texts in lists], pa.string())


def _variable(cell: Cell, raw: np.ndarray[Any, Any], file: BinaryIO, heap: int) -> pa.Array:
    """Variable arrays: (number of elements, offset in the heap) in each row."""
    pairs = raw.view(">i4" if cell.heap == "P" else ">i8").reshape(len(raw), -1)[:, :2].astype(np.int64)
    counts, starts = pairs[:, 0], pairs[:, 1]
    if (counts < 0).any() or (starts < 0).any():
        raise ValueError(f"column {cell.name}: a variable array has a negative size or place")
    bits = cell.code == "X"
    itemsize = 1 if bits else np.dtype(_CODES[cell.code]).itemsize
    sizes = (counts + 7) // 8 if bits else counts * itemsize
    pieces: list[bytes] = []
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        if not size:
            pieces.append(b"")
            continue
        file.seek(heap + start)
        piece = file.read(size)
        if len(piece) != size:
            raise ValueError(f"column {cell.name}: a variable array lies beyond the file's end")
        pieces.append(piece)
    if cell.code == "A":
        longest = max((len(p) for p in pieces), default=0) or 1
        return text_array(np.array(pieces, dtype=f"S{longest}"))
    if bits:
        rows = [np.unpackbits(np.frombuffer(p, np.uint8))[:n] for p, n in zip(pieces, counts, strict=True)]
        items = pa.array(np.concatenate(rows).astype(np.bool_) if rows else np.zeros(0, np.bool_))
    else:
        items = _items(cell, np.frombuffer(b"".join(pieces), np.dtype(_CODES[cell.code])))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)
