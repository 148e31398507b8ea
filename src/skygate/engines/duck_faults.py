"""What DuckDB complains of, in the house's words.

DuckDB's own sentences name files, settings and generated SQL, so only harmless parts of them pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from skygate.adql.growth import MAX_GATHERED
from skygate.adql.lower_functions import TOO_LONG
from skygate.engines.duck_files import PREFIX
from skygate.errors import BadQuery, BrokenRelease, HouseError, SkygateError, TooCostly

_SMALLER = "ask for fewer rows or columns, or for a smaller part of the sky"


def _conversion(text: str) -> SkygateError:
    found = re.match(r"Could not convert string '(.{0,60}?)' to (\w+)", text, re.DOTALL)
    if found:
        return BadQuery(
            f"the text '{found[1]}' is not a value of type {_type(found[2])}", hint="look at CAST"
        )
    found = re.match(r"Type (\w+)(?:\([\d,]+\))? with value (\S{1,60}) can't be cast .* type (\w+)", text)
    if found and found[1] == "INT128":  # only sums of integers are that wide
        return BadQuery(
            f"a sum of integers, {found[2]}, exceeds 64 bits",
            hint="sum real numbers: SUM(CAST(x AS DOUBLE PRECISION))",
        )
    if found:
        return BadQuery(f"the value {found[2]} does not fit type {_type(found[3])}", hint="use a wider type")
    return BadQuery("a value cannot be converted to the type that is asked for", hint="look at CAST")


def _range(text: str) -> SkygateError:
    found = re.match(r"Overflow in (\w+) of (\w+)(?: \((.{1,80}?)\))?", text)
    if found:
        what = f" ({found[3]})" if found[3] else ""
        return BadQuery(
            f"a number became too large for type {_type(found[2])} in {found[1]}{what}",
            hint="CAST an operand to DOUBLE PRECISION",
        )
    if "string of size" in text:
        return TooCostly("a text became longer than the engine can hold", hint="make shorter texts")
    return BadQuery("a number is out of range", hint="CAST an operand to DOUBLE PRECISION")


def _input(text: str) -> SkygateError:
    if "More than one row returned by a subquery" in text:
        return BadQuery(
            "a sub-query that stands for one value gave more than one row", hint="use IN, or MAX() or TOP 1"
        )
    if TOO_LONG in text:
        return TooCostly(
            f"IVO_STRING_AGG gathered a text of more than {MAX_GATHERED:,} bytes",
            hint="gather fewer rows: a finer GROUP BY, a condition",
        )
    if "Division by zero" in text:
        return BadQuery("division by zero", hint="use NULLIF(divisor, 0)")
    if PREFIX in text:
        return _files(text)
    if "Python exception" in text:
        return HouseError("a function failed while the query ran")
    return HouseError("the engine did not accept a value")


def _memory(text: str) -> SkygateError:
    if "max_temp_directory_size" in text or "temp directory" in text.lower():
        return TooCostly("the query needs more room on disk than one may have", hint=_SMALLER)
    return TooCostly("the query needs more memory than one may have", hint=_SMALLER)


def _files(_: str) -> SkygateError:
    return BrokenRelease("a data file cannot be read", hint="run `skygate check`")


def _depth(text: str) -> SkygateError:
    if "expression depth" in text:
        return BadQuery("the query is nested too deeply", hint="split it with WITH")
    return HouseError("the query was translated into something that the engine cannot read")


_KINDS: tuple[tuple[str, Callable[[str], SkygateError]], ...] = (
    ("Out of Memory Error", _memory),
    ("Conversion Error", _conversion),
    ("Out of Range Error", _range),
    ("Invalid Input Error", _input),
    ("IO Error", _files),
    ("Invalid Parquet", _files),
    ("Permission Error", lambda _: HouseError("the engine's sandbox refused something")),
    ("Parser Error", _depth),
    ("Binder Error", _depth),
)
"""How DuckDB begins its sentences, and what they mean. A streamed answer raises them as OSError too."""


def is_interrupt(fault: BaseException) -> bool:
    """Whether the engine stopped because it was told to, or because its own clock ran out."""
    return str(fault).lstrip().startswith("INTERRUPT")


def is_fatal(fault: BaseException) -> bool:
    """Whether the database will never work again."""
    text = str(fault)
    return text.lstrip().startswith(("FATAL", "INTERNAL")) or "has been invalidated" in text


def translate(fault: BaseException) -> SkygateError:
    """The house's error for what DuckDB raised; interrupts are the caller's to explain."""
    text = str(fault).strip()
    if isinstance(fault, MemoryError):
        return _memory(text)
    for begin, make in _KINDS:
        if text.startswith(begin):
            return make(text[len(begin) :].lstrip(": "))
    return HouseError("the engine failed on a query")


_TYPES = {
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "FLOAT": "REAL",
    "DOUBLE": "DOUBLE PRECISION",
    "BOOL": "BOOLEAN",
}


def _type(name: str) -> str:
    """ADQL's name of one of DuckDB's types."""
    return _TYPES.get(name.upper(), name.upper())
