"""Where a goroutine stands in runtime.allgs, read from memory while the target runs.

Law: Delve looks a goroutine up by going through all of them, with the target halted: 0.1 ms each, a second at
10,000. One that it has just listed it knows; so it is told to list the one at this place. What stands there may be
another by then: whoever asks checks.
"""

from __future__ import annotations

import threading

from leaktui.engines.memory.allgs import SCAN_BIT, read_allgs
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.deferred import DeferReader
from leaktui.engines.memory.near_structs import iter_structs
from leaktui.engines.memory.unwind import End
from leaktui.model.wait import DeferredCall

_DEAD = 6


class Whereabouts:
    """The goroutines of one process by their number."""

    def __init__(self, pid: int, cancel: threading.Event) -> None:
        """Raises EngineUnavailable, TargetGone, TargetForbidden."""
        self._attachment: Attachment = attach(pid, cancel)

    def find(self, goid: int) -> int | None:
        """Its place in the list, None where there is none. Raises TargetGone, DecodeError."""
        found = self._find(goid)
        return None if found is None else found[1]

    def open_coded(self, goid: int) -> tuple[DeferredCall, ...]:
        """The deferred calls that the compiler has put into the frames of a goroutine at rest: Delve does not see them.

        Raises TargetGone, DecodeError.
        """
        found = self._find(goid)
        seen = self._attachment.goroutines.look(found[0]) if found is not None else None
        if seen is None or seen.state.goid != goid or seen.trace.end is End.TORN:
            return ()
        reader = DeferReader(self._attachment)
        deferred = reader.deferred(seen)
        return () if reader.torn else tuple(call for call in deferred if call.open_coded)

    def _find(self, goid: int) -> tuple[int, int] | None:
        """The address of its g, and its place in the list."""
        attachment = self._attachment
        places = {
            address: index
            for index, address in enumerate(read_allgs(attachment.memory, attachment.allgs))
            if address
        }
        for address, raw in iter_structs(attachment.memory, sorted(places), attachment.layout.g.size):
            state = attachment.layout.g.decode(raw)
            if state.goid == goid:
                # A dead one waits in the list to become another.
                return None if state.status & ~SCAN_BIT == _DEAD else (address, places[address])
        return None

    def close(self) -> None:
        """Close the files; safe to call again."""
        self._attachment.close()
