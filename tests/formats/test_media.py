"""RESPONSEFORMAT: short names, media types with parameters, and what is refused."""

import pytest

from skygate.errors import BadParameter
from skygate.formats import media


@pytest.mark.parametrize(
    ("asked", "name", "content_type"),
    [
        (None, "votable", "application/x-votable+xml"),
        ("", "votable", "application/x-votable+xml"),
        ("votable", "votable", "application/x-votable+xml"),
        ("VOTable/TD", "votable/td", "application/x-votable+xml;serialization=TABLEDATA"),
        ("text/xml", "votable/td", "text/xml"),
        ("Text/XML", "votable/td", "Text/XML"),
        ("application/x-votable+xml", "votable", "application/x-votable+xml"),
        (
            "application/x-votable+xml; serialization=binary",
            "votable/b",
            "application/x-votable+xml; serialization=binary",
        ),
        (
            'application/x-votable+xml;Serialization="BINARY2"',
            "votable",
            'application/x-votable+xml;Serialization="BINARY2"',
        ),
        ("csv", "csv", "text/csv;header=present;charset=utf-8"),
        ("text/csv", "csv", "text/csv"),
        ("text/csv;header=present;charset=UTF-8", "csv", "text/csv;header=present;charset=UTF-8"),
        ("tsv", "tsv", "text/tab-separated-values;charset=utf-8"),
        ("json", "json", "application/json"),
        ("fits", "fits", "application/fits"),
        ("parquet", "parquet", "application/vnd.apache.parquet"),
        ("hdf5", "hdf5", "application/x-hdf5"),
        ("arrow", "arrow", "application/vnd.apache.arrow.stream"),
    ],
)
def test_what_is_asked_for_is_what_is_said(asked, name, content_type):
    form = media.pick(asked)
    assert (form.name, form.content_type) == (name, content_type)


@pytest.mark.parametrize(
    "asked",
    [
        "docx",
        "text/plain",
        "application/x-votable+xml;serialization=BINARY3",
        "application/x-votable+xml;content=datalink",
        "text/csv;header=maybe",
        "text/csv;charset=latin-1",
        "application/json;header=absent",
        "x" * 5000,
        "text/csv\r\nSet-Cookie: a=b",
    ],
)
def test_what_there_is_not_is_refused_with_the_list(asked):
    with pytest.raises(BadParameter) as refused:
        media.pick(asked)
    assert refused.value.where.name == "RESPONSEFORMAT"
    assert "application/fits" in refused.value.hint
    assert len(str(refused.value)) < 2000


def test_a_content_type_never_carries_a_line_break():
    assert "\n" not in media.pick("text/csv;\n header=present").content_type


def test_a_header_line_can_be_declined():
    assert media.pick("text/csv;header=absent").header is False
    assert media.pick("csv").header is True


def test_names_are_unique_and_every_way_to_ask_leads_back():
    names = [f.name for f in media.FORMATS]
    assert len(set(names)) == len(names)
    for form in media.FORMATS:
        for asked in (*form.short_names, *form.media_types):
            assert media.pick(asked).name == form.name


def test_file_name_endings():
    assert media.of_extension(".FITS").name == "fits"
    assert media.of_extension("vot").name == "votable"
    with pytest.raises(BadParameter, match="xlsx"):
        media.of_extension(".xlsx")


@pytest.mark.parametrize("form", media.FORMATS, ids=lambda f: f.name)
def test_a_fault_before_the_first_row_is_raised_before_the_first_byte(form, odd):
    rows = odd(fault=BadParameter("broken"))
    rows.batches = []
    chunks = media.write(form, rows, media.About())
    with pytest.raises(BadParameter, match="broken"):
        next(chunks)
    assert rows.closed


@pytest.mark.parametrize("form", [f for f in media.FORMATS if not f.ends_with_error], ids=lambda f: f.name)
def test_a_fault_after_the_first_row_cuts_the_others_off(form, odd):
    rows = odd(fault=BadParameter("broken"))
    with pytest.raises(BadParameter, match="broken"):
        b"".join(media.write(form, rows, media.About()))
    assert rows.closed


@pytest.mark.parametrize("form", media.FORMATS, ids=lambda f: f.name)
def test_a_reader_that_goes_away_frees_the_rows(form, odd):
    rows = odd()
    chunks = media.write(form, rows, media.About())
    next(chunks)
    chunks.close()
    assert rows.closed
