"""Requests that no honest client sends, as bytes on the wire."""
# ruff: noqa: E501  (lists of samples are read across)

import contextlib
import json
import math
from urllib.parse import quote

import pyarrow as pa
from hypothesis import strategies as st

PATHS = (
    "/", "/tap", "/tap/", "/tap/sync", "/tap/sync", "/tap/async", "/tap/tables", "/tap/tables/mini.stars", "/tap/capabilities",
    "/tap/availability", "/cone/mini.stars", "/cone/mini.stars", "/cone/mini.notes", "/cone/", "/health", "/health/ready",
    "/api", "/api/query", "/api/query", "/api/check", "/api/cone", "/api/crossmatch", "/api/openapi.json", "/api/releases",
    "/api/releases/mini", "/api/tables", "/api/tables/mini.stars", "/query", "/query/download", "/tables/mini.stars",
    "/static/style.css", "/static", "/releases/mini", "/releases/mini/report", "/releases/mini/report.json", "/services",
    "/robots.txt", "/favicon.ico",
)  # fmt: skip
GARBAGE = (
    "..", "../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "..%5c..%5c", "%00",
    "%", "%zz", "%ff%fe", "%ed%a0%80", "//", ";", "a" * 3000, "%0d%0aX-Evil:%201", "'\"><script>", "\u00e9",
    "%F0%9F%94%AD", "{}", "__class__", "mini.stars'--", '"mini"."stars"', "*", "CON", ".git/config", "%25%32%65",
)  # fmt: skip
NAMES = (
    "LANG", "QUERY", "query", "MAXREC", "RESPONSEFORMAT", "FORMAT", "REQUEST", "UPLOAD", "RUNID", "PHASE", "RA",
    "DEC", "SR", "VERB", "detail", "page", "table", "", "a[]", "__proto__", "X" * 500, "action", "download", "ra_deg",
    "dec_deg", "radius_deg", "columns", "maxrec", "format", "nearest",
)  # fmt: skip
QUERIES = (
    "SELECT TOP 5 * FROM mini.stars", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
    "COPY mini.stars TO '/tmp/x'", "ATTACH '/tmp/x.db'", "PRAGMA version", "SELECT 1; DROP TABLE mini.stars", "SELECT",
    "SELECT * FROM", "WITH a AS (DELETE FROM mini.stars) SELECT * FROM a", "((((((((((", "SELECT '" + "a" * 5000,
    "SELECT " + "(" * 300 + "1" + ")" * 300 + " FROM mini.stars", "SELECT getenv('HOME') FROM mini.stars", "\u0000",
    "SELECT 1e999 FROM mini.stars", "SELECT TOP 99999999999999999999 id FROM mini.stars", "SELECT id FROM mini.stars "
    "WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(0, 91, 1e308))", "SELECT -- \n", "SELECT/*", "SELECT \"", "EXPLAIN SELECT 1",
    "SELECT id/0 FROM mini.stars", "SELECT LOG(-1) FROM mini.stars", "SELECT CAST('x' AS INTEGER) FROM mini.stars",
    "SELECT \u202eid FROM mini.stars", "SELECT * FROM mini.stars a, mini.stars b, mini.stars c WHERE a.ra > b.ra",
    "SELECT POLYGON(1,2,3) FROM mini.stars", "SELECT BOX(1,2,-3,4) FROM mini.stars", "SELECT REGION('x') FROM mini.stars",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1e400", "-1e400", "nan", "inf", "1_0", "0x10", "9" * 400, "1e-400", "١", "1,5", " 1 ", "+1", "--1",
    "90.0000001", "-90", "360", "720.1", "1.7976931348623157e308", "2147483648", "18446744073709551616", "",
)  # fmt: skip
FORMATS = (
    "votable", "csv", "fits", "json", "parquet", "arrow", "hdf5", "tsv", "html", "image/png", "text/csv;header=absent",
    "application/x-votable+xml;serialization=BINARY3", "text/csv\r\nX-Evil: 1", ";" * 100, "*/*", "a/b;c=\"d", "/",
)  # fmt: skip

values = st.one_of(
    st.sampled_from(QUERIES), st.sampled_from(NUMBERS), st.sampled_from(FORMATS), st.sampled_from(GARBAGE),
    st.sampled_from(("ADQL", "ADQL-2.1", "PQL", "doQuery", "t,http://localhost/", "t,file:///etc/passwd", "min", "max")),
    st.text(max_size=40),
)  # fmt: skip


def _encoded(text: str, how: int) -> bytes:
    """The text percent-encoded, encoded twice, or raw without what would end a request line."""
    if how == 0:
        return quote(text, safe="", errors="surrogatepass").encode()
    if how == 1:
        return quote(quote(text, safe="", errors="surrogatepass"), safe="").encode()
    return text.encode("utf-8", "surrogatepass").replace(b" ", b"+").replace(b"\r", b"").replace(b"\n", b"")


pairs = st.lists(st.tuples(st.sampled_from(NAMES), values, st.sampled_from((0, 0, 0, 1, 2))), max_size=6)
"""(name, value, way of encoding)."""
honest = st.fixed_dictionaries(
    {"LANG": st.just("ADQL"), "QUERY": st.sampled_from(QUERIES), "RA": st.sampled_from(NUMBERS)}
)


@st.composite
def _form(draw: st.DrawFn) -> bytes:
    found = [_encoded(n, 0) + b"=" + _encoded(v, how) for n, v, how in draw(pairs)]
    if draw(st.booleans()):
        found += [_encoded(n, 0) + b"=" + _encoded(v, 0) for n, v in draw(honest).items()]
    return draw(st.sampled_from((b"&", b"&", b"&", b";", b"&&"))).join(found)


@st.composite
def _multipart(draw: st.DrawFn) -> bytes:
    boundary = draw(st.sampled_from((b"b", b"b", b"b", b"c", b"")))
    out = bytearray()
    for name, value, _ in draw(pairs):
        file = draw(
            st.sampled_from((b"", b"", b'; filename="../../x"', b"; filename*=utf-8''%ff", b'; filename="'))
        )
        head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + file
        more = draw(
            st.sampled_from((b"", b"\r\nContent-Type: text/plain; charset=klingon", b"\r\nX:" + b"y" * 900))
        )
        out += (
            b"--"
            + boundary
            + b"\r\n"
            + head
            + more
            + b"\r\n\r\n"
            + value.encode("utf-8", "surrogatepass")
            + b"\r\n"
        )
    return bytes(out) + draw(st.sampled_from((b"--" + boundary + b"--\r\n", b"--" + boundary, b"")))


HEADERS = (
    (b"Accept", b"*/*"), (b"Accept", b"\xff\xfe"), (b"Accept-Encoding", b"gzip;q=2,,;"), (b"Cookie", b"a=" + b"x" * 2000),
    (b"Range", b"bytes=9-1,-,0-"), (b"If-None-Match", b'"'), (b"X-Request-Id", b"a b\tc"), (b"X-Request-Id", b"ok-1"),
    (b"X-Forwarded-Host", b"evil.example/<script>"), (b"X-Forwarded-Proto", b"javascript"), (b"X-Forwarded-For", b",,,"),
    (b"X-Forwarded-Prefix", b"//evil/%00"), (b"X-Forwarded-Port", b"-1"), (b"Forwarded", b"for=_x;host=\"a"),
    (b"Authorization", b"Bearer \xff"), (b"Authorization", b"Basic !!!!"), (b"Origin", b"null"), (b"Expect", b"200-ok"),
    (b"Content-Encoding", b"gzip"), (b"Upgrade", b"websocket"), (b"X-Long", b"z" * 30_000), (b"Host", b"second"),
    (b"Content-Type", b"text/html; charset=\xff"), (b"Accept-Language", b"\t"), (b"Te", b"trailers"),
)  # fmt: skip
METHODS = (b"GET",) * 6 + (b"POST",) * 5 + (
    b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT", b"get", b"PROPFIND", b"\x00", b"G\xc3\x89T",
)  # fmt: skip


CROSSMATCHES = (
    b"/api/crossmatch?table=mini.stars&radius_deg=1", b"/api/crossmatch?table=mini.stars&radius_deg=60&nearest=true",
    b"/api/crossmatch?table=mini.stars&radius_deg=0.1&columns=id&maxrec=1", b"/api/crossmatch?table=mini.notes&radius_deg=1",
)  # fmt: skip
HONEST_JSON = (
    {"query": "SELECT TOP 5 * FROM mini.stars"},
    {"table": "mini.stars", "ra_deg": 1, "dec_deg": 2, "radius_deg": 3},
)
scalars = st.one_of(
    values, st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from((10**400, -0.0, [], {}, [None], {"a": {}}))
)  # fmt: skip


@st.composite
def _json(draw: st.DrawFn) -> bytes:
    """A body for the API: honest members, some of them replaced by what they should not be."""
    members: dict[str, object] = dict(draw(st.sampled_from(HONEST_JSON)))
    for name in draw(
        st.lists(st.sampled_from((*members, "maxrec", "format", "columns", "nonsense")), max_size=3)
    ):
        members[name] = draw(scalars)
    text = json.dumps(draw(st.sampled_from((members, members, members, [members], "x", 1))))
    return draw(
        st.sampled_from((text, text, text, text[:-1], text.replace('"', "'"), "\ufeff" + text))
    ).encode("utf-8", "surrogatepass")


TOLD = (
    {}, {b"arraysize": b"100000000000000"}, {b"unit": b"\xff"}, {b"ucd": b"\x00"}, {b"description": b"<x>" * 3000},
    {b"ARROW:extension:name": b"arrow.json", b"ARROW:extension:metadata": b"{"}, {b"pandas": b"{\"index_columns\": 1}"},
)  # fmt: skip
KINDS = (pa.float64(), pa.float64(), pa.float32(), pa.int64(), pa.string(), pa.bool_(), pa.decimal128(20, 3))


@st.composite
def _column(draw: st.DrawFn, rows: int) -> pa.Array:
    """Numbers, or texts, or what nobody wants: plain, in a dictionary, in lists, of a strange type."""
    numbers = draw(
        st.lists(
            st.sampled_from((0.0, 0.0, 10.5, 91.0, -1.0, 400.0, math.nan, math.inf, None, 1e308)),
            min_size=rows,
            max_size=rows,
        )
    )
    column = pa.array([None if n is None else str(n) for n in numbers], pa.string())
    with contextlib.suppress(pa.ArrowInvalid):
        column = column.cast(draw(st.sampled_from(KINDS)))
    how = draw(
        st.sampled_from(
            ("plain",) * 5 + ("dictionary", "lists", "fixed", "struct", "view", "nothing", "binary")
        )
    )
    if how == "dictionary":
        column = column.dictionary_encode()
    elif how == "lists":
        column = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), column)
    elif how == "fixed":
        column = pa.FixedSizeListArray.from_arrays(column, 1)
    elif how == "struct":
        column = pa.StructArray.from_arrays([column], ["a"])
    elif how == "view":
        column = column.cast(pa.string()).cast(pa.string_view())
    elif how == "nothing":
        column = pa.nulls(rows)
    elif how == "binary":
        column = pa.array([b"\xff\x00"] * rows, pa.binary())
    return column


@st.composite
def _arrow(draw: st.DrawFn) -> bytes:
    """Positions as an Arrow stream: whole, cut, or with bytes turned."""
    names = draw(
        st.sampled_from(
            (("ra", "dec"),) * 3
            + (
                ("ra", "ra"),
                ("RA", "Dec"),
                ("x", "y"),
                ("ra", "dec", "row"),
                ("ra", ""),
                ("ra", "dec", "\udc00"),
            )
        )
    )
    rows = draw(st.integers(0, 4))
    columns = [draw(_column(rows)) for _ in names]
    fields = [
        pa.field(n.encode(errors="replace").decode(), c.type, metadata=draw(st.sampled_from(TOLD)))
        for n, c in zip(names, columns, strict=True)
    ]
    schema = pa.schema(fields, metadata=draw(st.sampled_from(TOLD)))
    options = pa.ipc.IpcWriteOptions(compression=draw(st.sampled_from((None, None, "lz4", "zstd"))))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    whole = bytearray(sink.getvalue().to_pybytes())
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 5)))):
        whole[draw(st.integers(0, len(whole) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(whole[: draw(st.sampled_from((len(whole),) * 4 + (len(whole) // 2, 3, 0)))])


@st.composite
def _in_chunks(draw: st.DrawFn, body: bytes) -> bytes:
    """A body sent piece by piece, nearly always as HTTP wants it."""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    out = bytearray()
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        if piece := body[begin:end]:
            size = draw(
                st.sampled_from(
                    (b"%x" % len(piece),) * 12 + (b"-1", b"ZZ", b"f" * 20, b"", b"5;x=\xff", b"0")
                )
            )
            out += size + b"\r\n" + piece + b"\r\n"
    return bytes(out) + draw(
        st.sampled_from((b"0\r\n\r\n",) * 4 + (b"0\r\nX-Late: 1\r\n\r\n", b"0\r\n\xff\r\n\r\n", b""))
    )


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A whole request; with POST nearly always as long as it says."""
    method = draw(st.sampled_from(METHODS))
    path = draw(st.sampled_from(PATHS)).encode()
    if draw(st.integers(0, 3)) == 0:
        path += b"/" + draw(st.sampled_from(GARBAGE)).encode()
    query = draw(_form()) if draw(st.booleans()) or method == b"GET" else b""
    target = path + (b"?" + query if query else b"")
    target = draw(
        st.sampled_from((target,) * 12 + (b"http://evil.example" + target, b"*", b"", b"//" + target))
    )
    kind, body = b"", b""
    if method in (b"POST", b"PUT", b"PATCH"):
        kind, body = draw(
            st.one_of(
                st.tuples(
                    st.sampled_from((b"application/json", b"application/json; charset=utf-16")), _json()
                ),
                st.tuples(st.just(b"application/vnd.apache.arrow.stream"), _arrow()),
                st.tuples(st.just(b"application/x-www-form-urlencoded"), _form()),
                st.tuples(st.just(b"application/x-www-form-urlencoded"), st.binary(max_size=200)),
                st.tuples(
                    st.sampled_from((b"multipart/form-data; boundary=b", b"multipart/form-data")),
                    _multipart(),
                ),
                st.tuples(
                    st.sampled_from((b"application/json", b"", b"image/png", b"multipart/mixed; boundary=b")),
                    st.one_of(
                        st.binary(max_size=100),
                        st.sampled_from((b"{", b"[" * 3000, b'{"query": 1}', b"null")),
                    ),
                ),
            )
        )
    if kind.endswith(b"arrow.stream") and draw(st.integers(0, 3)):
        target = draw(st.sampled_from(CROSSMATCHES))
    chunked = bool(kind) and draw(st.integers(0, 3)) == 0
    length = draw(
        st.sampled_from((str(len(body)).encode(),) * 12 + (b"-1", b"abc", b"1" * 30, b"0", b"3, 4"))
    )
    lines = [
        method
        + b" "
        + target
        + b" "
        + draw(st.sampled_from((b"HTTP/1.1",) * 15 + (b"HTTP/1.0", b"HTTP/9.9", b"")))
    ]
    lines += [
        b"Host: "
        + draw(st.sampled_from((b"localhost",) * 8 + (b"", b'"><script>', b"a b", b"[::1]", b"x" * 300)))
    ]
    lines += [b"Connection: close"]
    lines += [name + b": " + value for name, value in draw(st.lists(st.sampled_from(HEADERS), max_size=3))]
    if kind:
        lines.append(b"Content-Type: " + kind)
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = draw(_in_chunks(body))
    if (body or method == b"POST") and (not chunked or draw(st.integers(0, 7)) == 0):
        lines.append(b"Content-Length: " + length)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
