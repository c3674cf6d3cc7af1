"""Does anything that lives point to what was left unmarked? Looked for again and again, quickly.

Law: marking follows pointers, so one that moves while the heap is marked can be missed. Here only the few objects
that lead to what sleeping goroutines wait on are looked for, in all of the heap, which is some forty times as fast and
so can be done many times over. An unmarked object with a pointer to one of them joins them. A marked one that has such
a pointer proves that marking missed it, and so does any that had none the time before: goroutines that sleep for
ever and garbage get no new pointers. It is marked from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.marking import Marking
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.word_search import WordSearch
from leaktui.errors import DecodeError

ROUNDS = 6
"""Times the heap is searched at least."""

PATIENCE = 12
"""Rounds in which objects may join those looked for. From then on what an unmarked one points to lives."""

ROUNDS_LIMIT = 48
"""Rounds at most."""

OBJECTS_LIMIT = 1 << 15
"""Objects looked for, beyond which patience ends at once."""

_CHUNK = 2 << 20


class Confirmation:
    """Searches the heap of one marking. Not thread-safe."""

    def __init__(self, memory: MemoryReader, marking: Marking) -> None:
        self._memory = memory
        self._marking = marking
        self._wanted: dict[int, tuple[int, int]] = {}
        """Of each object looked for, by its start: its size, and the first round that looks for it."""
        self.doubt = ""
        self.scanned = 0

    def confirm(
        self, addresses: Callable[[], Iterable[int]], heap: Callable[[], HeapMap], again: Callable[[], None]
    ) -> None:
        """Search until nothing new turns up; *addresses* gives the objects that are waited on, as of now.

        *heap* reads the map anew: what moves may be in a span that was not there before. *again* looks at all but
        the heap, and marks until nothing is left to do. Raises Cancelled, DecodeError, TargetGone.
        """
        for number in range(ROUNDS_LIMIT):
            again()
            self._keep_unmarked(addresses(), number)
            if not self._wanted:
                return
            patient = number < PATIENCE and len(self._wanted) <= OBJECTS_LIMIT
            if not self._search(heap(), number, patient=patient) and number + 1 >= ROUNDS:
                again()
                return
        self.doubt = "more and more objects led to what the goroutines wait on"

    def _keep_unmarked(self, addresses: Iterable[int], number: int) -> None:
        for address in addresses:
            found = self._marking.object_at(address)
            if found is not None:
                self._wanted.setdefault(found[0], (found[1], number))
        for start in [start for start in self._wanted if self._marking.is_marked(start)]:
            del self._wanted[start]

    def _search(self, heap: HeapMap, number: int, *, patient: bool) -> bool:
        """Look through the heap once; whether another pointer was found."""
        marking, wanted = self._marking, self._wanted
        search = WordSearch((start, start + size) for start, (size, _) in wanted.items())
        grown = False
        for start, end in _iter_ranges(heap):
            for place in range(start, end, _CHUNK):
                marking.check()
                try:
                    data = self._memory.read(place, min(_CHUNK, end - place))
                except DecodeError:
                    marking.torn += 1
                    continue
                self.scanned += len(data)
                for offset, value in search.iter_hits(data):
                    source = heap.find(place + offset)
                    if source is None or source.start in wanted or marking.is_hidden(source.start):
                        continue
                    if place + offset - source.start not in heap.pointer_words(source):
                        continue
                    target = marking.object_at(value)
                    known = wanted.get(target[0]) if target is not None else None
                    if target is None or marking.is_marked(target[0]):
                        continue
                    grown = True
                    is_new = known is not None and known[1] < number
                    if is_new or not patient or marking.is_marked(source.start):
                        marking.mark_words((value,))
                    elif len(wanted) <= OBJECTS_LIMIT:
                        wanted[source.start] = source.size, number + 1
        return grown


def _iter_ranges(heap: HeapMap) -> list[tuple[int, int]]:
    """(start, end) of memory that may hold pointers, adjoining spans as one."""
    ranges: list[tuple[int, int]] = []
    for span in heap.iter_spans():
        if not span.scannable:
            continue
        if ranges and ranges[-1][1] == span.start:
            ranges[-1] = (ranges[-1][0], span.end)
        else:
            ranges.append((span.start, span.end))
    return ranges
