"""Where all goroutines are when a watch of hand-offs ends: who still is there, who reads, who may be at it still.

Law: that a goroutine has ended is said only where its runtime.g shows it: it may be missing from a list because it
could not be read just then.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.body_signal import BodySignals
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.memory.persist_conn import PersistConns
from leaktui.engines.memory.stack_residue import CallerChain
from leaktui.engines.memory.unwind import End
from leaktui.model.frame import Stack

_BODY_READ = "net/http.(*bodyEOFSignal).Read"
_DEAD = frozenset((0, 6, 11))  # runtime._Gidle, _Gdead, _Gdeadextra
_TORN_TRIED = 64


@dataclass(slots=True)
class WatchEnd:
    """The goroutines at the end of a watch: all by number, and those inside a Read by the channel they may end."""

    reader: GoroutineReader
    goroutines: dict[int, Seen] = field(default_factory=dict)
    readers: dict[int, int] = field(default_factory=dict)
    _inside: frozenset[str] | None = None
    _torn: frozenset[int] = frozenset()
    """Entry addresses of those that ran, or moved: where they were is not known."""

    def is_alive(self, goid: int, address: int) -> bool | None:
        """Whether a goroutine is still there, None where that is not known; *address* was that of its runtime.g.

        That stays where it is, dead, until another goroutine is given it.
        """
        if goid in self.goroutines:
            return True
        state = self.reader.state_at(address)
        return False if state is not None and (state.goid != goid or state.status in _DEAD) else None

    def stack_of(self, goid: int) -> Stack:
        """Where a goroutine is, empty where that is not known."""
        seen = self.goroutines.get(goid)
        return () if seen is None or seen.trace.end is End.TORN else seen.trace.stack

    def maybe_inside(self, goid: int, chain: CallerChain) -> frozenset[str]:
        """The functions of *chain* that who made the call may be inside: of all there are, where *goid* is 0."""
        functions = frozenset(frame.function for frame in chain.stack)
        if self._inside is None:
            stacks = {id(seen.trace.stack): seen.trace.stack for seen in self.goroutines.values()}
            self._inside = frozenset(frame.function for stack in stacks.values() for frame in stack)
            self._torn = frozenset(
                seen.state.start_pc for seen in self.goroutines.values() if seen.trace.end is End.TORN
            )
        # One that ran may have been anywhere that leads on from where it began.
        ran = chain.entry in self._torn if chain.whole else bool(self._torn)
        return functions if goid or ran else functions & self._inside


class EndReader:
    """Reads the goroutines of one process at the end of a watch. Not thread-safe."""

    def __init__(self, attachment: Attachment, conns: PersistConns) -> None:
        self._goroutines = attachment.goroutines
        self._conns = conns
        self._signals = BodySignals(attachment, conns.layout) if conns.layout is not None else None

    def read(self, cancel: threading.Event) -> WatchEnd:
        """Raises TargetGone, and DecodeError when the list of goroutines cannot be read."""
        ending = WatchEnd(self._goroutines)
        torn: list[Seen] = []
        for seen in self._goroutines.iter_seen(Tally(), cancel):
            ending.goroutines[seen.state.goid] = seen
            if seen.trace.end is End.TORN and len(torn) < _TORN_TRIED:
                torn.append(seen)
            if self._signals is not None and self._conns.is_inside(seen, _BODY_READ):
                place = self._conns.find_place(seen, _BODY_READ)
                found = self._signals.find_read(place) if place is not None else None
                for word in found.words if found is not None else ():
                    ending.readers[word] = seen.state.goid
        # What ran just then may be at rest by now, and show where it is.
        for seen in torn:
            again = self._goroutines.look(seen.address)
            if again is not None and again.state.goid == seen.state.goid:
                ending.goroutines[seen.state.goid] = again
        return ending
