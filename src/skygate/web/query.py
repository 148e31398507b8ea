"""The query page: check, run, leaf through the result, download it. Works without scripts.

Must not know: SQL. A query's meaning and its faults come from the service.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from skygate.domain.catalog import Table
from skygate.domain.query import About, Query
from skygate.doorway import params, stream, urls
from skygate.doorway.errors import fault_of
from skygate.doorway.policy import user_of
from skygate.errors import BadParameter, HouseError, SkygateError, Where
from skygate.formats import media
from skygate.services.leaves import KEPT_ROWS, Leaf
from skygate.settings import Settings
from skygate.web import examples
from skygate.web.faults import shown
from skygate.web.render import cells, count, environment, labelled_formats

if TYPE_CHECKING:
    from skygate.services.house import House

PAGE_ROWS = 50
_LONGEST_LINK = 4000
_SLACK_BYTES = 64 * 1024


class QueryPage:
    """`/query` and `/query/download`."""

    def __init__(self, house: House, settings: Settings) -> None:
        self._house = house
        self._settings = settings

    async def page(self, request: Request) -> Response:
        """The form; after Check or Run, what came of it. A link prefills, and runs only when it says so."""
        asked = await self._asked(request)
        text = (asked.one("query") or "").strip()
        page = asked.one("page")
        action = asked.one("action") or ("run" if page else "")
        if action not in ("", "run", "check"):
            raise BadParameter("action is neither run nor check", where=Where(name="action"))
        found: dict[str, Any] = {"fault": None, "checked": None, "result": None, "link": None}
        status = 200
        headers: dict[str, str] = {}
        if text and action:
            try:
                if action == "check":
                    found["checked"] = await self._house.queries.check(user_of(request), Query(text))
                else:
                    found["result"] = self._result(await self._leaf(request, text, _page_number(page)))
                    found["link"] = self._link(request, text)
            except SkygateError as error:
                fault = fault_of(error)
                found["fault"], status, headers = shown(fault, text), fault.status, dict(fault.headers)
        html = (
            environment()
            .get_template("query.html")
            .render(
                base=request.scope.get("root_path", ""),
                base_url=urls.base_url(request),
                section="query",
                title="Query",
                query=text,
                max_query=self._settings.queries.max_query_kib * 1024,
                tables=[t.full_name for t in self._tables(request)],
                formats=labelled_formats(),
                hard_maxrec=self._settings.queries.hard_maxrec,
                examples=self._examples(request) if not text else [],
                **found,
            )
        )
        return HTMLResponse(html, status, headers=headers)

    async def download(self, request: Request) -> Response:
        """The whole answer as a file, in the format that the pressed button names."""
        asked = await self._asked(request)
        text = (asked.one("query") or "").strip()
        if not text:
            raise BadParameter("there is no query to download the answer of", where=Where(name="query"))
        form = media.pick(asked.one("download") or "csv")
        query = Query(text, self._settings.queries.hard_maxrec)
        rows = await stream.while_connected(request, self._house.queries.run(user_of(request), query))
        about = About(query=text, infos=(("request", urls.url_of(request, "/query")),))
        return await stream.answer(request, rows, form=form, about=about, attachment=True)

    async def _asked(self, request: Request) -> params.Params:
        text_bytes = 3 * self._settings.queries.max_query_kib * 1024 + _SLACK_BYTES
        return await params.collect(request, max_text_bytes=text_bytes, max_bytes=text_bytes)

    async def _leaf(self, request: Request, text: str, page: int) -> Leaf:
        """The page of the answer: from what is kept, else by running the query (again)."""
        house, user = self._house, user_of(request)
        fingerprint = house.releases.catalog(user).fingerprint
        for _ in range(2):
            path = await to_thread.run_sync(house.leaves.find, user, text, fingerprint)
            if path is None:
                started = time.monotonic()
                rows = await stream.while_connected(request, house.queries.run(user, Query(text, KEPT_ROWS)))
                keep = partial(house.leaves.keep, user, text, fingerprint, rows, started=started)
                try:
                    reading = to_thread.run_sync(keep)
                    path = await stream.while_connected(request, reading, on_gone=rows.close)
                finally:
                    await to_thread.run_sync(rows.close)
            leaf = await to_thread.run_sync(house.leaves.leaf, path, page, PAGE_ROWS)
            if leaf is not None:
                return leaf
        raise HouseError("the answer could not be kept for its page")

    def _result(self, leaf: Leaf) -> dict[str, Any]:
        most = self._settings.queries.hard_maxrec
        overflow = (
            f"Its first {count(leaf.kept)} rows can be read here; it has more. "
            f"A download holds the whole answer, up to {count(most)} rows."
        )
        return {
            "total": None if leaf.overflow else leaf.kept,
            "kept": leaf.kept,
            "pages": max(1, -(-leaf.kept // PAGE_ROWS)),
            "page": (leaf.first - 1) // PAGE_ROWS + 1,
            "first": leaf.first,
            "overflow": overflow if leaf.overflow else None,
            "seconds": f"{leaf.seconds:.2g}" if leaf.seconds < 1 else f"{leaf.seconds:.1f}",
            "columns": leaf.columns,
            "rows": cells(leaf.columns, leaf.rows),
        }

    def _link(self, request: Request, text: str) -> str | None:
        link = urls.url_of(request, "/query") + "?" + urlencode({"query": text, "action": "run"})
        return link if len(link) <= _LONGEST_LINK else None

    def _tables(self, request: Request) -> list[Table]:
        catalog = self._house.releases.catalog(user_of(request))
        return [t for s in catalog.schemas if s.release is not None for t in s.tables]

    def _examples(self, request: Request) -> list[examples.Example]:
        tables, spell = self._tables(request), self._house.releases.spell
        made = [e for t in tables[:6] for e in examples.of_table(t, spell, near=examples.somewhere_in(t))[:3]]
        placed = [t for t in tables if t.position is not None]
        if len(placed) > 1:
            made += examples.of_pair(placed[0], placed[1], spell)
        return made


def _page_number(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadParameter("page is not a page number", hint="1, 2, 3 …", where=Where(name="page"))
    return int(text)
