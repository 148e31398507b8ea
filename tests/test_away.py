"""The directory of releases goes away under a running service, and comes back."""

import logging
import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from releases_made import make_release
from skygate.app import create_app
from skygate.assembly import open_house
from skygate.settings import Settings

ASK = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM mini.stars", "RESPONSEFORMAT": "csv"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_release(tmp_path / "root", rows=50)
    return tmp_path / "root"


@pytest.fixture
def service(root: Path):
    settings = Settings(root=root)
    with TestClient(create_app(open_house(settings), settings), raise_server_exceptions=False) as client:
        yield client


def move(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


def unmount(root: Path) -> None:
    move(root)
    root.mkdir()


def lose_rows_of_every_release(root: Path) -> None:
    (root / "releases" / "mini" / "1").rename(root.parent / "elsewhere")


@pytest.mark.parametrize("vanish", [move, unmount, lose_rows_of_every_release])
def test_nobody_is_blamed_while_the_releases_are_away(service, root, vanish, caplog, monkeypatch):
    assert service.get("/health/ready").json()["releases"] == {"mini": "1"}
    assert service.get("/tap/sync", params=ASK).status_code == 200
    with caplog.at_level(logging.INFO, logger="skygate.releases"):
        vanish(root)
        for _ in range(2):
            ready = service.get("/health/ready")
            assert ready.status_code == 503
            assert "cannot be read" in ready.json()["reason"] or "can be read" in ready.json()["reason"]
            assert str(root) not in ready.text
            assert service.get("/health/live").status_code == 200
        for path in ("/tap/tables", "/", "/tables/mini.stars", "/api/releases"):
            reply = service.get(path)
            assert (path, reply.status_code) == (path, 503)
            assert int(reply.headers["Retry-After"]) >= 1
        told = service.get("/tap/sync", params=ASK)
        assert told.status_code == 503
        assert "read now" in told.text
        assert ">false<" in service.get("/tap/availability").text
    said = [r for r in caplog.records if r.levelname == "ERROR"]
    assert len(said) == 1
    if vanish is lose_rows_of_every_release:
        (root.parent / "elsewhere").rename(root / "releases" / "mini" / "1")
        monkeypatch.setattr("skygate.services.releases._BROKEN_AGAIN_S", 0.0)
    else:
        if vanish is unmount:
            root.rmdir()
        (root.parent / "elsewhere").rename(root)
    assert service.get("/tap/sync", params=ASK).status_code == 200
    assert service.get("/health/ready").json()["releases"] == {"mini": "1"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_root_that_may_not_be_read(service, root):
    root.chmod(0)
    try:
        assert service.get("/health/ready").status_code == 503
        assert service.get("/tap/sync", params=ASK).status_code == 503
    finally:
        root.chmod(0o755)
    assert service.get("/health/ready").status_code == 200


def test_what_was_unpublished_is_not_away(service, root):
    from skygate.stores.releases import FolderReleases

    FolderReleases(root).unpublish("mini")
    assert service.get("/health/ready").json()["releases"] == {}
    assert service.get("/tap/sync", params=ASK).status_code == 400
