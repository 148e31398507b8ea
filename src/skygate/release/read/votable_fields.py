"""FIELDs of a VOTable: their columns, and cells (texts or bytes) as Arrow arrays (VOTable 1.5, section 2)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.release.compute import pc
from skygate.release.read.bytes_text import decoded
from skygate.release.read.numeric import empty_to_null
from skygate.wire import fixed_length

ITEMS: dict[str, tuple[str, Datatype]] = {
    "boolean": ("S1", Datatype.BOOLEAN),
    "bit": ("u1", Datatype.BOOLEAN),
    "unsignedByte": (">u1", Datatype.UNSIGNED_BYTE),
    "short": (">i2", Datatype.SHORT),
    "int": (">i4", Datatype.INT),
    "long": (">i8", Datatype.LONG),
    "char": ("S1", Datatype.CHAR),
    "unicodeChar": (">u2", Datatype.UNICODE),
    "float": (">f4", Datatype.FLOAT),
    "double": (">f8", Datatype.DOUBLE),
}
_TRUE, _FALSE, _UNKNOWN = {"t", "true", "1"}, {"f", "false", "0"}, {"", "?"}


@dataclass(frozen=True, slots=True)
class Field:
    """One FIELD. `length` is the fixed number of elements, None when it varies."""

    name: str
    datatype: str
    arraysize: str | None
    length: int | None
    null: str | None
    column: Column
    type: pa.DataType

    @property
    def null_number(self) -> float | None:
        """The FIELD's null as a number of its datatype (None: it has none, or it is no number)."""
        if self.null is None or not self.column.datatype.is_number:
            return None
        return _number(self.null.strip(), self.datatype)

    @property
    def is_text(self) -> bool:
        """Whether values are character strings."""
        return self.datatype in ("char", "unicodeChar")

    @property
    def is_text_array(self) -> bool:
        """Whether a value is several texts (arraysize such as 8x3)."""
        return self.is_text and "x" in (self.arraysize or "")


@lru_cache(maxsize=1024)
def _number(text: str, datatype: str) -> float | None:
    kind = ITEMS[datatype][1]
    if kind.is_integer:
        for read in (int, lambda t: int(t, 0)):
            with contextlib.suppress(ValueError):
                return read(text)
    try:
        number = float(text)
    except ValueError:
        return None
    if kind.is_integer:
        return int(number) if number.is_integer() else None
    return _rounded(number, datatype)


def _rounded(number: float, datatype: str) -> float:
    """A real as the datatype holds it (a double beyond single precision is infinite); integers stay."""
    if isinstance(number, int):
        return number
    with np.errstate(over="ignore"):
        return float(np.dtype(ITEMS[datatype][0]).type(number))


def field_of(element: Element, name: str) -> Field:
    """The field of a FIELD element; raises TypeError for what no column can hold, ValueError for nonsense."""
    datatype = element.get("datatype", "")
    if datatype in ("floatComplex", "doubleComplex"):
        raise TypeError("complex numbers")
    if datatype not in ITEMS:
        raise ValueError(f"{datatype!r} is no datatype of VOTable")
    arraysize = (element.get("arraysize") or "").strip() or None
    if arraysize == "1":
        arraysize = None
    kind = ITEMS[datatype][1]
    text = kind.is_text
    length = 1 if arraysize is None else fixed_length(arraysize)
    values = element.find("VALUES")
    null = values.get("null") if values is not None else None
    shown = "*" if text else arraysize
    xtype = element.get("xtype")
    column = Column(
        name,
        kind,
        arraysize=shown,
        xtype=None if text and xtype in ("timestamp", "adql:TIMESTAMP") else xtype,
        unit=element.get("unit") or None,
        ucd=element.get("ucd") or None,
        utype=element.get("utype") or None,
        description=" ".join((element.findtext("DESCRIPTION") or "").split()),
        null=null or None,
        inferred={"datatype": f"FIELD datatype {datatype}"},
    )
    return Field(name, datatype, arraysize, length, null, column, _arrow(kind, arraysize, length))


def _arrow(kind: Datatype, arraysize: str | None, length: int | None) -> pa.DataType:
    if kind.is_text:
        return pa.string()
    item = pa.bool_() if kind is Datatype.BOOLEAN else pa.from_numpy_dtype(np.dtype(_code(kind)))
    if arraysize is None:
        return item
    return pa.list_(item) if length is None else pa.list_(item, length)


def _code(kind: Datatype) -> str:
    return next(code for code, k in ITEMS.values() if k is kind).replace(">", "")


def texts_to_array(field: Field, texts: Sequence[str | None]) -> pa.Array:
    """Cells of TABLEDATA; raises `pa.ArrowInvalid` or ValueError where a text is no value."""
    if field.is_text:
        return _known(field, empty_to_null(pa.array(texts, pa.string())))
    if field.arraysize is not None:
        return _text_lists(field, texts)
    if field.column.datatype is Datatype.BOOLEAN:
        return pa.array([_boolean(t) for t in texts], pa.bool_())
    plain = pc.utf8_trim_whitespace(pa.array(texts, pa.string()))
    missing = ["", *([field.null.strip()] if field.null else [])]
    plain = pc.if_else(pc.is_in(plain, value_set=pa.array(missing)), pa.scalar(None, pa.string()), plain)
    if not field.column.datatype.is_real:
        plain = pc.replace_substring_regex(plain, r"^\+", "")
        return declared_to_null(field, pc.cast(pc.cast(plain, pa.int64()), field.type))
    values = pc.cast(pc.cast(plain, pa.float64()), field.type, safe=False)
    return declared_to_null(field, nan_to_null(values))


def _known(field: Field, texts: pa.Array) -> pa.Array:
    """Texts, null where they are the FIELD's null."""
    if not field.null:
        return texts
    return pc.if_else(pc.equal(texts, field.null), pa.scalar(None, pa.string()), texts)


def declared_to_null(field: Field, values: pa.Array) -> pa.Array:
    """Numbers, null where they equal the FIELD's null as numbers: -99.0 is -99."""
    null = field.null_number
    if null is None or not _fits(null, values.type):
        return values
    return pc.if_else(pc.equal(values, pa.scalar(null, values.type)), pa.scalar(None, values.type), values)


def _fits(number: float, kind: pa.DataType) -> bool:
    """Whether a number can be compared with values of an Arrow type."""
    if pa.types.is_floating(kind):
        return True
    if not pa.types.is_integer(kind) or not isinstance(number, int):
        return False
    ends = np.iinfo(kind.to_pandas_dtype())
    return ends.min <= number <= ends.max


def nan_to_null(values: pa.Array) -> pa.Array:
    """VOTable's null for a single real is NaN (section 4.7)."""
    if not pc.any(pc.is_nan(values)).as_py():
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _boolean(text: str | None) -> bool | None:
    word = (text or "").strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    if word in _UNKNOWN:
        return None
    raise ValueError(f"{text!r} is neither true nor false")


def _text_lists(field: Field, texts: Sequence[str | None]) -> pa.Array:
    rows: list[list[Any] | None] = []
    whole, null = not field.column.datatype.is_real, field.null_number
    for text in texts:
        words = (text or "").split()
        if not words:
            rows.append(None)
            continue
        if field.column.datatype is Datatype.BOOLEAN:
            # Bits may be written without blanks between them.
            letters = list("".join(words)) if field.datatype == "bit" else words
            rows.append([_boolean(w) for w in letters])
        else:
            numbers = [_integer(w) if whole else float(w) for w in words]
            if null is not None:
                numbers = [None if _rounded(n, field.datatype) == null else n for n in numbers]
            rows.append(numbers)
        if field.length is not None and len(rows[-1] or ()) != field.length:
            raise ValueError(f"{len(rows[-1] or ())} values where arraysize is {field.arraysize}")
    return pa.array(rows, field.type)


def _integer(word: str) -> int:
    return int(word, 0) if "x" in word else int(word)


def bytes_to_array(field: Field, cells: Sequence[bytes | None]) -> pa.Array:
    """Cells of a BINARY stream, each the bytes of its elements (None: null)."""
    if field.is_text:
        return _known(field, empty_to_null(pa.array([_text(field, c) for c in cells], pa.string())))
    code, kind = ITEMS[field.datatype]
    if field.arraysize is None:
        joined = b"".join(c if c is not None else b"\0" * np.dtype(code).itemsize for c in cells)
        mask = np.array([c is None for c in cells])
        return scalars(field, np.frombuffer(joined, code), mask)
    rows: list[Any] = []
    null = field.null_number
    for cell in cells:
        if cell is None:
            rows.append(None)
        elif field.datatype == "bit":
            bits = np.frombuffer(cell, np.uint8)
            # Bits of a varying number come unpacked: their bytes do not tell how many they are.
            bits = bits if field.length is None else np.unpackbits(bits)[: field.length]
            rows.append(bits.astype(bool).tolist())
        elif kind is Datatype.BOOLEAN:
            rows.append([_boolean(chr(b)) if b else None for b in cell])
        else:
            values = np.frombuffer(cell, code).tolist()
            rows.append([None if v == null else v for v in values])
    return pa.array(rows, field.type)


def scalars(field: Field, values: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> pa.Array:
    """Single values; nulls where `mask`, the FIELD's null value or NaN says so."""
    kind = field.column.datatype
    if field.datatype == "bit":
        # The standard's single bit is the highest one; astropy writes another.
        return pa.array(values != 0, mask=mask)
    if kind is Datatype.BOOLEAN:
        letters = values.view(np.uint8)
        true, false = np.isin(letters, list(b"Tt1")), np.isin(letters, list(b"Ff0"))
        if not (true | false | np.isin(letters, list(b"?\0 "))).all():
            raise ValueError(f"column {field.name}: a value is neither true nor false")
        return pa.array(true, mask=mask | ~(true | false))
    native = values.astype(values.dtype.newbyteorder("="))
    numbers = pa.array(native, mask=mask if mask.any() else None, from_pandas=kind.is_real)
    return declared_to_null(field, numbers)


def _text(field: Field, cell: bytes | None) -> str | None:
    if cell is None:
        return None
    if field.datatype == "char":
        plain = cell.split(b"\0", 1)[0] if not field.is_text_array else cell
        text = decoded(plain)
    else:
        text = cell.decode("utf-16-be", "replace")
    if field.is_text_array:
        size = int((field.arraysize or "1").split("x")[0])
        parts = [text[n : n + size].rstrip("\0 ") for n in range(0, len(text), size)]
        return json.dumps(parts, ensure_ascii=False)
    return text.split("\0", 1)[0].rstrip(" ")
