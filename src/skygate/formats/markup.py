"""Pieces of XML: every text and attribute is escaped here, so that no writer can forget it.

Must not know: VOTable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) does not let stand in a document, not even escaped."""

FORBIDDEN_UTF8: tuple[str, ...] = (
    *(chr(c) for c in range(0x20) if c not in (0x09, 0x0A, 0x0D)),
    "\ufffe",
    "\uffff",
)
"""The same, as the strings that can occur in valid UTF-8."""
REPLACEMENT = "\ufffd"
ESCAPES: tuple[tuple[str, str], ...] = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))
"""In the order in which they must be replaced in character data."""

_IN_ATTRIBUTES = (*ESCAPES, ('"', "&quot;"), ("\n", "&#10;"), ("\t", "&#9;"))


def text(value: str) -> str:
    """Character data; what XML cannot carry becomes U+FFFD."""
    return _escape(value, ESCAPES)


def start(name: str, attributes: Mapping[str, str | None] | None = None) -> str:
    """A start tag; attributes that are None are left out."""
    return f"<{name}{_attributes(attributes or {})}>"


def empty(name: str, attributes: Mapping[str, str | None]) -> str:
    """An element without content."""
    return f"<{name}{_attributes(attributes)}/>"


def end(name: str) -> str:
    """An end tag."""
    return f"</{name}>"


def element(name: str, content: str, attributes: Mapping[str, str | None] | None = None) -> str:
    """An element that holds text, which is escaped."""
    return f"{start(name, attributes)}{text(content)}{end(name)}"


def safe_id(name: str, taken: set[str]) -> str:
    """An XML ID made of `name`, different from those `taken`, to which it is added."""
    base = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
    if not re.match(r"[A-Za-z_]", base):
        base = f"_{base}"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}_{number}"
    taken.add(found)
    return found


def _attributes(pairs: Mapping[str, str | None]) -> str:
    return "".join(f' {k}="{_escape(v, _IN_ATTRIBUTES)}"' for k, v in pairs.items() if v is not None)


def _escape(value: str, table: tuple[tuple[str, str], ...]) -> str:
    value = _FORBIDDEN.sub(REPLACEMENT, value)
    for plain, escaped in table:
        value = value.replace(plain, escaped)
    return value
