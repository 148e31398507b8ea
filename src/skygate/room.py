"""Room in which answers wait for their readers: so much memory and disk for all of them together.

Must not know: answers, readers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Room:
    """Bytes that may be taken until they are given back. Safe to call from any thread."""

    memory_bytes: int
    disk_bytes: int
    _memory: int = 0
    _disk: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def take_memory(self, size: int) -> bool:
        """Take memory; False, and nothing is taken, where there is too little."""
        with self._guard:
            if self._memory + size > self.memory_bytes:
                return False
            self._memory += size
            return True

    def take_disk(self, size: int) -> bool:
        """Take disk; False, and nothing is taken, where there is too little."""
        with self._guard:
            if self._disk + size > self.disk_bytes:
                return False
            self._disk += size
            return True

    def give_back(self, *, memory: int = 0, disk: int = 0) -> None:
        """Return what was taken."""
        with self._guard:
            self._memory -= memory
            self._disk -= disk

    @property
    def taken(self) -> tuple[int, int]:
        """Bytes of memory and of disk that are taken."""
        with self._guard:
            return self._memory, self._disk
