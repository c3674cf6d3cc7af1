"""The pairs of the newest burst, kept as they were when it was over.

Law: what is closed after a burst nobody sees. So the pairs are judged by the first look at the goroutines and bodies
after it, and by no later one.
"""

from __future__ import annotations

from leaktui.analysis.program import Program
from leaktui.analysis.tracepoint_bodies import pair_bodies
from leaktui.model.assessment import BodyPairs
from leaktui.model.snapshot import Snapshot
from leaktui.model.tracepoint import TracepointRun


class PairedBurst:
    """Pairs each burst until nothing can be added to what is known of it."""

    def __init__(self) -> None:
        self._run: TracepointRun | None = None
        self._pairs: BodyPairs | None = None
        self._final = False

    def of(self, snapshot: Snapshot, program: Program) -> BodyPairs | None:
        """The pairs of the burst in *snapshot*; None where it has none."""
        run = snapshot.tracepoints
        if run is None:
            return None
        if run is self._run and self._final:
            return self._pairs
        self._run = run
        self._pairs = pair_bodies(run, snapshot, program)
        self._final = not run.armed and min(snapshot.goroutines_time, snapshot.bodies_time) > run.time
        return self._pairs
