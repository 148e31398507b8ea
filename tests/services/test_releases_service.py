"""The catalogue that can be asked: names, reports, versions taken up while running."""

import json
import logging
from pathlib import Path

import pyarrow as pa
import pytest

from releases_made import make_release
from skygate.domain.account import ANONYMOUS
from skygate.errors import BrokenRelease, NotFound
from skygate.services.releases import ReleasesService
from skygate.stores.releases import FolderReleases


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    make_release(made, rows=300)
    make_release(made, "other", rows=100)
    return made


@pytest.fixture
def service(root: Path) -> ReleasesService:
    return ReleasesService(FolderReleases(root))


def test_every_release_and_tap_schema_are_there(service):
    catalog = service.catalog(ANONYMOUS)
    assert [s.name for s in catalog.schemas] == ["mini", "other", "TAP_SCHEMA"]
    assert [r.name for r in catalog.releases()] == ["mini", "other"]
    assert service.snapshot(ANONYMOUS) is service.snapshot(ANONYMOUS)


@pytest.mark.parametrize(
    "name",
    [
        "mini.stars",
        "MINI.Stars",
        '"mini"."stars"',
        ' mini."stars" ',
        "TAP_SCHEMA.columns",
        "tap_schema.columns",
        "columns",
    ],
)
def test_tables_by_their_names(service, name):
    assert service.table(ANONYMOUS, name).name in ("stars", "columns")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stars", "several tables are called 'stars'.*choose one of mini.stars, other.stars"),
        ("mini.star", "no table 'mini.star'; did you mean `mini.stars`"),
        ("a.b.c", "no table"),
        ("", "no table"),
        ('"mini', "no table"),
        ("mini..stars", "no table"),
        ("../../etc/passwd", "no table"),
    ],
)
def test_names_that_name_no_table(service, name, message):
    with pytest.raises(NotFound) as caught:
        service.table(ANONYMOUS, name)
    import re

    assert re.search(message, str(caught.value))


def test_a_release_that_is_not_there(service):
    with pytest.raises(NotFound, match="no release 'mino'; did you mean `mini`"):
        service.release(ANONYMOUS, "mino")


def test_positions_are_said_to_be_indexed(service):
    table = service.table(ANONYMOUS, "mini.stars")
    assert [c.name for c in table.columns if c.indexed] == ["ra", "dec"]
    assert service.release(ANONYMOUS, "mini").tables[0] == table


def test_a_new_version_is_taken_up_and_an_old_snapshot_stays(tmp_path):
    first = make_release(tmp_path, rows=100)
    service = ReleasesService(FolderReleases(tmp_path))
    before = service.snapshot(ANONYMOUS)
    second = make_release(tmp_path, rows=200)
    after = service.snapshot(ANONYMOUS)
    assert (first.version, second.version) == ("1", "2")
    assert [r.version for r in before.catalog.releases()] == ["1"]
    assert [r.version for r in after.catalog.releases()] == ["2"]
    assert before.catalog.fingerprint != after.catalog.fingerprint
    FolderReleases(tmp_path).unpublish("mini")
    assert [s.name for s in service.catalog(ANONYMOUS).schemas] == ["TAP_SCHEMA"]


def test_a_broken_release_is_left_out_and_said_once(tmp_path, caplog):
    make_release(tmp_path, rows=100)
    bad = make_release(tmp_path, "bad", rows=100)
    (Path(bad.path) / "manifest.json").write_text("{")
    for path in Path(bad.path).glob("*.json"):
        path.write_text("{")
    service = ReleasesService(FolderReleases(tmp_path))
    with caplog.at_level(logging.ERROR, logger="skygate.releases"):
        assert [r.name for r in service.catalog(ANONYMOUS).releases()] == ["mini"]
        service.catalog(ANONYMOUS)
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    with pytest.raises(BrokenRelease):
        service.release(ANONYMOUS, "bad")


def test_the_report_of_the_version_in_force(tmp_path):
    release = make_release(tmp_path, rows=100)
    service = ReleasesService(FolderReleases(tmp_path))
    with pytest.raises(BrokenRelease):
        service.report(ANONYMOUS, "mini")
    folder = Path(release.path) / "report"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps({"release": "mini"}))
    assert service.report(ANONYMOUS, "mini") == {"release": "mini"}
    with pytest.raises(NotFound):
        service.report(ANONYMOUS, "nothing")


def test_nothing_is_published_yet(tmp_path):
    service = ReleasesService(FolderReleases(tmp_path))
    assert [s.name for s in service.catalog(ANONYMOUS).schemas] == ["TAP_SCHEMA"]
    assert isinstance(service.snapshot(ANONYMOUS).memory["TAP_SCHEMA.tables"], pa.Table)
