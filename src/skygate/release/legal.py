"""Names that a release, a table or a column may have: regular identifiers of ADQL, and what is like them.

Rules: ADQL 2.1 section 2.1.2 (identifiers, reserved words) and TAP 1.1 section 4.2 (schemas of a service).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
LONGEST = 63
"""Longer names are cut by databases and tools that users load answers into."""

HOUSE_SCHEMAS = frozenset({"tap_schema", "tap_upload", "ivoa", "information_schema"})
"""Schemas that a service has for itself."""

RESERVED = frozenset(
    """
    abs absolute acos action add all allocate alter and any are area as asc asin assertion at atan atan2
    authorization avg begin between bigint bit bit_length both box by cascade cascaded case cast catalog
    ceiling centroid char char_length character character_length check circle close coalesce collate
    collation column commit connect connection constraint constraints contains continue convert coord1
    coord2 coordsys corresponding cos cot count create cross current current_date current_time
    current_timestamp current_user cursor date day deallocate decimal declare default deferrable
    deferred degrees delete desc describe descriptor diagnostics disconnect distance distinct domain
    double drop else end end-exec escape except exception exec execute exists exp external extract false
    fetch first float floor for foreign found from full get global go goto grant group having hour
    identity ilike immediate in in_unit indicator initially inner input insensitive insert int integer
    intersect intersects interval into is isolation join key language last leading left level like local
    log log10 lower match max min minute mod module month names national natural nchar next no not null
    nullif numeric octet_length of offset on only open option or order outer output overlaps pad partial
    pi point polygon position power precision prepare preserve primary prior privileges procedure public
    radians rand read real references region relative restrict revoke right rollback round rows schema
    scroll second section select session session_user set sin size smallint some space sql sqlcode
    sqlerror sqlstate sqrt substring sum system_user table tan temporary then time timestamp
    timezone_hour timezone_minute to top trailing transaction translate translation trim true truncate
    union unique unknown update upper usage user using value values varchar varying view when whenever
    where with work write year zone
    """.split()  # noqa: SIM905 (a list of words reads better)
)
"""Words that a query must quote when they name something (SQL-92's and ADQL's own)."""


def fault_of_name(name: str, what: str) -> str | None:
    """Why `name` cannot be the name of a `what` (release, table or column), or None when it can."""
    if not REGULAR.match(name):
        return "expected letters, digits and underscores, beginning with a letter"
    if len(name) > LONGEST:
        return f"expected at most {LONGEST} characters, not {len(name)}"
    if what == "column":
        return None
    if name.lower() in RESERVED:
        return f"{name.upper()} is a reserved word of ADQL"
    if what == "release" and name.lower() in HOUSE_SCHEMAS:
        return f"{name} is a schema that the service has for itself"
    return None


def legal_name(text: str, what: str = "table") -> str:
    """The nearest legal name of a `what` to any text, in lower case ("2MASS PSC" → "t_2mass_psc")."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()
    if not name or not name[0].isalpha():
        name = f"t_{name}".rstrip("_")
    name = name[:LONGEST].rstrip("_")
    return name if fault_of_name(name, what) is None else f"{name[: LONGEST - 2]}_1"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None."""
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
