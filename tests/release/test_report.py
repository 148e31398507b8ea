"""The validation report: JSON for programs, a page for people."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Release, SkyPosition, Table
from skygate.release.profile import Profile
from skygate.release.report import TableReport, has_errors, make_report
from skygate.release.report_page import anchor, histogram, render, share, standalone, value
from skygate.release.skymap import sky_map
from skygate.sky.cells import cell_of
from skygate.wire import arrow_schema

HOSTILE = '<script>alert("x")</script>&\'"'


def report_of(*, identifiers: list[int] | None = None, lost: int = 0, text: str = "plain") -> dict[str, Any]:
    rng = np.random.default_rng(1)
    rows = 300
    columns = (
        Column("id", Datatype.LONG, ucd="meta.id;meta.main", description="Identifier"),
        Column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension"),
        Column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main", description="Declination"),
        Column(
            "mag",
            Datatype.FLOAT,
            unit="mag",
            ucd="phot.mag;em.opt.V",
            description=text,
            source_name=f"MAG {text}",
            inferred={"ucd": f"name rule {text}", "unit": "recipe"},
        ),
        Column("note", Datatype.UNICODE, arraysize="*", ucd="meta.note", description="Note"),
    )
    mag = rng.normal(15, 1, rows).astype(np.float32)
    mag[:4] = 99.0
    ra, dec = rng.uniform(0, 40, rows), rng.uniform(-10, 10, rows)
    data = [
        pa.array(identifiers if identifiers is not None else np.arange(rows)),
        pa.array(ra),
        pa.array(dec),
        pa.array(mag),
        pa.array([text, None] * (rows // 2)),
    ]
    schema = arrow_schema(columns).append(pa.field(CELL_COLUMN, pa.int64()))
    batch = pa.record_batch([*data, pa.array(cell_of(ra, dec))], schema=schema)
    table = Table(
        "r1",
        "stars",
        columns,
        description=f"Stars {text}",
        position=SkyPosition("ra", "dec", epoch=2016.0),
        identifier="id",
        notes=(f"A note {text}",),
    )
    profile = Profile(table)
    profile.add(batch)
    release = Release("r1", "1", f"Title {text}", published_at="2026-11-23T06:00:00Z", tables=(table,))
    left_out, changes = {f"not a star {text}": 7}, {"mag: NaN made null": 3}
    done = TableReport(table, profile.finish(), rows + 7 + lost, left_out, changes)
    return make_report(release, [done])


def test_the_json_has_its_documented_keys_and_survives_strict_json() -> None:
    report = json.loads(json.dumps(report_of(), allow_nan=False))
    assert set(report) == {"format", "verdict", "counts", "release", "findings", "tables"}
    assert report["verdict"] == "warnings"
    assert report["release"]["rows"] == 300
    (table,) = report["tables"]
    assert (table["rows_read"], table["rows_published"], table["rows_left_out"]) == (307, 300, 7)
    assert table["left_out"] == {"not a star plain": 7}
    assert table["position"] == {"ra": "ra", "dec": "dec", "epoch": 2016.0, "without": 0}
    assert sum(table["sky"]["counts"]) == 300
    mag = next(c for c in table["columns"] if c["name"] == "mag")
    assert mag["stats"]["maximum"] == 99.0
    assert sum(mag["stats"]["histogram"]) == 300
    assert not has_errors(report)


def test_a_duplicate_is_an_error_and_comes_first() -> None:
    report = report_of(identifiers=[*range(299), 5])
    assert has_errors(report)
    assert report["verdict"] == "errors"
    assert [f["severity"] for f in report["findings"]][:2] == ["error", "warning"]
    assert report["findings"][0]["code"] == "duplicates"


def test_rows_that_go_missing_without_a_reason_are_an_error() -> None:
    report = report_of(lost=2)
    assert "rows_lost" in {f["code"] for f in report["findings"]}
    assert has_errors(report)


class Page(HTMLParser):
    VOID = frozenset({"meta", "br", "path", "ellipse", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, content in attrs:
            self.attributes.append((tag, name, content))
            if name == "id":
                self.ids.append(content or "")
            if name == "href":
                self.links.append(content or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_what_was_found_and_what_to_do() -> None:
    page = Page(render(report_of(identifiers=[*range(299), 5])))
    assert page.open == []
    for words in (
        "Validation report",
        "There are errors",
        "1 error, 1 warning",
        "1 row repeats the identifier",
        "leave_out the duplicates",
        "nulls = [99]",
        "300",
        "not a star plain",
        "3 × mag: NaN made null",
        "Inferred: ucd (name rule plain)",
        "In the file: MAG plain",
    ):
        assert words in page.words, words


def test_links_of_the_page_lead_somewhere() -> None:
    page = Page(render(report_of()))
    assert page.links
    assert {link for link in page.links if link.startswith("#")} == set(page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_nothing_of_the_data_becomes_markup() -> None:
    for text in (render(report_of(text=HOSTILE)), standalone(report_of(text=HOSTILE))):
        page = Page(text)
        assert "script" not in page.tags
        assert HOSTILE in page.words


def test_the_page_runs_and_fetches_nothing() -> None:
    text = standalone(report_of())
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    for tag, name, content in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("src", "style", "srcset"), (tag, name)
        assert not (name == "href" and "://" in (content or ""))
    assert "url(" not in text
    assert "@import" not in text
    assert "light-dark(" in text
    assert 'name="viewport"' in text


def test_pictures_have_words() -> None:
    text = render(report_of())
    for drawing in re.findall(r"<svg[^>]*>", text):
        assert 'role="img"' in drawing
        assert re.search(r'aria-label="[^"]{20,}"', drawing)


def test_a_histogram_draws_each_filled_bin() -> None:
    drawn = histogram({"histogram": (1, 0, 4), "histogram_low": 0.0, "histogram_high": 3.0})
    assert drawn.count("M") == 2
    assert "M2 24v-24" in drawn
    assert "from 0 to 3, highest near 2.5" in drawn
    assert histogram({}) == ""


def test_the_sky_is_drawn_where_the_rows_are() -> None:
    counts = np.zeros(12 * 4**5, dtype=int)
    counts[cell_of([10.0], [-30.0], 5)[0]] = 50
    drawn = sky_map(counts.tolist(), 5)
    assert drawn is not None
    assert "50 rows" in drawn.words
    x, y = map(int, re.findall(r"M(\d+) (\d+)h", drawn.svg)[0])
    # right ascension 10 lies near the right edge (longitude grows to the left, 180 in the middle)
    assert 120 < x < 155
    assert 45 < y < 60
    assert sky_map([0] * 12, 0) is None


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 10, "0 %"), (1, 10_000, "<0.1 %"), (9_999, 10_000, ">99.9 %"), (1, 3, "33.3 %"), (10, 10, "100 %")],
)
def test_a_share_is_not_rounded_to_nothing_or_all(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_values_are_short() -> None:
    assert value(None) == ""
    assert value(True) == "true"
    assert value(0.1 + 0.2) == "0.3"
    assert value("") == "“”"
    assert len(value("x" * 300)) == 24
    assert anchor('a"b', "c d") == "t-a_b-c-c_d"


@pytest.mark.system
def test_the_page_fits_a_phone_and_both_schemes() -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no /usr/bin/chromium")
    text = standalone(report_of(identifiers=[*range(299), 5]))
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        grounds = set()
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            problems: list[str] = []
            page.on("console", lambda message, to=problems: to.append(message.text))
            page.on("request", lambda request, to=problems: to.append(request.url))
            page.set_content(text)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            filled = page.evaluate("getComputedStyle(document.querySelector('svg.sky g')).fill")
            assert filled not in ("none", "rgb(0, 0, 0)")
            assert problems == []
        browser.close()
    assert len(grounds) == 2
