"""`skygate.connect`: a service by its URL, or a directory of releases without any server."""

from __future__ import annotations

import os
from pathlib import Path

from skygate.client import Client
from skygate.errors import BadParameter, NotFound, Where

_SCHEMES = ("http://", "https://")
_IN_PROCESS = "http://localhost"


def connect(target: str | os.PathLike[str] | None = None, *, timeout_s: float = 600.0) -> Client:
    """A client of the service at a URL, or of the releases in a directory (`$SKYGATE_ROOT` by default).

    Raises `NotFound` where no directory or no release is, `BadParameter` for what is neither URL nor path.
    """
    if isinstance(target, str) and target.lower().startswith(_SCHEMES):
        return Client(target, timeout_s=timeout_s)
    if isinstance(target, str) and "://" in target:
        raise BadParameter(
            f"{target!r} is no address of a service",
            hint="give an http:// or https:// URL, or a directory",
            where=Where(name="target"),
        )
    return _in_directory(None if target is None else Path(target), timeout_s=timeout_s)


def _in_directory(root: Path | None, *, timeout_s: float) -> Client:
    from skygate.settings import default_root, read_settings

    given = (default_root() if root is None else root).expanduser()
    if not given.is_dir():
        raise NotFound(
            f"there is no directory {given}",
            hint="publish something there first (skygate publish), or give the URL of a service",
        )
    if not (given / "releases").is_dir():
        raise NotFound(
            f"nothing is published in {given}",
            hint=f"skygate publish --root {given} NAME FILE… makes a release there",
        )
    from skygate.app import create_app
    from skygate.assembly import open_house
    from skygate.direct import Direct
    from skygate.inprocess import InProcess

    settings = read_settings(root=given.resolve())
    house = open_house(settings)
    transport = InProcess(create_app(house, settings))
    inside = Direct(house, settings.uploads, wait=transport.do)
    transport.before_closing(inside.close)
    return Client(_IN_PROCESS, transport=transport, timeout_s=timeout_s, inside=inside)
