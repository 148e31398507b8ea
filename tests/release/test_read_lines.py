"""The lines of delimited text: what ends one, what is a comment, what quotes hold together."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from skygate.errors import BadRelease
from skygate.release.read import TableReader, open_table
from skygate.release.recipe import ColumnRecipe, FixedColumn, TableRecipe


def opened(folder: Path, text: str | bytes, **known: object) -> TableReader:
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_table(path, TableRecipe(**({"name": "t", "files": ("x",)} | known)))  # type: ignore[arg-type]


def rows(reader: TableReader) -> list[dict[str, object]]:
    return [row for batch in reader.batches() for row in batch.to_pylist()]


def told(reader: TableReader) -> dict[str, str]:
    return {f.code: f"{f.severity}: {f.message}" for f in reader.findings}


def refused(folder: Path, text: str | bytes, **known: object) -> tuple[str, int | None, str]:
    with pytest.raises(BadRelease) as caught:
        rows(opened(folder, text, **known))
    assert caught.value.where is not None
    return caught.value.message, caught.value.where.line, caught.value.hint or ""


@pytest.mark.parametrize("odd", [b"\x85", b"\x0c", b"\x0b", "\u2028".encode(), b"\x1c", b"a\rb"])
def test_only_line_feeds_end_a_comment(tmp_path: Path, odd: bytes) -> None:
    text = b"# See the notes" + odd + b"\nid,ra,dec\n1,1,1\n2,2,2\n"
    assert [r["id"] for r in rows(opened(tmp_path, text))] == [1, 2]


def test_only_line_feeds_end_a_line_of_ecsv(tmp_path: Path) -> None:
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64, description: 'x\x0cy'}\n"
    with pytest.raises(BadRelease, match="YAML"):
        opened(tmp_path, head + "a\n1\n")
    reader = opened(tmp_path, head.replace("\x0c", "\u2028") + "a\n1\n2\n")
    assert [r["a"] for r in rows(reader)] == [1, 2]


def test_lines_that_end_in_carriage_returns_alone_are_refused(tmp_path: Path) -> None:
    message, _, hint = refused(tmp_path, "id,ra\r1,2\r3,4\r")
    assert "carriage returns alone" in message
    assert "tr " in hint
    assert "carriage returns alone" in refused(tmp_path, "1 2\r3 4\r", fixed=(FixedColumn("a", 1, 1),))[0]


def test_a_stray_carriage_return_is_refused_with_its_line(tmp_path: Path) -> None:
    message, line, _ = refused(tmp_path, 'a,b\r\n1,"x\ry"\r\n1,z\r\n2,x\ry\r\n')
    assert "carriage return" in message
    assert line == 4
    assert [r["b"] for r in rows(opened(tmp_path, 'a,b\r\n1,"x\ry"\r\r\n2,z\r\n'))] == ["x\ry", "z"]


def test_a_quote_that_never_closes_is_refused_where_it_opens(tmp_path: Path) -> None:
    message, line, hint = refused(tmp_path, 'id,n\n1,a\n2,"abc\n3,d\n4,e')
    assert "never closed" in message
    assert line == 3
    assert "doubled" in hint
    many = "".join(f"{n},x\n" for n in range(1_000_000))
    message, line, _ = refused(tmp_path, 'id,n\n1,"abc\n' + many)
    assert "not closed within 4 MiB" in message
    assert line == 2


def test_marks_of_inches_do_not_swallow_rows(tmp_path: Path) -> None:
    message, line, _ = refused(tmp_path, 'id,n\n1,"5\n2,"6\n3,z\n')
    assert "closes in the middle of a field of line 3" in message
    assert line == 2
    assert [r["n"] for r in rows(opened(tmp_path, 'id,n\n1,5" tel\n2,"6"" tel"\n'))] == ['5" tel', '6" tel']


def test_values_that_hold_line_breaks_are_counted(tmp_path: Path) -> None:
    reader = opened(tmp_path, 'id,n\n1,x\n2,"a\n# b\n"\n3,"c\nd"\n')
    assert [r["n"] for r in rows(reader)] == ["x", "a\n# b", "c\nd"]
    assert told(reader) == {
        "line_breaks": "warning: a.csv: 2 values hold line breaks (the first begins in line 3)"
    }


def test_comments_below_the_header_are_counted(tmp_path: Path) -> None:
    reader = opened(tmp_path, "# cat\nid,ra,dec\n#1,1,1\n#2,2,2\n3,3,3\n# the end\n")
    assert [r["id"] for r in rows(reader)] == [3]
    found = told(reader)
    assert "warning: a.csv: 2 lines below the header" in found["commented_rows"]
    assert "first: line 3" in found["commented_rows"]
    assert "info: a.csv: 1 line below" in found["comments_dropped"]
    kept = opened(tmp_path, "# cat\nid,n\n#1,a\n3,b\n", comment="")
    assert [r["id"] for r in rows(kept)] == ["#1", "3"]
    assert not kept.findings
    bare = opened(tmp_path, "#1,a\n3,b\n", comment="", header=False)
    assert [r["column_1"] for r in rows(bare)] == ["#1", "3"]


def test_a_row_that_is_commented_out_among_numbers_is_a_comment(tmp_path: Path) -> None:
    reader = opened(tmp_path, "id,ra,dec,n\n1,1,1,a\n2,2,2,b\n#3,3,3,c\n4,4,4,d\n,5,5,e\n")
    assert [r["id"] for r in rows(reader)] == [1, 2, 4, None]
    assert "line 4" in told(reader)["commented_rows"]
    names = opened(tmp_path, "name,n\nx,1\n#y,2\nz,3\n")
    assert [r["name"] for r in rows(names)] == ["x", "#y", "z"]


def test_a_quote_within_a_field_does_not_hide_a_comment(tmp_path: Path) -> None:
    reader = opened(tmp_path, '# cat\nid,ra,dec,n\n1,1,1,5" tel\n# c,o,m,m\n2,2,2,x\n')
    assert [(r["id"], r["n"]) for r in rows(reader)] == [(1, '5" tel'), (2, "x")]


def test_quotes_are_followed_as_they_are_parsed(tmp_path: Path) -> None:
    """Whatever the quoting, a comment is dropped exactly where a reader of CSV begins a row with it."""
    dice = random.Random(5)
    for _ in range(60):
        out = io.StringIO()
        out.write("# top\nn,a,b\n")
        writer = csv.writer(out, lineterminator=dice.choice(["\n", "\r\n"]), quoting=dice.choice([0, 1]))
        wanted: list[tuple[str, str]] = []
        for number in range(30):
            pair = tuple("".join(dice.choices('x",\n#', k=dice.randint(1, 6))) + "y" for _ in "ab")
            wanted.append((pair[0], pair[1]))
            writer.writerow([number, *pair])
            if dice.random() < 0.3:
                out.write('# it"s, a comment\n')
        got = [(r["a"], r["b"]) for r in rows(opened(tmp_path, out.getvalue()))]
        assert got == [(a.strip(), b.strip()) for a, b in wanted]


def test_delimiters_at_the_end_of_rows_have_a_remedy(tmp_path: Path) -> None:
    message, line, hint = refused(tmp_path, "id,ra,dec\n1,1,1,\n2,2,2,\n")
    assert "4 fields where the header has 3" in message
    assert line == 2
    assert "take it away" in hint
    assert "column_4" in hint


def test_text_among_numbers_is_told_with_value_and_line(tmp_path: Path) -> None:
    body = "".join(f"{n},{n}.5\n" for n in range(300_000))
    text = "# cat\nid,v\n# more\n" + body + '"7\n8",1\n300001,abc\n300002,2\n'
    reader = opened(tmp_path, text, columns=(("id", ColumnRecipe(type="string")),))
    found = [f for f in reader.findings if f.code == "text_among_numbers"]
    assert [(f.severity, f.column, f.count) for f in found] == [("warning", "v", 1)]
    assert "a.csv, line 300006: 'abc' among 300,002 numbers" in found[0].message
    both = tuple((name, ColumnRecipe(type="string")) for name in ("id", "v"))
    assert list(told(opened(tmp_path, text, columns=both))) == ["comments_dropped", "line_breaks"]


def test_names_that_hold_numbers_are_no_slips(tmp_path: Path) -> None:
    assert not opened(tmp_path, "name\nNGC 1\n2\nM 3\n4\n").findings


def test_padded_numbers_stay_text(tmp_path: Path) -> None:
    text = "code,zip,two,dec,mixed\n007,01234,05,000.12,1\n012,00001,11,1.5,-001\n"
    reader = opened(tmp_path, text)
    assert rows(reader)[0] == {"code": "007", "zip": "01234", "two": 5, "dec": 0.12, "mixed": "1"}
    assert "'007' has leading zeros" in reader.columns[0].inferred["datatype"]
    assert not reader.findings
    assert rows(opened(tmp_path, text, columns=(("code", ColumnRecipe(type="int")),)))[0]["code"] == 7


def test_timestamps_with_an_offset_become_utc(tmp_path: Path) -> None:
    text = "t\n2020-01-02T03:04:05+02:00\n2020-01-02T03:04:05.5Z\n2020-01-02\n2020-01-02 03:04-0130\n"
    reader = opened(tmp_path, text, columns=(("t", ColumnRecipe(type="timestamp")),))
    assert [str(r["t"]) for r in rows(reader)] == [
        "2020-01-02 01:04:05",
        "2020-01-02 03:04:05.500000",
        "2020-01-02 00:00:00",
        "2020-01-02 04:34:00",
    ]


def test_lines_of_blanks_between_fields_are_told(tmp_path: Path) -> None:
    found = opened(tmp_path, "id ra dec\n1 1 1\n2 2 2\n").findings
    assert [(f.severity, f.code) for f in found] == [("warning", "one_column")]
    assert 'delimiter = " "' in found[0].hint
    assert not opened(tmp_path, "name\nNGC 1\n").findings


def test_fixed_width_text_tells_of_slips_and_comments(tmp_path: Path) -> None:
    text = "# top\n 1\n\n 2\n# 3\n x\n 4\n"
    reader = opened(tmp_path, text, fixed=(FixedColumn("n", 1, 2),), comment="#")
    assert [r["n"] for r in rows(reader)] == ["1", "2", "x", "4"]
    found = told(reader)
    assert "1 line below the header" in found["comments_dropped"]
    assert "line 5" in found["comments_dropped"]
    assert "a.csv, line 6: 'x' among 3 numbers" in found["text_among_numbers"]
    typed = opened(tmp_path, text, fixed=(FixedColumn("n", 1, 2, type="A2"),), comment="#")
    assert "text_among_numbers" not in told(typed)
