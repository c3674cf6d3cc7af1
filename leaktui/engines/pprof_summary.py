"""A process's endpoint and its number of goroutines, for a row of `leaktui ps`.

Law: two or three small requests that stop nothing: who is there, and the index page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from leaktui.engines.pprof_client import PprofClient
from leaktui.engines.pprof_connection import CaptureCancelled, Patience
from leaktui.engines.pprof_discovery import discover
from leaktui.engines.pprof_endpoint import Credentials
from leaktui.engines.pprof_exchange import INDEX_LIMIT, decode_index
from leaktui.errors import LeaktuiError


@dataclass(frozen=True, slots=True)
class PprofSummary:
    """Where the profiles are; `goroutines` is None where the index page does not say."""

    url: str
    goroutines: int | None


def read_summary(
    pid: int, credentials: Credentials, *, seconds: float, cancelled: Callable[[], bool]
) -> PprofSummary | None:
    """The endpoint of *pid*, None where there is none within *seconds*. Does not raise."""
    began = time.monotonic()
    try:
        found = discover(pid, credentials, seconds=seconds, cancelled=cancelled).found
    except LeaktuiError:
        return None
    if found is None:
        return None
    patience = Patience(total=seconds, idle=seconds, cancelled=cancelled, began=began)
    client = PprofClient(found.endpoint, credentials)
    goroutines: int | None = None
    try:
        reply = client.get("", patience, limit=INDEX_LIMIT, what="index")
        if reply.status == 200:
            goroutines = decode_index(reply.body).get("goroutine")
    except (LeaktuiError, CaptureCancelled):
        pass
    finally:
        client.close()
    return PprofSummary(found.endpoint.url, goroutines)
