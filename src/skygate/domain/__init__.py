"""What a release, a table, a region, a query and a user are.

Must not know: files, HTTP, engines. Frozen values without I/O.
"""
