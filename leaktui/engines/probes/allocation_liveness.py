"""Whether a large object is still there, read from its span while the program runs.

Law: nothing is probed for it. A span that holds a single object is given back once a sweep has found it unmarked
(runtime/mgcsweep.go), so its struct tells: no longer in use, or in use for something else, is gone. What a collection
that is still being swept has left unmarked is gone as well. What is said comes from two equal readings.
"""

from __future__ import annotations

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.mheap import IN_USE, SpanList, SpanState, find_span_list
from leaktui.errors import DecodeError, EngineUnavailable

_SWEPT, _UNSWEPT = (0, 3), (-2, 1)  # mspan.sweepgen − mheap_.sweepgen (runtime/mheap.go); −1 is being swept
_TRIES = 3


class Liveness:
    """Answers for one process."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises EngineUnavailable where the heap's list of spans is not found."""
        self._memory = attachment.memory
        found: SpanList = find_span_list(attachment.executable, attachment.memory, attachment.layout)
        if not found.sweep_generation:
            raise EngineUnavailable(
                "how often this program's heap was collected is not known",
                remedy="report the Go release this program was built with",
            )
        self._list = found

    def generation(self) -> int:
        """mheap_.sweepgen: two more after each collection. Raises DecodeError, TargetGone."""
        return self._list.read_generation(self._memory)

    def is_alive(self, span: int, start: int, size: int) -> bool | None:
        """Whether the object of *size* bytes at *start* is still in the runtime.mspan at *span*.

        None where that cannot be told at the moment. Raises TargetGone.
        """
        for _ in range(_TRIES):
            try:
                state = self._read(span)
                if (state.state, state.start, state.limit) != (IN_USE, start, start + size):
                    return False
                if state.span_class > 1:
                    return False
                generation = self.generation()
                behind = state.sweep_generation - generation
                if behind in _SWEPT:
                    alive = True
                elif behind in _UNSWEPT:
                    alive = bool(self._memory.read(state.mark_bits, 1)[0] & 1)
                else:
                    continue
                if self.generation() == generation and self._read(span) == state:
                    return alive
            except DecodeError:
                continue  # the mark bits were given back
        return None

    def _read(self, span: int) -> SpanState:
        layout = self._list.layout
        return layout.decode(self._memory.read(span, layout.size))
