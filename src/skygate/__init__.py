"""Skygate: a survey's catalogues and images as a data release that astronomers query, see and mine."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skygate.connection import connect

try:
    __version__ = version("skygate")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> object:
    """`skygate.connect` without loading anything before it is used."""
    if name == "connect":
        from skygate.connection import connect

        return connect
    raise AttributeError(f"module 'skygate' has no attribute {name!r}")
