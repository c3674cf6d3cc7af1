"""The headless diagnosis: watch until sure, then say what leaks.

Law: it ends as soon as more watching would change nothing, at latest at its deadline, and at once when it
is told to stop; whatever way it ends, everything it holds of the target has been let go.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.analysis.program import Program, UnknownProgram
from leaktui.engines.protocol import Engine
from leaktui.errors import TargetGone
from leaktui.investigation import Investigation, InvestigationEvent
from leaktui.model.finding import Diagnosis
from leaktui.model.target import Target
from leaktui.session import ProgressMade

_TICK_SECONDS = 0.2
_BLIND_SECONDS = 6.0
"""A source that failed may come back within this time; after it, watching on shows nothing."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the diagnosis is: for one line on a terminal."""

    elapsed_seconds: float
    deadline_seconds: float
    text: str


def diagnose(
    target: Target,
    engines: Sequence[Engine],
    *,
    load_program: Callable[[], Program] = UnknownProgram,
    seconds: float = 60.0,
    allow_pauses: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: threading.Event | None = None,
    on_conclusion: Callable[[Investigation], None] = lambda investigation: None,
) -> Diagnosis:
    """Watch *target* for at most *seconds* and say what leaks.

    *on_conclusion* is shown the investigation after its last word, before the target is let go.
    Raises TargetGone when the target exits before anything was seen of it.
    """
    stop = stop or threading.Event()
    doing = "looking for what works on this target"
    exited = threading.Event()

    def listen(event: InvestigationEvent) -> None:
        nonlocal doing
        if isinstance(event, ProgressMade):
            doing = "watching" if event.fraction == 1.0 else event.text

    investigation = Investigation(
        target,
        engines,
        listen,
        load_program=load_program,
        allow_pauses=allow_pauses,
        dumps=False,
        probes=True,
        deadline_seconds=seconds,
    )
    investigation.start()
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not stop.is_set():
            stop.wait(_TICK_SECONDS)
            assessment = investigation.assessment
            if investigation.session.exited is not None:
                exited.set()
                break
            if assessment.settled or (investigation.blind and investigation.elapsed_seconds > _BLIND_SECONDS):
                break
            on_progress(
                Progress(investigation.elapsed_seconds, seconds, ", ".join([*investigation.sights, doing]))
            )
        if exited.is_set() and not investigation.session.history.snapshots:
            raise TargetGone(investigation.session.exited or "the process exited")
        investigation.conclude()
        on_conclusion(investigation)
        return investigation.diagnosis()
    finally:
        investigation.close()
