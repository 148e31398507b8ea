"""User defined functions of the IVOA's catalogue (Endorsed Note "Catalogue of ADQL User Defined Functions").

Must not know: engines. Left out: `ivo_simbadpoint` (asks another service),
`ivo_geom_transform`, `ivo_histogram`.
"""

from __future__ import annotations

from skygate.adql.function import Argument, Feature, Function, Use


def _ivo(
    name: str,
    arguments: tuple[tuple[str, str], ...],
    returns: str,
    description: str,
    example: str,
    *,
    use: Use = Use.SCALAR,
    unit: str | None = None,
) -> Function:
    inside = tuple(Argument(n, t) for n, t in arguments)
    return Function(name, inside, returns, description, Feature.UDF, example, use, unit)


_MOTION = (("ra", "NUMERIC"), ("dec", "NUMERIC"), ("parallax", "NUMERIC"), ("pmra", "NUMERIC"))
_TWO_INTERVALS = (("a1", "NUMERIC"), ("b1", "NUMERIC"), ("a2", "NUMERIC"), ("b2", "NUMERIC"))

IVO: tuple[Function, ...] = (
    _ivo(
        "IVO_HEALPIX_INDEX",
        (("hpxOrder", "INTEGER"), ("long", "NUMERIC"), ("lat", "NUMERIC")),
        "BIGINT",
        "The NESTED index of the HEALPix cell of this order (0 to 29) that holds a position in degrees.",
        "ivo_healpix_index(17, 1, 1)",
    ),
    _ivo(
        "IVO_HEALPIX_INDEX",
        (("hpxOrder", "INTEGER"), ("p", "POINT")),
        "BIGINT",
        "The NESTED index of the HEALPix cell of this order (0 to 29) that holds a position.",
        "ivo_healpix_index(0, POINT(1, 1))",
    ),
    _ivo(
        "IVO_HEALPIX_CENTER",
        (("hpxOrder", "INTEGER"), ("hpxIndex", "BIGINT")),
        "POINT",
        "The centre of a HEALPix cell of NESTED numbering.",
        "ivo_healpix_center(0, 6)",
    ),
    _ivo(
        "IVO_EPOCH_PROP_POS",
        (
            *_MOTION,
            ("pmdec", "NUMERIC"),
            ("radial_velocity", "NUMERIC"),
            ("ref_epoch", "NUMERIC"),
            ("out_epoch", "NUMERIC"),
        ),
        "POINT",
        "The position at out_epoch, moved in a straight line from ref_epoch: degrees, mas, mas/yr (pmra with "
        "cos dec), km/s, Julian years. A null position or epoch gives null.",
        "ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, -428.8, 52.51, 2016.0, 1992.25)",
    ),
    _ivo(
        "IVO_APPLY_PM",
        (
            ("ra", "NUMERIC"),
            ("dec", "NUMERIC"),
            ("pmra", "NUMERIC"),
            ("pmdec", "NUMERIC"),
            ("epdist", "NUMERIC"),
        ),
        "POINT",
        "The position epdist years later on the great circle of the proper motion: degrees and degrees/yr, "
        "pmra with cos dec.",
        "ivo_apply_pm(ra, dec, pmra / 3.6E6, pmdec / 3.6E6, 24.75)",
    ),
    _ivo(
        "IVO_TO_JD",
        (("d", "TIMESTAMP"),),
        "DOUBLE",
        "The Julian date of a timestamp, without time scales.",
        "ivo_to_jd('1910-12-31T06:00:00')",
        unit="d",
    ),
    _ivo(
        "IVO_TO_MJD",
        (("d", "TIMESTAMP"),),
        "DOUBLE",
        "The modified Julian date of a timestamp, without time scales.",
        "ivo_to_mjd('1910-12-31T06:00:00')",
        unit="d",
    ),
    _ivo(
        "IVO_STRING_AGG",
        (("expression", "VARCHAR"), ("delimiter", "LITERAL")),
        "VARCHAR",
        "All texts of a group that are not null, joined; at most 60,000 bytes.",
        "ivo_string_agg(table_name, ', ')",
        use=Use.AGGREGATE,
    ),
    _ivo(
        "IVO_NOCASEMATCH",
        (("value", "VARCHAR"), ("pattern", "VARCHAR")),
        "INTEGER",
        "1 where value ILIKE pattern, else 0.",
        "ivo_nocasematch('abcabc', 'ab%')",
    ),
    _ivo(
        "IVO_HASWORD",
        (("haystack", "VARCHAR"), ("needle", "VARCHAR")),
        "INTEGER",
        "1 where every word of needle is a word of haystack, whatever the case, else 0.",
        "ivo_hasword('Miller and Urey have', 'miller')",
    ),
    _ivo(
        "IVO_HASHLIST_HAS",
        (("hashlist", "VARCHAR"), ("item", "VARCHAR")),
        "INTEGER",
        "1 where item is one of the words that # separates in hashlist, whatever the case, else 0.",
        "ivo_hashlist_has('red#green#blue', 'red')",
    ),
    _ivo(
        "IVO_NORMAL_RANDOM",
        (("mu", "NUMERIC"), ("sigma", "NUMERIC")),
        "DOUBLE",
        "A random number of a normal distribution.",
        "ivo_normal_random(10, 5)",
    ),
    _ivo(
        "IVO_INTERVAL_OVERLAPS",
        _TWO_INTERVALS,
        "INTEGER",
        "1 where the intervals [a1, b1] and [a2, b2] have a point in common, else 0.",
        "ivo_interval_overlaps(-2, 55.3, 2, 3)",
    ),
    _ivo(
        "IVO_HMS_TO_DEGREES",
        (("hms", "VARCHAR"),),
        "DOUBLE",
        "Hours, minutes, seconds ('h:m:s', 'hhmmss', 'hHmMsS') in degrees; null for other texts.",
        "ivo_hms_to_degrees('3:34:45.4')",
        unit="deg",
    ),
    _ivo(
        "IVO_DMS_TO_DEGREES",
        (("dms", "VARCHAR"),),
        "DOUBLE",
        "Degrees, minutes, seconds ('d:m:s', 'ddmmss', 'dDmMsS', signed) in degrees; null for other texts.",
        "ivo_dms_to_degrees('-00:15:00')",
        unit="deg",
    ),
)
