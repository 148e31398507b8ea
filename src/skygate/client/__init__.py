"""Ask a Skygate service from Python: `skygate.connect(url_or_directory)` gives a `Client`.

Must not know: engines, files, web frameworks; it speaks HTTP and Arrow, to a server or to a house in process.
"""

from skygate.client.client import Client
from skygate.client.result import Result, TruncatedWarning

__all__ = ["Client", "Result", "TruncatedWarning"]
