"""FITS tables: scaled integers, nulls of ASCII tables, texts that are not ASCII, blanks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from skygate.domain.catalog import Datatype
from skygate.errors import BadRelease
from skygate.release.read import open_table
from skygate.release.recipe import TableRecipe


def read(path: Path) -> dict[str, list[object]]:
    reader = open_table(path, TableRecipe(name="t", files=("x",)))
    return pa.Table.from_batches(list(reader.batches()), reader.schema).to_pydict()


def table(path: Path, *columns: fits.Column, **cards: object) -> Path:
    """A binary table as FITS holds it; `cards` are put into its header afterwards, as they are."""
    fits.BinTableHDU.from_columns(list(columns), name="CAT").writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdu: Any = hdus[1]
        hdu.header.update(cards)
    return path


def long(path: Path, values: list[int], **cards: object) -> Path:
    return table(path, fits.Column("n", "K", array=np.array(values, "i8")), **cards)


@pytest.mark.parametrize("zero", [1000, 1000.0])
def test_integers_with_a_whole_zero_stay_exact(tmp_path: Path, zero: float) -> None:
    path = long(tmp_path / "a.fits", [2**60 + 1, 2**60 + 3, -7], TZERO1=zero, TNULL1=-7)
    assert read(path) == {"n": [2**60 + 1001, 2**60 + 1003, None]}
    (column,) = open_table(path, TableRecipe(name="t", files=("x",))).columns
    assert column.datatype is Datatype.LONG


def test_integers_with_a_whole_scale_stay_exact(tmp_path: Path) -> None:
    path = long(tmp_path / "a.fits", [2**61 + 1, -3, 0], TSCAL1=-3, TZERO1=2)
    assert read(path) == {"n": [-3 * (2**61 + 1) + 2, 11, 2]}


def test_integers_come_back_from_beyond_64_bits(tmp_path: Path) -> None:
    path = long(tmp_path / "a.fits", [2**62, 2**62 + 5], TSCAL1=2, TZERO1=-(2**62))
    assert read(path) == {"n": [2**62, 2**62 + 10]}


@pytest.mark.parametrize(("value", "cards"), [(2**63 - 1, {"TZERO1": 1}), (-(2**62), {"TSCAL1": 3})])
def test_scaled_integers_beyond_64_bits_are_refused(
    tmp_path: Path, value: int, cards: dict[str, int]
) -> None:
    with pytest.raises(BadRelease, match=r"column n: -?[0-9]+ .* beyond the 64-bit integers"):
        read(long(tmp_path / "a.fits", [0, value], **cards))


def test_a_null_is_not_scaled(tmp_path: Path) -> None:
    least = -(2**63)
    assert read(long(tmp_path / "a.fits", [least, 1], TZERO1=-5, TNULL1=least)) == {"n": [None, -4]}


def test_arrays_of_scaled_integers(tmp_path: Path) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[0], ragged[1] = np.array([], "i8"), np.array([2**60 + 1], "i8")
    path = table(
        tmp_path / "a.fits",
        fits.Column("pair", "2I", array=np.array([[1, 2], [3, 4]], "i2")),
        fits.Column("ragged", "PK()", array=ragged),
        TZERO1=100000,
        TZERO2=1,
    )
    assert read(path) == {"pair": [[100001, 100002], [100003, 100004]], "ragged": [[], [2**60 + 2]]}


def ascii_table(path: Path, columns: list[fits.Column], **cards: object) -> Path:
    fits.TableHDU.from_columns(columns).writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdu: Any = hdus[1]
        hdu.header.update(cards)
    return path


def test_integers_of_ascii_tables_stay_exact(tmp_path: Path) -> None:
    columns = [fits.Column("n", "I20", array=np.array([2**60 + 1, -9]))]
    path = ascii_table(tmp_path / "a.fits", columns, TZERO1=1000.0, TNULL1="-9")
    assert read(path) == {"n": [2**60 + 1001, None]}
    with pytest.raises(BadRelease, match="beyond the 64-bit"):
        read(ascii_table(tmp_path / "b.fits", columns, TSCAL1=9))


def test_nulls_of_ascii_tables_are_compared_without_blanks(tmp_path: Path) -> None:
    columns = [
        fits.Column("n", "I6", array=np.array([-9, 4])),
        fits.Column("x", "F8.2", array=np.array([-9.5, 1.25])),
        fits.Column("t", "A4", array=np.array(["none", "ab"])),
    ]
    path = ascii_table(tmp_path / "a.fits", columns, TNULL1="-9", TNULL2="-9.50", TNULL3="none")
    assert read(path) == {"n": [None, 4], "x": [None, 1.25], "t": [None, "ab"]}
