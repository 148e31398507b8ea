"""The capabilities document of the TAP service (VOSI 1.1, section 3; TAPRegExt 1.0).

Generated: languages and functions from the tables of `skygate.adql`, output formats from `skygate.formats`,
limits from the settings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

from starlette.requests import Request

from skygate.adql.functions import FUNCTIONS, Feature, Function
from skygate.doorway import urls
from skygate.formats.media import FORMATS
from skygate.settings import Settings
from skygate.vo import xml

_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"
_VERSIONS = (("2.0", "ivo://ivoa.net/std/ADQL#v2.0"), ("2.1", "ivo://ivoa.net/std/ADQL#v2.1"))
_VOSI = (
    ("ivo://ivoa.net/std/VOSI#capabilities", "/tap/capabilities"),
    ("ivo://ivoa.net/std/VOSI#availability", "/tap/availability"),
    ("ivo://ivoa.net/std/VOSI#tables-1.1", "/tap/tables"),
)
_UNDECLARED = (Feature.CORE, Feature.CONDITIONAL)
"""What every service has; and COALESCE, whose feature type validators in use refuse (decision 095)."""
_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("adql-string", "ILIKE", "LIKE without regard to case"),
    ("adql-sets", "UNION", "rows of both queries; UNION ALL keeps duplicates"),
    ("adql-sets", "EXCEPT", "rows of the first query that the second does not give"),
    ("adql-sets", "INTERSECT", "rows that both queries give"),
    ("adql-common-table", "WITH", "named sub-queries before SELECT"),
    ("adql-type", "CAST", "CAST(value AS type)"),
    ("adql-offset", "OFFSET", "rows to leave out at the beginning"),
)
"""Optional parts of ADQL 2.1 (section 2.3.1) that are syntax and not functions: type, form, description."""


def capabilities(request: Request, settings: Settings) -> xml.Element:
    """The whole document, with absolute external addresses."""
    top = xml.root(
        "capabilities",
        namespace=xml.CAPABILITIES,
        prefixes={
            "vosi": xml.CAPABILITIES,
            "vr": xml.VORESOURCE,
            "vs": xml.VODATASERVICE,
            "tr": xml.TAPREGEXT,
        },
    )
    for standard, path in _VOSI:
        one = xml.add(top, "capability", attributes={"standardID": standard})
        _interface(one, urls.url_of(request, path), version=None, use="full")
    tap = xml.add(
        top, "capability", attributes={"standardID": "ivo://ivoa.net/std/TAP"}, kind="tr:TableAccess"
    )
    _interface(tap, urls.url_of(request, "/tap"), version="1.1", use="base")
    _language(tap)
    _formats(tap)
    _limits(tap, settings)
    return top


def _interface(parent: xml.Element, url: str, *, version: str | None, use: str) -> None:
    interface = xml.add(
        parent, "interface", attributes={"role": "std", "version": version}, kind="vs:ParamHTTP"
    )
    xml.add(interface, "accessURL", url, attributes={"use": use})


def _language(parent: xml.Element) -> None:
    language = xml.add(parent, "language")
    xml.add(language, "name", "ADQL")
    for version, identifier in _VERSIONS:
        xml.add(language, "version", version, attributes={"ivo-id": identifier})
    xml.add(language, "description", "The Astronomical Data Query Language, whole")
    for kind, features in groupby(sorted(_features()), key=lambda feature: feature[0]):
        group = xml.add(language, "languageFeatures", attributes={"type": kind})
        for _, form, description in features:
            feature = xml.add(group, "feature")
            xml.add(feature, "form", form)
            xml.add_if(feature, "description", description)


def _features() -> Iterator[tuple[str, str, str]]:
    """(type, form, description) of every optional feature of the language."""
    for kind, form, description in _SYNTAX:
        yield _FEATURES + kind, form, description
    found = (feature_of(function) for function in FUNCTIONS)
    yield from dict.fromkeys(feature for feature in found if feature is not None)


def feature_of(function: Function) -> tuple[str, str, str] | None:
    """How a function is declared (TAPRegExt 1.0, section 2.3); None for those that are not."""
    if function.feature in _UNDECLARED:
        return None
    if function.feature is not Feature.UDF:
        return _FEATURES + function.feature.value, function.name, function.description
    name, rest = function.signature[: len(function.name)], function.signature[len(function.name) :]
    description = function.description + (f" Example: {function.example}" if function.example else "")
    return _FEATURES + function.feature.value, name.lower() + rest, description


def _formats(parent: xml.Element) -> None:
    for form in FORMATS:
        for media_type in form.media_types:
            own = media_type == form.media_types[0]
            output = xml.add(parent, "outputFormat", attributes={"ivo-id": form.ivo_id if own else None})
            xml.add(output, "mime", media_type)
            for alias in form.short_names if own else ():
                xml.add(output, "alias", alias)


def _limits(parent: xml.Element, settings: Settings) -> None:
    """What a query may take: seconds and rows."""
    seconds = str(math.ceil(settings.queries.sync_seconds))
    duration = xml.add(parent, "executionDuration")
    xml.add(duration, "default", seconds)
    xml.add(duration, "hard", seconds)
    output = xml.add(parent, "outputLimit")
    default = min(settings.queries.default_maxrec, settings.queries.hard_maxrec)
    xml.add(output, "default", str(default), attributes={"unit": "row"})
    xml.add(output, "hard", str(settings.queries.hard_maxrec), attributes={"unit": "row"})
