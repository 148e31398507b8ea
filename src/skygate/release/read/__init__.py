"""Files of every format that catalogues come in, as named columns and a stream of record batches."""

from skygate.release.read.files import expand_files
from skygate.release.read.many import open_files
from skygate.release.read.opening import open_table
from skygate.release.read.source import TableReader

__all__ = ["TableReader", "expand_files", "open_files", "open_table"]
