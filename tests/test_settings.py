"""The settings file: what cannot be read stops the start with a sentence."""

import pytest

from skygate.assembly import bounds_of
from skygate.errors import BadParameter
from skygate.settings import Settings, read_settings


@pytest.mark.parametrize("content", [b"a = [", b"\xff\xfe", None], ids=["no TOML", "no UTF-8", "no file"])
def test_a_settings_file_that_cannot_be_read(tmp_path, monkeypatch, content):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SKYGATE_CONFIG", str(path))
    with pytest.raises(BadParameter, match=r"mine\.toml"):
        Settings()


def test_a_settings_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_text("[queries]\nsync_seconds = 7\n")
    monkeypatch.setenv("SKYGATE_CONFIG", str(path))
    assert Settings().queries.sync_seconds == 7


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nope", "1", "no setting nope"),
        ("rot", "x", "did you mean root"),
        ("server.nope", "1", "no setting server.nope"),
        ("server.prot", "1", "did you mean server.port"),
        ("server.base_url", "javascript:alert(1)", "http://"),
        ("server.base_url", "//host/path", "http://"),
        ("server.base_url", "https://host/?a=b", "http://"),
        ("server.base_url", "https://host/#a", "http://"),
        ("server.base_url", "https://host:99999/", "base_url"),
        ("server.base_url", "", "http://"),
        ("server.trusted_proxies", "127.0.0.1,not,an,ip", "'not' is no address"),
        ("queries.sync_seconds", "inf", "finite"),
        ("queries.sync_seconds", "nan", "sync_seconds"),
        ("queries.memory_gib", "inf", "finite"),
        ("queries.default_maxrec", "20000000", "more than hard_maxrec"),
    ],
)
@pytest.mark.parametrize("by", ["environment", "file"])
def test_nonsense_is_refused_by_name(tmp_path, monkeypatch, name, value, said, by):
    path = tmp_path / "mine.toml"
    path.write_text("")
    monkeypatch.setenv("SKYGATE_CONFIG", str(path))
    variable = "SKYGATE__" + name.upper().replace(".", "__")
    if by == "environment":
        monkeypatch.setenv(variable, value)
    else:
        group, _, field = name.rpartition(".")
        shown = value if group == "queries" else f'"{value}"'
        path.write_text((f"[{group}]\n" if group else "") + f"{field} = {shown}\n")
    with pytest.raises(BadParameter) as told:
        read_settings()
    assert said in str(told.value)
    if name != "queries.default_maxrec":
        assert (variable if by == "environment" else "mine.toml") in str(told.value)


def test_what_makes_sense_is_taken(monkeypatch):
    monkeypatch.setenv("SKYGATE__SERVER__BASE_URL", "https://[2001:db8::1]:8443/sky/")
    monkeypatch.setenv("SKYGATE__SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8, ::1, *")
    monkeypatch.setenv("SKYGATE__QUERIES__HARD_MAXREC", "500")
    found = read_settings()
    assert found.server.base_url == "https://[2001:db8::1]:8443/sky/"
    assert bounds_of(found, memory_bytes=1 << 30, running=1).default_maxrec == 500
