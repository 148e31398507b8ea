"""ADQL 2.1: from a caller's text to a plan in an engine's spelling.

Must not know: files, HTTP, engines' libraries. The way is parse, check, resolve, geometry, lower, render.
"""

from skygate.adql.compiler import compile_query, known_query, understand

__all__ = ["compile_query", "known_query", "understand"]
