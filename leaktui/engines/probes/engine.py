"""The `probes` engine: what is opened and closed, with its caller, by kernel uprobes; the target never stops.

Law: nothing is armed but by an order, and nothing that is not proved byte by byte. Probes hang on files that the
kernel closes with us, whatever way we end. They are taken out at once when the target is traced by somebody else,
runs another program, or comes by more often than the budget allows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.proc_target import tracer_of
from leaktui.engines.protocol import LEDGERS, Fact, LedgerSeen, Refused, Request, Want
from leaktui.engines.turn import Turn
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError
from leaktui.model.capability import Capability, Impact
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.target import Target
from leaktui.text import format_count, printable

if TYPE_CHECKING:
    from leaktui.engines.memory.attachment import Attachment
    from leaktui.engines.probes.kernel.armed import Armed
    from leaktui.engines.probes.recipe import Hit, Site

MOST_HITS_A_SECOND = 30_000
"""More often than this, for `_SECONDS_OVER_BUDGET`, and the probes take themselves out."""

_SECONDS_OVER_BUDGET = 2.0
_RING_BYTES = 8 << 20
_DRAIN_SECONDS = 0.1
_BOOK_SECONDS = 1.0
_WATCH_SECONDS = 0.5
_MOST_POINTS = 600
_BREAKPOINT = 0xCC
_CLOSE_SECONDS = 6.0
"""Where probes cannot hang on one link the kernel takes about 0.1 s for each to go."""

_INEXACT = (
    "the kernel takes no BPF here: what lies behind a hit is read a moment late, and a pair may be missed"
)

_KIND_OF = {want: kind for kind, want in LEDGERS.items()}


class Watcher(Protocol):
    """Knows where to probe for one kind, and what the hits mean."""

    def sites(self) -> Sequence[Site]:
        """Where to probe. Raises EngineUnavailable."""
        ...

    def unseen(self) -> tuple[str, ...]:
        """What these probes do not see, a sentence each."""
        ...

    def handle(self, hit: Hit) -> None:
        """Enter *hit* into the books."""
        ...

    def doubt(self) -> None:
        """Hits were lost: what is open by the books may be closed."""
        ...

    def ledger(self, began: float, now: float) -> Ledger:
        """The books as they stand."""
        ...


WatcherFactory = Callable[["Attachment"], Watcher]


class ProbesEngine:
    """Keeps the books of what one process opens and closes."""

    name = "probes"

    def __init__(self, pid: int | None, *, most_hits_a_second: int = MOST_HITS_A_SECOND) -> None:
        self._pid = pid
        self._most_hits = most_hits_a_second
        self._attachment: Attachment | None = None
        self._bpf = True
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._under_way: set[threading.Event] = set()

    def probe(self, target: Target) -> Capability:
        """Usable where the kernel lets us probe and something can be paired; the target is only read.

        That the kernel lets us is tried out on ourselves.
        """
        if self._pid is None:
            return self._unusable(
                "only a URL was given, so the process is not known here",
                "run leaktui on the machine of the process with --pid",
            )
        from leaktui.engines.probes.kernel.site_proof import refuse_traced

        try:
            without_bpf = _try_kernel()
            self._bpf = not without_bpf
            refuse_traced(self._pid)
            attachment = self._attached(self._pid)
        except LeaktuiError as error:
            return self._unusable(str(error.args[0]), error.remedy)
        offered: list[Want] = []
        refused: dict[str, LeaktuiError] = {}
        for kind, factory in _watchers().items():
            try:
                factory(attachment.split()).sites()
            except LeaktuiError as error:
                refused[kind.value] = error
            else:
                offered.append(LEDGERS[kind])
        reasons = "; ".join(f"{kind}: {error.args[0]}" for kind, error in refused.items())
        if offered and without_bpf:
            reasons = "; ".join(filter(None, (f"by sampling, for {without_bpf}", reasons)))
        if not offered:
            remedies = dict.fromkeys(error.remedy for error in refused.values() if error.remedy)
            return self._unusable(reasons, "; ".join(remedies))
        return Capability(
            self.name,
            usable=True,
            impact=Impact.LIGHT,
            gives=tuple(want.value for want in offered),
            reason=reasons,
        )

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Arm what *request* wants and yield the books once a second, until it is cancelled or its time is over.

        Raises TargetGone.
        """
        if self._pid is None:
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._under_way.add(cancel)
        try:
            for want in request.wants:
                kind = _KIND_OF.get(want)
                if kind is not None and not self._ends(cancel):
                    try:
                        yield from self._keep_books(kind, self._pid, request.trace_seconds, cancel)
                    except EngineUnavailable as error:
                        yield Refused(want, str(error.args[0]), error.remedy)
        finally:
            with self._lock:
                self._under_way.discard(cancel)

    def close(self) -> None:
        """Take the probes out and close the files. Safe to call again, from any thread."""
        self._closed.set()
        with self._lock:
            for cancel in self._under_way:
                cancel.set()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.005)
        with self._lock:
            if self._attachment is not None:
                with suppress(OSError):
                    self._attachment.close()
                self._attachment = None

    # --- armed ---

    def _keep_books(
        self, kind: LedgerKind, pid: int, seconds: float, cancel: threading.Event
    ) -> Iterator[Fact]:
        from leaktui.engines.probes.kernel.armed import arm

        attachment = self._attached(pid)
        watcher = _watchers()[kind](attachment.split())
        sites = watcher.sites()
        read_live_stat(pid, attachment.started_ticks)
        points: list[tuple[float, int]] = []
        guard = _Guard(attachment, sites[0].address, self._most_hits)
        ended = ""
        with Turn(pid, self.name), arm(pid, sites, ring_bytes=_RING_BYTES, bpf=self._bpf) as armed:
            began = time.monotonic()
            booked, dropped = began, 0
            unseen = watcher.unseen() if armed.exact else (*watcher.unseen(), _INEXACT)

            def books(now: float, *, still_armed: bool = True) -> LedgerSeen:
                ledger = watcher.ledger(began, now)
                _add_point(points, (now, ledger.still_open))
                return LedgerSeen(
                    replace(
                        ledger,
                        hits=armed.hits(),
                        dropped=armed.dropped(),
                        probes=len(sites),
                        exact=armed.exact,
                        points=tuple(points),
                        armed=still_armed,
                        ended=ended,
                        unseen=(*unseen, *(text for text in ledger.unseen if text not in unseen)),
                    )
                )

            # The first books are empty: whoever shows them knows at once that the probes are in.
            yield books(began)
            while not self._ends(cancel) and time.monotonic() - began < seconds:
                for hit in armed.read(_DRAIN_SECONDS):
                    watcher.handle(hit)
                if armed.dropped() != dropped:
                    # All that was recorded before the loss first.
                    _drain(armed, watcher)
                    dropped = armed.dropped()
                    watcher.doubt()
                now = time.monotonic()
                ended = guard.look(armed, now)
                if ended:
                    break
                if now - booked >= _BOOK_SECONDS:
                    booked = now
                    yield books(now)
            armed.disable()
            # What happened before it was off still counts.
            _drain(armed, watcher)
            last = books(time.monotonic(), still_armed=False)
        yield last

    # --- attaching ---

    def _attached(self, pid: int) -> Attachment:
        from leaktui.engines.memory.attachment import attach

        with self._lock:
            if self._attachment is None:
                if self._closed.is_set():
                    raise EngineUnavailable("the probe engine was closed")
                self._attachment = attach(pid, self._closed)
            return self._attachment

    def _ends(self, cancel: threading.Event) -> bool:
        return cancel.is_set() or self._closed.is_set()

    def _unusable(self, reason: str, remedy: str) -> Capability:
        return Capability(self.name, usable=False, impact=Impact.LIGHT, reason=reason, remedy=remedy)


@dataclass(slots=True)
class _Guard:
    """Sees to it that armed probes do the target no harm."""

    attachment: Attachment
    site: int
    most_hits: int
    _looked: float = 0.0
    _hits: int = 0
    _over_since: float | None = None

    def look(self, armed: Armed, now: float) -> str:
        """Why the probes have to go, in a sentence; empty while all is well. Raises TargetGone."""
        if now - self._looked < _WATCH_SECONDS:
            return ""
        seconds, self._looked = now - self._looked, now
        hits, self._hits = self._hits, armed.hits()
        pid = self.attachment.pid
        read_live_stat(pid, self.attachment.started_ticks)
        try:
            byte = self.attachment.memory.read(self.site, 1)[0]
        except DecodeError:
            # An exec leaves the file of the old memory empty, and takes the probes with it.
            return "the process runs another program now"
        if byte != _BREAKPOINT:
            return "somebody else took the probes out"
        tracer = tracer_of(pid)
        if tracer is not None:
            return f"process {tracer.pid} ({printable(tracer.name)}) has begun to trace the target"
        if seconds > 2 * _WATCH_SECONDS and hits == 0:
            return ""  # the first look
        rate = (self._hits - hits) / seconds
        if rate <= self.most_hits:
            self._over_since = None
            return ""
        if self._over_since is None:
            self._over_since = now
        if now - self._over_since < _SECONDS_OVER_BUDGET:
            return ""
        return f"{format_count(round(rate))} hits a second are more than the {format_count(self.most_hits)} allowed"


def _watchers() -> Mapping[LedgerKind, WatcherFactory]:
    """Who keeps the books of what."""
    from leaktui.engines.probes.allocation_watcher import AllocationWatcher
    from leaktui.engines.probes.body_watcher import BodyWatcher
    from leaktui.engines.probes.fd_watcher import FdWatcher

    return {
        LedgerKind.BODIES: BodyWatcher,
        LedgerKind.FDS: FdWatcher,
        LedgerKind.ALLOCATIONS: AllocationWatcher,
    }


def _drain(armed: Armed, watcher: Watcher) -> None:
    """Enter all that is recorded."""
    while hits := armed.read(0.0):
        for hit in hits:
            watcher.handle(hit)


def _try_kernel() -> str:
    """Empty where probes work; why they only work by sampling, where BPF is not to be had.

    Raises EngineUnavailable where neither works.
    """
    from leaktui.engines.probes.kernel.permission import check, check_without_bpf

    try:
        check()
    except EngineUnavailable as refusal:
        try:
            check_without_bpf()
        except EngineUnavailable:
            raise refusal from None
        return str(refusal.args[0])
    return ""


def _add_point(points: list[tuple[float, int]], point: tuple[float, int]) -> None:
    points.append(point)
    if len(points) > _MOST_POINTS:
        half = len(points) // 2
        points[:half] = points[:half:2]
