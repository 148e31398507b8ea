"""XML documents of the Virtual Observatory, built from elements and never from pasted text.

Must not know: what any document says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

Element = etree._Element  # pyright: ignore[reportPrivateUsage]  (lxml has no public name for it)

XSI = "http://www.w3.org/2001/XMLSchema-instance"
VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"
CAPABILITIES = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
TABLES = "http://www.ivoa.net/xml/VOSITables/v1.0"
VODATASERVICE = "http://www.ivoa.net/xml/VODataService/v1.1"
TAPREGEXT = "http://www.ivoa.net/xml/TAPRegExt/v1.0"
VORESOURCE = "http://www.ivoa.net/xml/VOResource/v1.0"

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """The text without characters that XML 1.0 (section 2.2) cannot hold."""
    return _NO_XML.sub("\ufffd", text)


def root(tag: str, *, namespace: str | None, prefixes: Mapping[str | None, str]) -> Element:
    """A document's outermost element. `prefixes` are the namespaces it declares."""
    name = f"{{{namespace}}}{tag}" if namespace else tag
    declared: Any = {"xsi": XSI, **prefixes}
    return etree.Element(name, nsmap=declared)


def add(
    parent: Element,
    tag: str,
    text: str | None = None,
    *,
    attributes: Mapping[str, str | None] | None = None,
    kind: str | None = None,
) -> Element:
    """Add a child. Attributes that are None are left out; `kind` is its xsi:type."""
    child = etree.SubElement(parent, tag)
    if kind is not None:
        child.set(f"{{{XSI}}}type", kind)
    for name, value in (attributes or {}).items():
        if value is not None:
            child.set(name, clean(value))
    if text is not None:
        child.text = clean(text)
    return child


def add_if(parent: Element, tag: str, text: str | None) -> None:
    """Add a child with this text, unless there is none."""
    if text:
        add(parent, tag, text)


def document(top: Element) -> bytes:
    """The bytes of a whole document, in UTF-8 and indented for people."""
    etree.indent(top)
    return etree.tostring(top, xml_declaration=True, encoding="UTF-8")
