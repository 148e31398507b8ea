"""The whole application: every route has a policy, health, lifespan, accents."""

import importlib.util
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from skygate.app import create_app
from skygate.doorway.policy import declared
from skygate.settings import Settings

_spec = importlib.util.spec_from_file_location("vo_fakes", Path(__file__).parent / "vo" / "conftest.py")
fakes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fakes)


@pytest.fixture
def house():
    return fakes.FakeHouse(fakes.Asked())


@pytest.fixture
def client(house):
    with TestClient(create_app(house, Settings()), raise_server_exceptions=False) as client:
        yield client


def test_every_route_declares_its_policy(house):
    routes = list(declared(create_app(house, Settings()).routes))
    assert len(routes) >= 9
    assert [r.path for r in routes if r.policy is None] == []


def test_health(client, house):
    assert client.get("/health/live").json()["status"] == "live"
    assert client.get("/health/ready").json()["releases"] == {"mini": "v1"}
    assert client.get("/health").json()["status"] == "ready"
    house.asked.fault = RuntimeError("no disk")
    reply = client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json()["status"] == "not ready"
    assert "disk" not in reply.text
    assert client.get("/health/live").status_code == 200


def test_the_house_is_closed_with_the_application(house):
    with TestClient(create_app(house, Settings())):
        assert not house.closed
    assert house.closed


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/tap/nothing", "application/x-votable+xml"),
        ("/cone/nothing", "text/xml"),
        ("/api/nothing", "application/problem+json"),
        ("/health/nothing", "application/problem+json"),
    ],
)
def test_unknown_paths_are_told_in_the_accent_of_the_door(client, path, content_type):
    reply = client.get(path, params={"RA": 1, "DEC": 1, "SR": 1})
    assert reply.status_code == 404
    assert reply.headers["content-type"].split(";")[0] == content_type


def test_unknown_pages_are_told_to_people(client):
    reply = client.get("/nothing/here")
    assert reply.status_code == 404
    assert reply.headers["content-type"].split(";")[0] in ("text/html", "text/plain")
