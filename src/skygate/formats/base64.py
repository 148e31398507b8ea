"""Base64 of a stream of bytes, in whole groups so that the pieces join without padding between them."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator

_LINE = 57
"""Bytes that fill one line of 76 characters (RFC 2045, section 6.8); chunks are multiples of it."""
_CHUNK = _LINE * 4096


def encode(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Base64 text, a line break after each chunk; only the last chunk can end in padding."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        whole = len(kept) - len(kept) % _LINE
        if whole:
            with memoryview(kept) as view:
                for at in range(0, whole, _CHUNK):
                    yield binascii.b2a_base64(view[at : min(at + _CHUNK, whole)])
            del kept[:whole]
    if kept:
        yield binascii.b2a_base64(kept)
