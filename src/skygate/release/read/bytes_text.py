"""Bytes that should be text and do not say in which encoding: one rule for every reader.

Must not know: Arrow, files.
"""

from __future__ import annotations


def decoded(data: bytes) -> str:
    """UTF-8 where it is, else Windows-1252 (Latin-1 with dashes and quotes where that has control codes)."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
