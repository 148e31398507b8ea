"""Pages about what is published: releases, tables, reports, addresses.

Must not know: engines, files of a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from skygate.domain.catalog import Column, Release, Table
from skygate.doorway import urls
from skygate.doorway.policy import user_of
from skygate.errors import BrokenRelease
from skygate.release import report_page
from skygate.release.skymap import sky_map
from skygate.settings import Settings
from skygate.web import examples
from skygate.web.render import cells, environment, labelled_formats, number, percent, spark, type_of

if TYPE_CHECKING:
    from skygate.services.house import House

SAMPLE_ROWS = 10
_KEPT_SKIES = 256


@dataclass(frozen=True, slots=True)
class Sky:
    """A table's picture on the sky."""

    table: str
    svg: Markup
    caption: str


class CatalogPages:
    """Home, release, report, table and services."""

    def __init__(self, house: House, settings: Settings) -> None:
        self._house = house
        self._settings = settings
        self._skies: dict[tuple[str, str, str], Sky | None] = {}

    async def home(self, request: Request) -> Response:
        """Every release; the only one at once."""
        found = sorted(self._house.releases.catalog(user_of(request)).releases(), key=lambda r: r.title)
        if len(found) == 1:
            return self._release(request, found[0])
        total = sum(t.rows or 0 for r in found for t in r.tables)
        return self._page(
            request,
            "home.html",
            "home",
            "Releases",
            releases=found,
            total_rows=total,
            root=self._settings.root,
        )

    async def release(self, request: Request) -> Response:
        """What a release is, its tables, where they are on the sky, how to cite it."""
        name = request.path_params["name"]
        return self._release(request, self._house.releases.release(user_of(request), name))

    async def report(self, request: Request) -> Response:
        """The validation report."""
        user, name = user_of(request), request.path_params["name"]
        release = self._house.releases.release(user, name)
        fragment = Markup(report_page.render(self._house.releases.report(user, name)))  # noqa: S704  (escaped by its template)
        return self._page(
            request, "report.html", "home", f"Validation of {release.title}", release=release, report=fragment
        )

    async def report_json(self, request: Request) -> Response:
        """The validation report as JSON."""
        return JSONResponse(self._house.releases.report(user_of(request), request.path_params["name"]))

    async def table(self, request: Request) -> Response:
        """A table: columns with unit, UCD, description and statistics; sample rows; queries to start from."""
        user, name = user_of(request), request.path_params["name"]
        table = self._house.releases.table(user, name)
        if name != table.full_name:
            return RedirectResponse(urls.url_of(request, f"/tables/{table.full_name}"), 307)
        release = next(
            (s.release for s in self._house.releases.catalog(user).schemas if s.name == table.schema), None
        )
        rows = await self._house.queries.sample(user, table.full_name, SAMPLE_ROWS)
        cone = urls.url_of(request, f"/cone/{table.full_name}") + "?RA=…&DEC=…&SR=…"
        return self._page(
            request,
            "table.html",
            "home",
            table.full_name,
            table=table,
            release=release,
            columns=[_shown(c, table.rows) for c in table.columns],
            sample={"columns": table.columns, "rows": cells(table.columns, rows)},
            examples=examples.of_table(table, self._house.releases.spell, near=examples.somewhere_in(table)),
            cone_url=cone if release and table.position and table.identifier else None,
            sky=self._sky(release, table) if release else None,
        )

    async def services(self, request: Request) -> Response:
        """The addresses for programs, with something to paste."""
        catalog = self._house.releases.catalog(user_of(request))
        tables = [t for s in catalog.schemas if s.release for t in s.tables]
        example = f"SELECT TOP 5 * FROM {tables[0].full_name if tables else 'tap_schema.tables'}"
        cones = [
            {"table": t.full_name, "url": urls.url_of(request, f"/cone/{t.full_name}") + "?RA=…&DEC=…&SR=…"}
            for t in tables
            if t.position and t.identifier
        ]
        return self._page(
            request,
            "services.html",
            "services",
            "Services",
            example=example,
            cones=cones,
            formats=labelled_formats(),
        )

    def _release(self, request: Request, release: Release) -> Response:
        skies = [s for t in release.tables if (s := self._sky(release, t)) is not None]
        return self._page(request, "release.html", "home", release.title, release=release, skies=skies)

    def _sky(self, release: Release, table: Table) -> Sky | None:
        """The picture of the table's counts, which were made at publish."""
        key = (release.checksum, release.path, table.name)
        if key not in self._skies:
            if len(self._skies) >= _KEPT_SKIES:
                self._skies.clear()
            try:
                report = self._house.releases.report_of(release)
            except BrokenRelease:
                return None  # a page can do without its picture; `skygate check` tells the operator
            self._skies[key] = _drawn(report, table)
        return self._skies[key]

    def _page(self, request: Request, template: str, section: str, title: str, **found: Any) -> Response:
        html = (
            environment()
            .get_template(template)
            .render(
                base=request.scope.get("root_path", ""),
                base_url=urls.base_url(request),
                section=section,
                title=title,
                **found,
            )
        )
        return HTMLResponse(html)


def _drawn(report: Mapping[str, Any], table: Table) -> Sky | None:
    sky = next((t.get("sky") for t in report["tables"] if t["name"] == table.name), None)
    made = sky_map(sky["counts"], sky["order"]) if sky else None
    return None if made is None else Sky(table.full_name, Markup(made.svg), made.words)  # noqa: S704


def _shown(column: Column, rows: int | None) -> dict[str, Any]:
    """A line of the table of columns."""
    stats = column.stats
    low, high = (stats.minimum, stats.maximum) if stats else (None, None)
    return {
        "name": column.name,
        "type": type_of(column),
        "unit": column.unit,
        "ucd": column.ucd,
        "description": column.description,
        "minimum": _value(low),
        "maximum": _value(high),
        "missing": percent(stats.nulls + stats.nans, rows) if stats else "",
        "spark": spark(stats),
    }


def _value(value: float | int | str | bool | None) -> str:
    if isinstance(value, str):
        return value if len(value) <= 24 else value[:24] + "…"
    if isinstance(value, bool):
        return str(value).lower()
    return number(value)
