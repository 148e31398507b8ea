"""Geometry of ADQL lowered to cell ranges and exact tests in engine SQL.

Must not know: how text is parsed, how SQL runs.
"""

from skygate.adql.geometry.lowering import lower_geometry

__all__ = ["lower_geometry"]
