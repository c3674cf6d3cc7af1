"""The `memory` engine: goroutines, bodies and heap from `/proc/PID/mem`, stripped or not, no pprof, no pause.

Law: the process is only read. What the self-checks of `probe` do not confirm is not offered; a process that
got another program (exec) or another pid's owner is gone. Goroutines are what the engine stands on: where they
cannot be read it has failed; anything else that cannot is Refused with the reason, and the rest goes on. Quick
looks share one thread's readers, and each sort of long look has its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Seen, Tally
from leaktui.engines.memory.grouping import group_seen
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.protocol import Fact, GoroutinesSeen, GroupsSeen, Refused, Request, Want
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target

if TYPE_CHECKING:
    from leaktui.engines.memory.captures import Captures

_QUICK = (Want.GROUPS, Want.GOROUTINES, Want.BODIES, Want.HEAP, Want.HEAP_CENSUS)
_LONG = (Want.HANDOFFS, Want.LEAKED, Want.HOLDERS, Want.DETAIL)
_SAME_MOMENT_SECONDS = 0.25
"""Goroutines read so lately serve another question, too."""

_CLOSE_SECONDS = 2.0


class MemoryEngine:
    """Everything that is read from the memory of one process."""

    name = "memory"

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._started_ticks: int | None = None
        self._attachment: Attachment | None = None
        self._lock = threading.Lock()
        self._quick = threading.Lock()
        self._captures: dict[Want | None, Captures] = {}
        self._locks = {want: threading.Lock() for want in _LONG}
        self._cancels: set[threading.Event] = set()
        self._closed = threading.Event()
        self._seen: tuple[float, list[Seen]] = (0.0, [])
        self.last = Tally()
        """What the last reading of all goroutines met: parked, torn, read twice."""

    def probe(self, target: Target) -> Capability:
        """Usable where the memory may be read and every self-check holds; reads a sample of goroutines."""
        if self._pid is None:
            return self._unusable(
                "only a URL was given, so the process is not known here",
                "run leaktui on the machine of the process with --pid",
            )
        try:
            from leaktui.engines.memory.memory_profile import MemoryProfile

            profiled = MemoryProfile.is_kept(self._attached(self._pid))
        except LeaktuiError as error:
            return self._unusable(str(error.args[0]), error.remedy)
        wants = [want for want in (*_QUICK, *_LONG) if want is not Want.HEAP or profiled]
        return Capability(
            self.name, usable=True, impact=Impact.NONE, gives=tuple(want.value for want in wants)
        )

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Yield the facts that answer *request*.

        Raises TargetGone, TargetForbidden; EngineUnavailable and DecodeError where goroutines cannot be read.
        """
        if self._pid is None or not request.wants & {*_QUICK, *_LONG}:
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._cancels.add(cancel)
        try:
            attachment = self._attached(self._pid)
            read_live_stat(self._pid, self._started_ticks)
            for want in _QUICK:
                if want in request.wants and not self._ends(cancel):
                    with self._quick:
                        facts = list(_refusing(want, self._quick_facts(want, attachment, cancel)))
                    yield from facts
            for want in _LONG:
                if want in request.wants:
                    with self._locks[want]:
                        yield from _refusing(want, self._long_facts(want, attachment, request, cancel))
        except (LeaktuiError, OSError):
            if not self._closed.is_set():
                raise
            # Closed in the middle of it: what could not be read any more is no failure.
        finally:
            with self._lock:
                self._cancels.discard(cancel)

    def close(self) -> None:
        """Stop reading and close the files. Safe to call again, from any thread."""
        self._closed.set()
        with self._lock:
            for cancel in self._cancels:
                cancel.set()
        # Whoever is reading looks at its event soon; a file is not closed under a reader.
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._cancels and time.monotonic() < deadline:
            time.sleep(0.005)
        with self._lock:
            if self._attachment is not None:
                with suppress(OSError):
                    self._attachment.close()
                self._attachment = None

    # --- reading ---

    def _quick_facts(self, want: Want, attachment: Attachment, cancel: threading.Event) -> Iterator[Fact]:
        if self._ends(cancel):
            return
        if want in (Want.HEAP, Want.HEAP_CENSUS):
            captures = self._captures_for(None, attachment)
            yield from captures.heap(cancel) if want is Want.HEAP else captures.heap_census(cancel)
            return
        seen = self._goroutines(attachment, cancel)
        if self._ends(cancel):
            return
        reader, now = attachment.goroutines, attachment.now()
        if want is Want.GROUPS:
            yield GroupsSeen(group_seen(reader, seen, now), self.last.torn, reader.ended.counts())
        elif want is Want.GOROUTINES:
            ordered = sorted(seen, key=lambda item: item.state.goid)
            yield GoroutinesSeen(tuple(reader.goroutine(item, now) for item in ordered))
        else:
            yield from self._captures_for(None, attachment).bodies(seen, cancel)

    def _goroutines(self, attachment: Attachment, cancel: threading.Event) -> list[Seen]:
        when, seen = self._seen
        if time.monotonic() - when > _SAME_MOMENT_SECONDS:
            began, tally = time.monotonic(), Tally()
            seen = []
            for goroutine in attachment.goroutines.iter_seen(tally, cancel):
                seen.append(goroutine)
                if self._closed.is_set():
                    return []
            if not cancel.is_set():
                self.last, self._seen = tally, (began, seen)
        return seen

    def _long_facts(
        self, want: Want, attachment: Attachment, request: Request, cancel: threading.Event
    ) -> Iterator[Fact]:
        if self._ends(cancel):
            return
        captures = self._captures_for(want, attachment)
        if want is Want.HANDOFFS:
            yield from captures.handoffs(request.trace_seconds, cancel)
        elif want is Want.LEAKED:
            yield from captures.leaked(cancel)
        elif want is Want.HOLDERS:
            yield from captures.holders(request.subject, cancel)
        else:
            yield from captures.detail(request.subject, cancel)

    def _captures_for(self, want: Want | None, attachment: Attachment) -> Captures:
        """The readers for a sort of looks; None stands for the quick ones."""
        found = self._captures.get(want)
        if found is None:
            # Not needed for the first facts, and slow to import.
            from leaktui.engines.memory.captures import Captures

            found = self._captures[want] = Captures(attachment if want is None else attachment.split())
        return found

    def _ends(self, cancel: threading.Event) -> bool:
        return cancel.is_set() or self._closed.is_set()

    # --- attaching ---

    def _attached(self, pid: int) -> Attachment:
        """The process, opened and checked at the first call."""
        with self._lock:
            if self._attachment is None:
                if self._closed.is_set():
                    raise EngineUnavailable("the memory engine was closed")
                self._attachment = attach(pid, self._closed, started_ticks=self._started_ticks)
                self._started_ticks = self._attachment.started_ticks
            return self._attachment

    def _unusable(self, reason: str, remedy: str) -> Capability:
        return Capability(self.name, usable=False, impact=Impact.NONE, reason=reason, remedy=remedy)


def _refusing(want: Want, facts: Iterator[Fact]) -> Iterator[Fact]:
    """*facts*, and Refused in the place of an error that concerns *want* alone."""
    if want in (Want.GROUPS, Want.GOROUTINES):
        yield from facts
        return
    try:
        yield from facts
    except (DecodeError, EngineUnavailable) as error:
        yield Refused(want, str(error.args[0]), error.remedy)
