"""Arrow's compute functions under one name (made at run time: type checkers do not see them)."""

from __future__ import annotations

from typing import Any

import pyarrow.compute

pc: Any = pyarrow.compute
