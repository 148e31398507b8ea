"""The client: one method for each thing that one can ask."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx2
import pyarrow as pa

from skygate import wire
from skygate.client.density import Density, SkyDensity, to_density, to_sky_density
from skygate.client.inside import Inside, read
from skygate.client.positions import to_positions
from skygate.client.result import Result, collected, warn_if_cut
from skygate.client.show import Listing, listing
from skygate.client.wires import ARROW, Streamed, get_json, post_for_rows, post_json
from skygate.domain.catalog import Column, Release, Table
from skygate.errors import BadParameter, Where

_CONNECT_S = 10.0


class Client:
    """Questions to one service. Close it (or use it in `with`) to free its connections."""

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        timeout_s: float = 600.0,
        inside: Inside | None = None,
    ) -> None:
        self._inside = inside
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
        self._http = httpx2.Client(
            base_url=base_url.rstrip("/") + "/",
            transport=transport,
            timeout=timeout,
            follow_redirects=True,
            headers={"Accept": f"{ARROW}, application/json"},
        )

    def query(self, adql: str, *, maxrec: int | None = None) -> Result:
        """Run ADQL and read its answer. Warns with `TruncatedWarning` when MAXREC cut it.

        Raises `BadQuery` (line, column and nearest names in it), `TooCostly`, `Busy` …; a broken
        connection is a `NeighbourError`, never a shorter answer.
        """
        inner = self._inside.query(adql, maxrec) if self._inside is not None else None
        if inner is not None:
            return warn_if_cut(read(inner, adql))
        with self.stream(adql, maxrec=maxrec) as rows:
            return warn_if_cut(collected(rows, adql))

    def stream(self, adql: str, *, maxrec: int | None = None) -> Streamed:
        """Run ADQL and read its record batches as they come, for answers larger than memory.

        Iterate to the end (only then is `outcome` known), and close it or use it in `with`.
        """
        body = {"query": adql, "maxrec": maxrec, "format": "arrow"}
        return post_for_rows(self._http, "api/query", json=body)

    def check(self, adql: str) -> tuple[Column, ...]:
        """The columns that a query would have, without running it; raises `BadQuery`."""
        told = post_json(self._http, "api/check", {"query": adql})
        return tuple(wire.from_json(Column, c) for c in told["columns"])

    def cone(
        self,
        table: str,
        ra: float,
        dec: float,
        radius_deg: float,
        *,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
    ) -> Result:
        """The rows of a table at most `radius_deg` from a position (ICRS degrees)."""
        place = _finite("ra", ra), _finite("dec", dec), _finite("radius_deg", radius_deg)
        chosen = None if columns is None else list(columns)
        if self._inside is not None:
            inner = self._inside.cone(table, *place, chosen, maxrec)
            if inner is not None:
                return warn_if_cut(read(inner))
        body: dict[str, Any] = {
            "table": table,
            "ra_deg": place[0],
            "dec_deg": place[1],
            "radius_deg": place[2],
            "columns": chosen,
            "maxrec": maxrec,
            "format": "arrow",
        }
        with post_for_rows(self._http, "api/cone", json=body) as rows:
            return warn_if_cut(collected(rows))

    def crossmatch(
        self,
        table: str,
        positions: Any,
        radius_deg: float,
        *,
        nearest: bool = False,
        columns: Sequence[str] | None = None,
        maxrec: int | None = None,
    ) -> Result:
        """The rows of a table within `radius_deg` of each of your positions.

        `positions` has `ra` and `dec` in ICRS degrees: an Arrow, pandas, polars or astropy table, a
        SkyCoord, or a dict of columns. `nearest` keeps only the closest row for each of them.
        """
        sent = to_positions(positions)
        if self._inside is not None:
            chosen = None if columns is None else list(columns)
            inner = self._inside.crossmatch(table, sent, float(radius_deg), nearest, chosen, maxrec)
            if inner is not None:
                return warn_if_cut(read(inner))
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, sent.schema) as writer:
            writer.write_table(sent)
        asked: dict[str, Any] = {"table": table, "radius_deg": repr(float(radius_deg)), "nearest": nearest}
        asked |= {k: v for k, v in (("columns", columns), ("maxrec", maxrec)) if v is not None}
        headers = {"Content-Type": ARROW}
        with post_for_rows(
            self._http, "api/crossmatch", params=asked, content=sink.getvalue(), headers=headers
        ) as rows:
            return warn_if_cut(collected(rows))

    def density(
        self,
        table: str,
        x: str,
        y: str,
        *,
        bins: int | tuple[int, int] = 512,
        range: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None),
        where: str | None = None,
        mean: str | None = None,
    ) -> Density:
        """Rows of a table counted in `bins` of two ADQL expressions, whatever their number.

        `range` are the ends of x and of y, None for the least and the greatest value; `where` is an ADQL
        condition; `mean` an expression that is averaged in each bin. Raises `BadParameter` with the name of
        what is wrong.
        """
        of_x, of_y = (bins, bins) if isinstance(bins, int) else bins
        body: dict[str, Any] = {"table": table, "x": x, "y": y, "x_bins": of_x, "y_bins": of_y}
        for name, ends in zip("xy", range, strict=True):
            if ends is not None:
                body |= {f"{name}_low": _finite("range", ends[0]), f"{name}_high": _finite("range", ends[1])}
        body |= {"where": where, "mean": mean, "format": "arrow"}
        with post_for_rows(self._http, "api/density", json=body) as rows:
            return to_density(collected(rows).rows)

    def sky_density(
        self, table: str, order: int, *, where: str | None = None, mean: str | None = None
    ) -> SkyDensity:
        """Rows of a table counted in HEALPix cells (NESTED, ICRS) of an order from 0 to 9."""
        body = {"table": table, "order": order, "where": where, "mean": mean, "format": "arrow"}
        with post_for_rows(self._http, "api/density/sky", json=body) as rows:
            return to_sky_density(collected(rows).rows, order)

    def tables(self) -> Listing[Table]:
        """Every table that can be queried, with its columns."""
        return listing(wire.from_json(Table, t) for t in get_json(self._http, "api/tables")["tables"])

    def releases(self) -> Listing[Release]:
        """Every release, with its version, citation and tables."""
        return listing(wire.from_json(Release, r) for r in get_json(self._http, "api/releases")["releases"])

    def close(self) -> None:
        """Close connections; a house opened in process is closed with its client."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Where it is connected to."""
        return f"Client({str(self._http.base_url).rstrip('/')!r})"


def _finite(name: str, value: Any) -> float:
    """A number for the wire; raises `BadParameter` for what is none (JSON knows neither NaN nor infinity)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadParameter(
            f"{name} is {value!r:.60}, not a finite number", hint="degrees", where=Where(name=name)
        )
    return number
