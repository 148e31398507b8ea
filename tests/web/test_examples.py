"""Examples are real queries: each compiles against a release that no one had in mind."""

from dataclasses import replace

import pytest

from skygate.adql import compile_query
from skygate.domain.catalog import Catalog, Schema
from skygate.services.names import spell
from skygate.web.examples import of_pair, of_table, somewhere_in


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    from releases_made import make_release

    return make_release(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def catalog(release):
    return Catalog((Schema(release.name, release.tables, release=release),), "one")


def test_every_example_of_every_table_compiles(release, catalog):
    for table in release.tables:
        made = of_table(table, spell, near=somewhere_in(table))
        assert len(made) >= 2
        for example in made:
            compile_query(example.adql, catalog)


def test_a_pair_of_tables_is_matched_only_where_both_have_positions(release, catalog):
    stars, notes = release.tables
    assert of_pair(stars, notes, spell) == []
    twice = of_pair(stars, replace(stars), spell)
    assert compile_query(twice[0].adql, catalog).columns[0].name == "a_1"


def test_somewhere_is_where_rows_are(release):
    stars, notes = release.tables
    ra, dec = somewhere_in(stars)
    assert 0 <= ra < 360
    assert -90 <= dec <= 90
    assert somewhere_in(notes) is None
