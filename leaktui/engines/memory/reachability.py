"""Goroutines that are parked for ever: nothing that lives can reach what they wait on.

Law: the idea is that of the runtime's own goroutineleak profile (runtime/mgc.go `findGoroutineLeaks`, Go 1.26 and
later). A goroutine that is not parked on a channel, a select, a lock, a WaitGroup or a Cond is alive. What it
reaches is alive, and if that is what a parked goroutine waits on, that goroutine is alive, too. Those left over are
leaked. Neither the list of all goroutines nor the queues of the runtime count: a parked goroutine's g, sudogs and
stack are looked into only once it is known to be alive.

The process runs meanwhile, so a pointer may move from where marking has not been to where it has. Against that:
stacks of goroutines that moved are looked at again and again while the heap is marked, with variables and new
goroutines at its end; and only what several markings, apart in time, all leave over is called proven, of goroutines
that were in the same wait from before the first to after the last. Being unreachable does not pass; missing a pointer
does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.live_marking import LiveMarking, Verdict
from leaktui.engines.memory.mark_roots import MarkRoots
from leaktui.engines.memory.marking import Cancelled
from leaktui.engines.memory.parked import Candidate, ParkedReader
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError, EngineUnavailable

SCAN_LIMIT = 256 << 20
"""Bytes of objects that may hold pointers, beyond which the heap is not marked."""

SECONDS = 20.0
"""That one marking may take."""

MARKINGS = 2
"""Markings that all must leave a goroutine over."""

APART = 0.7
"""Seconds between two markings."""


@dataclass(frozen=True, slots=True)
class LeakedGoroutines:
    """What was found. `suspected` were left over, but something about them, or the marking, was odd.

    `scanned_bytes` and `seconds` are those of all markings. `refusal` says why nothing was looked for.
    """

    proven: tuple[Seen, ...] = ()
    suspected: tuple[Seen, ...] = ()
    scanned_bytes: int = 0
    seconds: float = 0.0
    refusal: str = ""
    doubt: str = ""
    """Why nothing is called proven, where that is so."""


class LeakFinder:
    """Finds the leaked goroutines of one process. Not thread-safe."""

    def __init__(
        self,
        attachment: Attachment,
        *,
        scan_limit: int = SCAN_LIMIT,
        seconds: float = SECONDS,
        markings: int = MARKINGS,
        apart: float = APART,
    ) -> None:
        self._attachment = attachment
        self._scan_limit = scan_limit
        self._seconds = seconds
        self._markings = markings
        self._apart = apart

    def find(self, cancel: threading.Event) -> Iterator[SearchProgress | LeakedGoroutines]:
        """Yield progress, then the result; nothing more once *cancel* is set.

        Raises TargetGone.
        """
        began = time.monotonic()
        scanned = 0
        try:
            roots = MarkRoots(self._attachment)
            parked = ParkedReader(self._attachment)
            left: dict[int, Candidate] | None = None
            doubts: list[str] = []
            for number in range(self._markings):
                if number and cancel.wait(self._apart):
                    return
                text = f"marking what is reachable, {number + 1} of {self._markings}"
                yield SearchProgress(text, number / self._markings)
                verdict: Verdict | None = None
                marking = LiveMarking(
                    self._attachment, roots, parked, cancel, seconds=self._seconds, limit=self._scan_limit
                )
                refusal = marking.refusal()
                if refusal:
                    yield LeakedGoroutines(seconds=time.monotonic() - began, refusal=refusal)
                    return
                for step in marking.mark(left):
                    if isinstance(step, Verdict):
                        verdict = step
                    else:
                        yield SearchProgress(text, (number + step) / self._markings)
                if verdict is None or cancel.is_set():
                    return
                scanned += verdict.scanned_bytes
                left = verdict.left
                if verdict.doubt:
                    doubts.append(verdict.doubt)
                if not left:
                    break
            proven, suspected = self._report(left or {}, parked, cancel, certain=not doubts)
        except Cancelled:
            if not cancel.is_set():
                reason = f"marking the heap took more than {self._seconds:.0f} s"
                yield LeakedGoroutines(seconds=time.monotonic() - began, refusal=reason)
            return
        except (DecodeError, EngineUnavailable) as error:
            yield LeakedGoroutines(seconds=time.monotonic() - began, refusal=str(error.args[0]))
            return
        if not cancel.is_set():
            yield LeakedGoroutines(
                proven, suspected, scanned, time.monotonic() - began, doubt=doubts[0] if doubts else ""
            )

    def _report(
        self, left: dict[int, Candidate], parked: ParkedReader, cancel: threading.Event, *, certain: bool
    ) -> tuple[tuple[Seen, ...], tuple[Seen, ...]]:
        """Those *left* over with their stacks; the second are the less certain ones."""
        proven: list[Seen] = []
        suspected: list[Seen] = []
        if left:
            for seen in self._attachment.goroutines.iter_seen(Tally(), cancel):
                candidate = left.get(seen.address)
                if candidate is None or candidate.is_main_asleep or seen.state.goid != candidate.goid:
                    continue
                if not parked.is_still(candidate):
                    continue
                (proven if certain or not candidate.objects else suspected).append(seen)
        proven.sort(key=lambda seen: seen.state.goid)
        suspected.sort(key=lambda seen: seen.state.goid)
        return tuple(proven), tuple(suspected)
