"""The books of large allocations: who makes them, which of them survive the garbage collector.

Law: objects do not move, so an address is the key; the same address again means that what was there has been
collected. Whether one is still there is read from its span, once after each collection. It is called a survivor only
when two collections have ended since it was made: one that is under way while it is made spares it unseen.
"""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.probes.allocation_liveness import Liveness
from leaktui.engines.probes.allocation_sites import (
    GENERATION,
    GOID,
    LARGE,
    LIMIT,
    SPAN,
    START,
    AllocationEvent,
    find_allocation_sites,
)
from leaktui.engines.probes.call_chain import CallChains
from leaktui.engines.probes.pairing import BOOKS_FULL, Pairing
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.errors import DecodeError, EngineUnavailable, TargetError
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened

_CHECKED_AT_ONCE = 5000
_PER_CYCLE = 2  # mheap_.sweepgen counts by two
_CYCLES_TO_JUDGE = 2
_WORD32 = 0xFFFFFFFF


@dataclass(slots=True)
class _Made:
    """Its bytes, and what `Opened` does not say: the span, the heap's generation when made, and when looked at."""

    size: int
    span: int
    generation: int
    checked: int


class AllocationWatcher:
    """Keeps the books of the objects of at least *least* bytes one process makes. For one thread."""

    def __init__(self, attachment: Attachment, *, least: int = LARGE) -> None:
        self._attachment = attachment
        self._least = least
        self._pairing = Pairing()
        self._chains = CallChains(attachment.executable, attachment.bias)
        # Those open, by address; those looked at last are at the end.
        self._made: dict[int, _Made] = {}
        self._liveness: Liveness | None = None
        self._doubt = ""
        self._generation: int | None = None

    def sites(self) -> tuple[Site, ...]:
        """Where to probe. Raises EngineUnavailable."""
        return find_allocation_sites(self._attachment, self._least)

    def unseen(self) -> tuple[str, ...]:
        """What these probes do not see."""
        small = f"allocations of less than {self._least >> 10} kB are not seen, nor memory that C code takes"
        return (small, self._doubt) if self._doubt else (small,)

    def handle(self, hit: Hit) -> None:
        """Enter *hit* into the books; hits come in the order they happened."""
        words = hit.words
        start = words[START]
        size = words[LIMIT] - start
        if not start or size <= 0:
            return  # it could not be read
        frames = hit.frames[1:] if hit.site.event == AllocationEvent.CALL.value else hit.frames
        place = self._pairing.place(self._chains.stack(hit.site.address, frames), hit.whole)
        self._pairing.open(Opened(start, hit.time_ns / 1e9, place, goid=words[GOID], size=size))
        self._made.pop(start, None)
        if start in self._pairing:  # it is not where the books are full
            generation = words[GENERATION] & _WORD32
            self._made[start] = _Made(size, words[SPAN], generation, generation)

    def doubt(self) -> None:
        """Hits were lost: which objects are still there memory tells."""

    def ledger(self, began: float, now: float) -> Ledger:
        """The books as they stand; they stay when the process goes."""
        with suppress(TargetError, DecodeError):
            self._collect()
        return Ledger(
            LedgerKind.ALLOCATIONS,
            began,
            now,
            places=self._places(),
            open=self._pairing.listed(),
            unseen=(*self.unseen(), BOOKS_FULL) if self._pairing.full else self.unseen(),
        )

    @property
    def cycles(self) -> int | None:
        """How many collections the process has finished; None where that is not known."""
        return None if self._generation is None else self._generation // _PER_CYCLE

    def _places(self) -> tuple[LedgerPlace, ...]:
        """The books by place, with those that were still there two collections after they were made."""
        counts: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        for item in self._pairing.iter_open():
            made = self._made[item.key]
            if made.checked - made.generation >= _CYCLES_TO_JUDGE * _PER_CYCLE:
                counts[item.place] += 1
                sizes[item.place] += item.size
        return tuple(
            replace(place, survivors=counts[index], surviving_bytes=sizes[index]) if counts[index] else place
            for index, place in enumerate(self._pairing.places())
        )

    # --- collected ---

    def _collect(self) -> None:
        """Look at those that have lived through a collection since they were looked at, so many at a time.

        Raises TargetGone and DecodeError.
        """
        liveness = self._find_liveness()
        if liveness is None:
            return
        generation = self._generation = liveness.generation()
        older = ((start, made) for start, made in self._made.items() if made.checked != generation)
        for start, made in list(itertools.islice(older, _CHECKED_AT_ONCE)):
            alive = liveness.is_alive(made.span, start, made.size)
            if alive is False:
                self._pairing.collect(start)
                del self._made[start]
            elif alive:
                made.checked = generation
                self._made[start] = self._made.pop(start)

    def _find_liveness(self) -> Liveness | None:
        if self._liveness is None and not self._doubt:
            try:
                self._liveness = Liveness(self._attachment)
            except EngineUnavailable as error:
                self._doubt = f"which allocations survive is not known: {error.args[0]}"
        return self._liveness
