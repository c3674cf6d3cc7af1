"""The books of large allocations: who makes them, which of them survive the garbage collector.

Law: objects do not move, so an address is the key; the same address again means that what was there has been
collected. Whether one is still there is read from its span, once after each collection. It is called a survivor only
when two collections have ended since it was made: one that is under way while it is made spares it unseen.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.probes.allocation_liveness import Liveness
from leaktui.engines.probes.allocation_sites import (
    GENERATION,
    GOID,
    LARGE,
    LIMIT,
    SPAN,
    START,
    find_allocation_sites,
)
from leaktui.engines.probes.call_chain import CallChains
from leaktui.engines.probes.pairing import Pairing
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.errors import DecodeError, EngineUnavailable
from leaktui.model.ledger import Ledger, LedgerKind, Opened

_CHECKED_AT_ONCE = 5000
_PER_CYCLE = 2  # mheap_.sweepgen counts by two
_CYCLES_TO_JUDGE = 2
_WORD32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Survivors:
    """Of one place: how many objects are still there after two collections, and their bytes."""

    count: int
    bytes: int


@dataclass(slots=True)
class _Made:
    """What `Opened` does not say: the span, the heap's generation when it was made, and when it was looked at."""

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
        place = self._pairing.place(self._chains.stack(hit.site.address, hit.frames), hit.whole)
        self._pairing.open(Opened(start, hit.time_ns / 1e9, place, goid=words[GOID], size=size))
        if start in self._pairing:
            generation = words[GENERATION] & _WORD32
            self._made[start] = _Made(words[SPAN], generation, generation)

    def ledger(self, began: float, now: float) -> Ledger:
        """The books as they stand. Raises TargetGone."""
        self._collect()
        return Ledger(
            LedgerKind.ALLOCATIONS,
            began,
            now,
            places=self._pairing.places(),
            open=self._pairing.listed(),
            unseen=self.unseen(),
        )

    @property
    def cycles(self) -> int | None:
        """How many collections the process has finished; None where that is not known."""
        return None if self._generation is None else self._generation // _PER_CYCLE

    def survivors(self) -> dict[int, Survivors]:
        """By index of the place: those that were there when last looked at, two collections after they were made."""
        counts: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        for item in self._pairing.iter_open():
            made = self._made[item.key]
            if made.checked - made.generation >= _CYCLES_TO_JUDGE * _PER_CYCLE:
                counts[item.place] += 1
                sizes[item.place] += item.size
        return {place: Survivors(count, sizes[place]) for place, count in counts.items()}

    # --- collected ---

    def _collect(self) -> None:
        """Look at those that have lived through a collection since they were looked at, so many at a time."""
        liveness = self._find_liveness()
        if liveness is None:
            return
        try:
            generation = self._generation = liveness.generation()
        except DecodeError:
            return
        older = (item for item in self._pairing.iter_open() if self._made[item.key].checked != generation)
        for item in list(itertools.islice(older, _CHECKED_AT_ONCE)):
            made = self._made[item.key]
            alive = liveness.is_alive(made.span, item.key, item.size)
            if alive is False:
                self._pairing.collect(item.key)
                del self._made[item.key]
            elif alive:
                made.checked = generation

    def _find_liveness(self) -> Liveness | None:
        if self._liveness is None and not self._doubt:
            try:
                self._liveness = Liveness(self._attachment)
            except EngineUnavailable as error:
                self._doubt = f"which allocations survive is not known: {error.args[0]}"
        return self._liveness
