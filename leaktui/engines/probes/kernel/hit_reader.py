"""Who reads hits that the kernel has left, and waits for the first.

Law: one lock for all that is read; once it is closed nothing is, and whoever waits is let go at once.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, TypeVar

from leaktui.engines.probes.recipe import Hit

R = TypeVar("R", bound="HitReader")


class HitReader(ABC):
    """The part of an `Armed` that does not depend on where the hits are."""

    slice_seconds: ClassVar[float]
    """How long it waits between two looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @abstractmethod
    def _take(self) -> list[Hit]:
        """The hits that are there; the lock is held."""

    @abstractmethod
    def close(self) -> None:
        """Take the probes out and forget what they left."""

    def read(self, timeout: float) -> list[Hit]:
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                if self._closed.is_set():
                    return []
                hits = self._take()
            left = deadline - time.monotonic()
            if hits or left <= 0:
                return hits
            self._closed.wait(min(left, self.slice_seconds))

    def __enter__(self: R) -> R:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
