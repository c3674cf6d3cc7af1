"""Which body a goroutine reads.

Law: a read does not say whose body it is. It is one that the goroutine was given itself; else, for a
goroutine that never read anything else, one of the goroutine that created it, or that sent it something
over a channel before. Of several: the one this call read before, the one whose request shares the most
outer frames with the read, the newest. A body has one reader; what cannot be told is left untold.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaktui.analysis.trace_goroutines import BodyRecord, GoroutineRecord
from leaktui.analysis.trace_stacks import READS_BODY, StackBook
from leaktui.model.trace import BodyReader

# Of a goroutine's open bodies, the newest are looked at.
_MAX_CANDIDATES = 8


class Readers:
    """Reads seen, and at the end who was reading what."""

    def __init__(self, book: StackBook) -> None:
        self._book = book

    def read(self, goroutine: GoroutineRecord, time: int, stack: int) -> None:
        """*goroutine* is inside a body's Read, at *stack*; its previous stack is still in the record."""
        body = self._own_body(goroutine, stack)
        sure = body is not None and self._has_not_returned(body, stack)
        if body is None:
            body = goroutine.reading
            if body is not None and body.released_ns is None:
                sure = body.read_sure
            else:
                body = self._given_body(goroutine)
                # What came over a channel may have been something else.
                sure = body is not None and body.caller is goroutine.creator
        goroutine.has_read = True
        goroutine.reading = body
        if body is not None:
            body.last_read_ns = time
            body.read_stack = stack
            body.read_sure = sure
            body.reader = goroutine

    def _has_not_returned(self, body: BodyRecord, stack: int) -> bool:
        """Whether *stack* is still below the call that asked for *body*."""
        return self._book.shared_frames(body.stack, stack) >= self._book.asker_depth(body.stack)

    def _own_body(self, goroutine: GoroutineRecord, stack: int) -> BodyRecord | None:
        if not goroutine.bodies:
            return None
        return self._closest(goroutine.bodies, stack, goroutine)

    def _given_body(self, goroutine: GoroutineRecord) -> BodyRecord | None:
        creator, giver = goroutine.creator, goroutine.giver
        if not goroutine.has_read and creator is not None and creator.bodies:
            before = [body for body in creator.bodies if body.opened_ns < goroutine.created_ns]
            body = self._closest(before, goroutine.creation, goroutine)
            if body is not None:
                return body
        # A goroutine that has read a body nobody saw it get may still be reading that one.
        if (goroutine.reading is not None or not goroutine.has_read) and giver is not None and giver.bodies:
            before = [body for body in giver.bodies if body.opened_ns < goroutine.given_ns]
            return self._closest(before, goroutine.giver_stack, goroutine)
        return None

    def _closest(self, bodies: list[BodyRecord], stack: int, reader: GoroutineRecord) -> BodyRecord | None:
        best: BodyRecord | None = None
        best_rank = (False, 0, False)
        requests: set[int] = set()
        for body in reversed(bodies[-_MAX_CANDIDATES:]):  # the newest first: it wins when all is equal
            if body.stack in requests:
                continue  # asked again at the same call since
            requests.add(body.stack)
            if body.reader is None or body.reader is reader or body.reader.ended:
                shared = self._book.shared_frames(body.stack, stack)
                # Read before by this very call; most frames in common; who asked has not returned yet.
                rank = (body.read_stack == stack, shared, shared == self._book.asker_depth(body.stack))
                if best is None or rank > best_rank:
                    best, best_rank = body, rank
        return best

    def of(self, body: BodyRecord) -> GoroutineRecord | None:
        """Who was inside a read of *body* when the trace ended."""
        reader = body.reader
        if body.released_ns is None and reader is not None and self._reads(reader) and reader.reading is body:
            return reader
        return None

    def all(self, goroutines: Iterable[GoroutineRecord]) -> tuple[BodyReader, ...]:
        """Everyone who was reading a body when the trace ended."""
        return tuple(
            BodyReader(
                goid=goroutine.goid,
                stack=self._book.stacks[goroutine.stack],
                matched=goroutine.reading is not None and self.of(goroutine.reading) is goroutine,
            )
            for goroutine in goroutines
            if self._reads(goroutine)
        )

    def _reads(self, goroutine: GoroutineRecord) -> bool:
        return not goroutine.ended and bool(self._book.roles[goroutine.stack] & READS_BODY)
