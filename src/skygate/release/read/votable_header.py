"""The head of a VOTable: the wanted TABLE's fields and metadata, and where its data begin in the file.

expat reads as far as the data and no farther; entities are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from skygate.errors import BadRelease
from skygate.release.findings import Finding
from skygate.release.read.source import fault

_SERIALISATIONS = ("TABLEDATA", "BINARY", "BINARY2", "FITS", "PARQUET")
_STATUS = re.compile(
    rb"""<(?:[\w.-]+:)?INFO\b(?=[^>]*\bname\s*=\s*["']QUERY_STATUS["'])[^>]*\bvalue\s*=\s*["'](\w+)["']"""
)
_CHUNK = 4 << 20
_LONGEST_INFO = 4096
_ROWS = frozenset({"TR", "TD", "STREAM"})


@dataclass(frozen=True, slots=True)
class Head:
    """A TABLE without its rows. `index` counts TABLEs from 0; `offset` is where STREAM's tag begins."""

    table: Element
    index: int
    serialisation: str | None
    offset: int
    stream: Mapping[str, str]
    frames: Mapping[str, Mapping[str, str]]
    """Attributes of the COOSYS elements by their ID."""
    infos: Mapping[str, str] = field(default_factory=dict[str, str])


class _Done(Exception):
    """The wanted data begin here."""


class _Parser:
    """Builds the tree without namespaces and rows; stops at the data of the wanted table."""

    def __init__(self, path: Path, inside: str | None) -> None:
        self.path = path
        self.inside = inside
        self.builder = TreeBuilder()
        self.open: list[Element] = []
        self.tables: list[Element] = []
        self.frames: dict[str, dict[str, str]] = {}
        self.infos: dict[str, str] = {}
        self.wanted: Element | None = None
        self.serialisation: str | None = None
        self.offset = 0
        self.stream: dict[str, str] = {}
        self.expat = expat.ParserCreate()
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.text
        self.expat.EntityDeclHandler = self.refuse_entity
        self.expat.buffer_text = True

    def refuse_entity(self, *_: Any) -> None:
        raise fault(self.path, "declares entities, which are not read", line=self.expat.CurrentLineNumber)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name in ("TR", "TD"):
            return
        if name == "STREAM":
            if self.wanted is not None:
                self.offset, self.stream = self.expat.CurrentByteIndex, attributes
                raise _Done
            return
        element = self.builder.start(name, attributes)
        self.open.append(element)
        if name == "TABLE":
            self.tables.append(element)
        elif name == "COOSYS" and attributes.get("ID"):
            self.frames[attributes["ID"]] = attributes
        elif name == "INFO" and "name" in attributes:
            self.infos[attributes["name"]] = attributes.get("value", "")
        elif name in _SERIALISATIONS and len(self.open) > 2 and self.open[-2].tag == "DATA":
            table = self.tables[-1]
            if self._is_wanted(table, len(self.tables) - 1):
                self.wanted, self.serialisation = table, name
                if name == "TABLEDATA":
                    raise _Done

    def end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in _ROWS:
            return
        self.builder.end(name)
        element = self.open.pop()
        # A TABLE without DATA is a table without rows.
        if name == "TABLE" and element.find("DATA") is None and element.find("FIELD") is not None:
            number = next(n for n, t in enumerate(self.tables) if t is element)
            if self.inside is not None and self._is_wanted(element, number):
                self.wanted = element
                raise _Done

    def text(self, data: str) -> None:
        if self.open and self.open[-1].tag not in _SERIALISATIONS:
            self.builder.data(data)

    def _is_wanted(self, table: Element, number: int) -> bool:
        if self.inside is None:
            return True
        return self.inside in (table.get("ID"), table.get("name"), str(number))


def read_head(path: Path, plain: Path, inside: str | None) -> Head:
    """The head of TABLE `inside` (ID, name, number from 0) or of the first with data; raises `BadRelease`."""
    parser = _Parser(path, inside)
    try:
        with plain.open("rb") as file:
            parser.expat.ParseFile(file)
    except _Done:
        pass
    except BadRelease:
        raise
    except LookupError as error:
        raise fault(path, f"is in an encoding that is not known: {error}", line=1) from error
    except expat.ExpatError as error:
        raise fault(
            path,
            f"is no well-formed XML: {expat.ErrorString(error.code)}",
            line=error.lineno,
            column=error.offset + 1,
        ) from error
    found = parser.wanted
    if found is None and inside is None:
        found = next((t for t in parser.tables if t.find("FIELD") is not None), None)
    if found is None:
        _refuse(path, parser, inside)
    assert found is not None
    index = next(n for n, t in enumerate(parser.tables) if t is found)
    return Head(found, index, parser.serialisation, parser.offset, parser.stream, parser.frames, parser.infos)


def cut_off(path: Path, plain: Path) -> Iterator[Finding]:
    """An error where the file says of itself that it is not whole (DALI 1.1, section 4.4.1)."""
    said = ""
    with plain.open("rb") as file:
        before = b""
        while chunk := file.read(_CHUNK):
            data = before + chunk
            if b"QUERY_STATUS" in data:
                for found in _STATUS.finditer(data):
                    said = found[1].decode().upper()
            before = data[-_LONGEST_INFO:]
    what = {"OVERFLOW": "a service cut it off at its limit of rows", "ERROR": "the service failed on the way"}
    if said in what:
        yield Finding(
            "error",
            "not_whole",
            f"{path.name} says that it is not whole: QUERY_STATUS is {said} ({what[said]})",
            "fetch it again with a higher MAXREC, or in pieces",
        )


def _refuse(path: Path, parser: _Parser, inside: str | None) -> None:
    if parser.infos.get("QUERY_STATUS") == "ERROR":
        raise fault(path, "is a service's error message, not a table")
    if inside is None:
        raise fault(path, "holds no table")
    known = [t.get("ID") or t.get("name") or str(n) for n, t in enumerate(parser.tables)]
    raise fault(path, f"has no table {inside!r}", hint="its tables are " + (", ".join(known) or "none"))
