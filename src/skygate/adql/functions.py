"""The one table of functions: the arity check, the types of results, the capabilities document and the
completion all read it.

Must not know: engines. How a function is calculated is in `lower_functions`, `geometry` and `kernels`.
"""

from __future__ import annotations

from functools import cache

from skygate.adql.function import Argument, Feature, Function, Use
from skygate.adql.functions_ivo import IVO


def _arguments(text: str) -> tuple[Argument, ...]:
    """`"x DOUBLE, [n INTEGER], y DOUBLE*"`: brackets for optional, a star for repeated."""
    found: list[Argument] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        optional, repeated = part.startswith("["), part.rstrip("]").endswith("*")
        name, kind = part.strip("[]*").split()
        found.append(Argument(name, kind.rstrip("*"), optional, repeated))
    return tuple(found)


def _math(name: str, arguments: str, returns: str, description: str, *, unit: str | None = None) -> Function:
    return Function(name, _arguments(arguments), returns, description, unit=unit)


def _geo(name: str, arguments: str, returns: str, description: str, *, unit: str | None = None) -> Function:
    return Function(name, _arguments(arguments), returns, description, Feature.GEOMETRY, unit=unit)


def _agg(name: str, arguments: str, returns: str, description: str, *, unit: str | None = None) -> Function:
    feature = Feature.CORE if name in ("AVG", "MIN", "MAX", "SUM", "COUNT") else Feature.UDF
    return Function(name, _arguments(arguments), returns, description, feature, use=Use.AGGREGATE, unit=unit)


def _win(name: str, arguments: str, returns: str, description: str, *, unit: str | None = None) -> Function:
    return Function(name, _arguments(arguments), returns, description, Feature.UDF, use=Use.WINDOW, unit=unit)


def _udf(
    name: str, arguments: str, returns: str, description: str, example: str, *, use: Use = Use.SCALAR
) -> Function:
    return Function(name, _arguments(arguments), returns, description, Feature.UDF, example, use)


MATHEMATICS: tuple[Function, ...] = (
    _math("ABS", "x NUMERIC", "SAME", "The absolute value of x.", unit="SAME"),
    _math("CEILING", "x NUMERIC", "DOUBLE", "The smallest whole number not less than x.", unit="SAME"),
    _math("DEGREES", "x NUMERIC", "DOUBLE", "The angle x from radians to degrees.", unit="deg"),
    _math("EXP", "x NUMERIC", "DOUBLE", "e to the power of x."),
    _math("FLOOR", "x NUMERIC", "DOUBLE", "The largest whole number not greater than x.", unit="SAME"),
    _math("LOG", "x NUMERIC", "DOUBLE", "The natural logarithm of x; null where x is not positive."),
    _math("LOG10", "x NUMERIC", "DOUBLE", "The logarithm of x to base 10; null where x is not positive."),
    _math(
        "MOD", "x NUMERIC, y NUMERIC", "NUMBER", "The remainder of x / y, with the sign of x.", unit="SAME"
    ),
    _math("PI", "", "DOUBLE", "The number pi."),
    _math("POWER", "x NUMERIC, y NUMERIC", "DOUBLE", "x to the power of y."),
    _math("RADIANS", "x NUMERIC", "DOUBLE", "The angle x from degrees to radians.", unit="rad"),
    _math("RAND", "[seed INTEGER]", "DOUBLE", "A random number from 0 to 1; the seed is ignored."),
    _math("ROUND", "x NUMERIC, [n INTEGER]", "DOUBLE", "x rounded to n decimal places (0).", unit="SAME"),
    _math("SQRT", "x NUMERIC", "DOUBLE", "The square root of x; null where x is negative."),
    _math("TRUNCATE", "x NUMERIC, [n INTEGER]", "DOUBLE", "x cut to n decimal places (0).", unit="SAME"),
    _math("ACOS", "x NUMERIC", "DOUBLE", "The arc cosine of x in radians.", unit="rad"),
    _math("ASIN", "x NUMERIC", "DOUBLE", "The arc sine of x in radians.", unit="rad"),
    _math("ATAN", "x NUMERIC", "DOUBLE", "The arc tangent of x in radians.", unit="rad"),
    _math("ATAN2", "y NUMERIC, x NUMERIC", "DOUBLE", "The angle of the point (x, y) in radians.", unit="rad"),
    _math("COS", "x NUMERIC", "DOUBLE", "The cosine of x, in radians."),
    _math("COT", "x NUMERIC", "DOUBLE", "The cotangent of x, in radians."),
    _math("SIN", "x NUMERIC", "DOUBLE", "The sine of x, in radians."),
    _math("TAN", "x NUMERIC", "DOUBLE", "The tangent of x, in radians."),
)
OTHERS: tuple[Function, ...] = (
    Function("UPPER", _arguments("s VARCHAR"), "VARCHAR", "s in upper case.", Feature.STRING),
    Function("LOWER", _arguments("s VARCHAR"), "VARCHAR", "s in lower case.", Feature.STRING),
    Function(
        "COALESCE", _arguments("x ANY, y ANY*"), "COMMON", "The first argument not null.", Feature.CONDITIONAL
    ),
    Function(
        "IN_UNIT",
        _arguments("x NUMERIC, unit LITERAL"),
        "DOUBLE",
        "x, whose unit is known, expressed in another unit.",
        Feature.UNIT,
        "IN_UNIT(ra, 'arcmin')",
    ),
    _udf(
        "EXTRACT",
        "field LITERAL, t TIMESTAMP",
        "DOUBLE",
        "A part of a time: year, quarter, month, week, day, doy, dow, hour, minute, second or epoch; "
        "written EXTRACT(YEAR FROM t).",
        "EXTRACT(YEAR FROM obs_date)",
    ),
    _udf(
        "DATE_TRUNC",
        "field LITERAL, t TIMESTAMP",
        "TIMESTAMP",
        "t cut to a whole year, quarter, month, week, day, hour, minute or second.",
        "DATE_TRUNC('month', obs_date)",
    ),
    _udf("CURRENT_TIMESTAMP", "", "TIMESTAMP", "UTC now; written without parentheses.", "CURRENT_TIMESTAMP"),
)
GEOMETRY: tuple[Function, ...] = (
    _geo("POINT", "lon NUMERIC, lat NUMERIC", "POINT", "A position, ICRS degrees."),
    _geo("CIRCLE", "center POINT, radius NUMERIC", "CIRCLE", "A disc around a position; degrees."),
    _geo("CIRCLE", "lon NUMERIC, lat NUMERIC, radius NUMERIC", "CIRCLE", "A disc; degrees."),
    _geo(
        "BOX", "center POINT, width NUMERIC, height NUMERIC", "POLYGON", "A box around a position; degrees."
    ),
    _geo("BOX", "lon NUMERIC, lat NUMERIC, width NUMERIC, height NUMERIC", "POLYGON", "A box; degrees."),
    _geo("POLYGON", "a POINT, b POINT, c POINT, more POINT*", "POLYGON", "Great circles between positions."),
    _geo(
        "POLYGON",
        "a1 NUMERIC, a2 NUMERIC, b1 NUMERIC, b2 NUMERIC, c1 NUMERIC, c2 NUMERIC, lon NUMERIC*, lat NUMERIC*",
        "POLYGON",
        "Great circles between positions given by coordinates; degrees.",
    ),
    _geo("REGION", "stcs LITERAL", "POLYGON", "A region written in STC-S."),
    _geo("CONTAINS", "inner GEOMETRY, outer REGION", "INTEGER", "1 where inner lies in outer, else 0."),
    _geo("INTERSECTS", "a GEOMETRY, b GEOMETRY", "INTEGER", "1 where both have a point in common, else 0."),
    _geo("DISTANCE", "a POINT, b POINT", "DOUBLE", "The angle between two positions, degrees.", unit="deg"),
    _geo(
        "DISTANCE",
        "lon1 NUMERIC, lat1 NUMERIC, lon2 NUMERIC, lat2 NUMERIC",
        "DOUBLE",
        "The angle between two positions, degrees.",
        unit="deg",
    ),
    _geo("AREA", "region GEOMETRY", "DOUBLE", "The area in square degrees.", unit="deg**2"),
    _geo("CENTROID", "region GEOMETRY", "POINT", "The centre of a geometry."),
    _geo("COORD1", "p POINT", "DOUBLE", "The right ascension of a position, degrees.", unit="deg"),
    _geo("COORD2", "p POINT", "DOUBLE", "The declination of a position, degrees.", unit="deg"),
    _geo("COORDSYS", "g GEOMETRY", "VARCHAR", "The coordinate system of a geometry: ICRS."),
)
AGGREGATES: tuple[Function, ...] = (
    _agg("COUNT", "x ANY", "BIGINT", "How many rows, or how many values that are not null."),
    _agg("SUM", "x NUMERIC", "NUMBER", "The sum of all values.", unit="SAME"),
    _agg("AVG", "x NUMERIC", "DOUBLE", "The mean of all values.", unit="SAME"),
    _agg("MIN", "x ANY", "SAME", "The smallest value.", unit="SAME"),
    _agg("MAX", "x ANY", "SAME", "The largest value.", unit="SAME"),
    _agg("STDDEV", "x NUMERIC", "DOUBLE", "The standard deviation of the sample.", unit="SAME"),
    _agg("STDDEV_SAMP", "x NUMERIC", "DOUBLE", "The standard deviation of the sample.", unit="SAME"),
    _agg("STDDEV_POP", "x NUMERIC", "DOUBLE", "The standard deviation of the population.", unit="SAME"),
    _agg("VARIANCE", "x NUMERIC", "DOUBLE", "The variance of the sample."),
    _agg("VAR_SAMP", "x NUMERIC", "DOUBLE", "The variance of the sample."),
    _agg("VAR_POP", "x NUMERIC", "DOUBLE", "The variance of the population."),
    _agg("MEDIAN", "x NUMERIC", "DOUBLE", "The median of all values.", unit="SAME"),
    _agg("CORR", "y NUMERIC, x NUMERIC", "DOUBLE", "The correlation coefficient of two columns."),
)
WINDOWS: tuple[Function, ...] = (
    _win("ROW_NUMBER", "", "BIGINT", "The number of the row in its window, from 1."),
    _win("RANK", "", "BIGINT", "The rank of the row, with gaps after equals."),
    _win("DENSE_RANK", "", "BIGINT", "The rank of the row, without gaps."),
    _win("PERCENT_RANK", "", "DOUBLE", "The rank of the row from 0 to 1."),
    _win("CUME_DIST", "", "DOUBLE", "The fraction of rows up to this one."),
    _win("NTILE", "n INTEGER", "BIGINT", "The number of the row's bucket of n."),
    _win("LAG", "x ANY, [n INTEGER], [other ANY]", "SAME", "x of the row n (1) rows before.", unit="SAME"),
    _win("LEAD", "x ANY, [n INTEGER], [other ANY]", "SAME", "x of the row n (1) rows after.", unit="SAME"),
    _win("FIRST_VALUE", "x ANY", "SAME", "x of the first row of the frame.", unit="SAME"),
    _win("LAST_VALUE", "x ANY", "SAME", "x of the last row of the frame.", unit="SAME"),
    _win("NTH_VALUE", "x ANY, n INTEGER", "SAME", "x of the n-th row of the frame.", unit="SAME"),
)

FUNCTIONS: tuple[Function, ...] = (*MATHEMATICS, *OTHERS, *GEOMETRY, *IVO, *AGGREGATES, *WINDOWS)
"""Every function, once for each way to call it."""

_NO_PARTS = (
    "no function takes a text apart: LIKE compares beginnings and ends (name LIKE 'NGC%'), "
    "ivo_nocasematch and ivo_hasword look for words"
)
_NO_LENGTHS = "no function measures a text: LIKE with one _ for each letter finds those of a length"
INSTEAD: dict[str, str] = {
    **dict.fromkeys(("SUBSTRING", "SUBSTR", "LEFT", "RIGHT", "MID", "SPLIT_PART", "TRIM"), _NO_PARTS),
    **dict.fromkeys(("POSITION", "INSTR", "STRPOS", "CHARINDEX", "LOCATE"), _NO_PARTS),
    **dict.fromkeys(("LENGTH", "LEN", "CHAR_LENGTH", "CHARACTER_LENGTH"), _NO_LENGTHS),
    **dict.fromkeys(("CONCAT", "CONCAT_WS"), "a || b joins texts"),
    **dict.fromkeys(("NVL", "IFNULL", "ISNULL"), "COALESCE(x, y) is the first that is not null"),
    **dict.fromkeys(("LN", "LOGE"), "LOG(x) is the natural logarithm"),
    "POW": "POWER(x, y)",
    "TRUNC": "TRUNCATE(x, n)",
    "NOW": "CURRENT_TIMESTAMP is written without parentheses",
}
"""What to use instead of functions of other dialects whose names are near to none of ours."""


@cache
def by_name() -> dict[str, tuple[Function, ...]]:
    """The ways to call each function, by upper-case name."""
    found: dict[str, tuple[Function, ...]] = {}
    for function in FUNCTIONS:
        found[function.name] = (*found.get(function.name, ()), function)
    return found
