"""Where the outside world finds us."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from skygate.domain.account import Policy
from skygate.doorway import urls
from skygate.doorway.policy import route
from skygate.settings import Server

FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "data.example.org",
    "X-Forwarded-Prefix": "/sky/",
}


@pytest.fixture
def client_of(app_of):
    async def door(request: Request) -> Response:
        return PlainTextResponse(urls.url_of(request, "/tap/sync"))

    def make(peer: str = "127.0.0.1", **server: object) -> TestClient:
        app = app_of(
            route("/where", door, methods=("GET",), policy=Policy.PUBLIC),
            server=Server.model_validate(server),
        )
        return TestClient(app, base_url="http://here.example:8000", client=(peer, 5))

    return make


def test_the_request_says_it(client_of):
    assert client_of().get("/where").text == "http://here.example:8000/tap/sync"


def test_a_trusted_proxy_is_believed(client_of):
    assert client_of().get("/where", headers=FORWARDED).text == "https://data.example.org/sky/tap/sync"


def test_a_stranger_is_not(client_of):
    said = client_of(peer="203.0.113.9").get("/where", headers=FORWARDED).text
    assert said == "http://here.example:8000/tap/sync"


def test_networks_can_be_trusted(client_of):
    said = (
        client_of(peer="10.1.2.3", trusted_proxies="192.0.2.1, 10.0.0.0/8")
        .get("/where", headers=FORWARDED)
        .text
    )
    assert said.startswith("https://data.example.org/")


def test_the_setting_wins_over_everything(client_of):
    client = client_of(base_url="https://archive.example/gate/")
    assert client.get("/where", headers=FORWARDED).text == "https://archive.example/gate/tap/sync"


@pytest.mark.parametrize("path", ["/where", "/gate/where", "/gate//where/", "/where/"])
def test_a_prefix_is_found_whether_the_proxy_strips_it_or_not(client_of, path):
    client = client_of(base_url="https://archive.example/gate")
    assert client.get(path).text == "https://archive.example/gate/tap/sync"


def test_a_forwarded_port_is_kept_when_it_is_unusual(client_of):
    headers = {"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"}
    assert client_of().get("/where", headers=headers).text == "https://a.example:8443/tap/sync"
    headers["X-Forwarded-Port"] = "443"
    assert client_of().get("/where", headers=headers).text == "https://a.example/tap/sync"


@pytest.mark.parametrize("host", ['"><script>', "a b", "", "x" * 400, "a:99999999", "é"])
def test_a_host_that_is_none_is_refused(client_of, host):
    reply = client_of().get("/where", headers={"Host": host.encode("latin-1")})
    if host:
        assert reply.status_code == 400
        assert "<script>" not in reply.text
    else:
        assert reply.status_code == 200


def test_the_client_behind_proxies_is_the_last_that_is_none():
    scope = {
        "client": ("127.0.0.1", 1),
        "headers": [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.7, 127.0.0.1")],
    }
    assert urls.client_of(scope, Server()) == "203.0.113.7"
    assert urls.client_of({**scope, "client": ("203.0.113.9", 1)}, Server()) == "203.0.113.9"
