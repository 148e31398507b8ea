"""Where an answer comes from: who answered, when, and which releases its rows are of.

Names of the IVOA note on data origin (1.1, sections 3 and 4) where it has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from starlette.requests import Request

from skygate.domain.catalog import Catalog, Release, Table
from skygate.doorway import requests, urls

Infos = tuple[tuple[str, str], ...]


def infos(
    request: Request, catalog: Catalog, tables: Iterable[Table], *, protocol: str | None = None
) -> Infos:
    """The remarks that go with rows of these tables; `protocol` is the standard that was spoken."""
    spoken = (("service_protocol", protocol),) if protocol else ()
    asked = ("request", urls.url_of(request, urls.path_of(request.scope)))
    return local_infos(catalog, tables, (*spoken, asked))


def local_infos(catalog: Catalog, tables: Iterable[Table], asked: Infos = ()) -> Infos:
    """The same of an answer that no request has asked for."""
    schemas = {table.schema for table in tables}
    told = (
        ("server_software", requests.SOFTWARE),
        *asked,
        ("request_date", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
    return told + tuple(
        pair for release in catalog.releases() if release.name in schemas for pair in _of_release(release)
    )


def _of_release(release: Release) -> Infos:
    """What names exactly these data, and how to cite them."""
    pairs = (
        ("release", release.name),
        ("resource_version", release.version),
        ("checksum", release.checksum),
        ("publication_date", release.published_at),
        ("citation", release.citation),
        ("doi", release.doi),
        ("rights", release.licence),
        *(("creator", name) for name in release.creators),
    )
    return tuple((name, value) for name, value in pairs if value)
