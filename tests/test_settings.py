"""The settings file: what cannot be read stops the start with a sentence."""

import pytest

from skygate.errors import BadParameter
from skygate.settings import Settings


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
