"""UTF-8 columns as UTF-16, without Python per row: VOTable's unicodeChar has two bytes a character."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Values = np.ndarray[Any, Any]


def utf16_big_endian(text: pa.Array) -> tuple[Values, Values]:
    """(offsets in bytes from 0, bytes) of a string column without nulls."""
    if len(text) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    start = int(offsets[0])
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)[start : int(offsets[-1])]
    offsets = offsets.astype(np.int64) - start
    if not data.size or int(data.max()) < 0x80:
        wide = np.zeros(2 * data.size, np.uint8)
        wide[1::2] = data
        return offsets * 2, wide
    units = ((data & 0xC0) != 0x80).astype(np.int64)
    units[data >= 0xF0] = 2  # beyond the basic plane: a pair of surrogates
    before = np.concatenate(([0], np.cumsum(units)))
    return before[offsets] * 2, np.frombuffer(data.tobytes().decode().encode("utf-16-be"), np.uint8)
