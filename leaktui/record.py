"""The headless recording: watch for a while, and keep everything that was seen in a file.

Law: what is watched is watched as `diagnose` does it, for the whole time; whatever way it ends, the file is good up to
there and everything it holds of the target has been let go.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from leaktui import __version__
from leaktui.analysis.census_growth import growing_samples
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.binary.go_source import find_declaration
from leaktui.engines.capture_records import RECORDER, ExplanationKept, SourceKept, SourceLine
from leaktui.engines.protocol import Engine, Want
from leaktui.engines.recording import Recorder
from leaktui.errors import UsageError
from leaktui.investigation import Investigation
from leaktui.model.finding import Diagnosis, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.model.target import Target
from leaktui.sources import HERE, Sources
from leaktui.wire.capture.mask import Mask

_TICK_SECONDS = 0.2
_DRILL_SHARE = 0.6
"""After this share of the time the suspects are looked at closely, as somebody at the screen would."""

_MOST_SUSPECTS = 3
_MOST_EXPLAINED = 6
_GOROUTINES_EACH = 3
_HOLDERS_EACH = 2
_STACK_FRAMES = 6
_MOST_FILES = 24
_CONTEXT_LINES = 6
_MOST_LINES = 600
_LONGEST_LINE = 400


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """How far the recording is: for one line on a terminal."""

    elapsed_seconds: float
    deadline_seconds: float
    written_bytes: int
    seen: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded: for how long, why it ended, and the verdict there."""

    seconds: float
    reason: str
    diagnosis: Diagnosis


def record(
    target: Target,
    engines: Sequence[Engine],
    file: IO[bytes],
    *,
    load_program: Callable[[], Program] = UnknownProgram,
    sources: Sources = HERE,
    seconds: float = 60.0,
    allow_pauses: bool = False,
    mask: Mask | None = None,
    on_progress: Callable[[RecordProgress], None] = lambda progress: None,
    stop: threading.Event | None = None,
) -> Recording:
    """Watch *target* for *seconds*, or until *stop*, and record all of it into *file*, which is closed at the end.

    *mask* hides secrets. Raises UsageError when the file cannot be written on.
    """
    stop = stop or threading.Event()
    header = {
        "leaktui": __version__,
        "began": time.time(),
        "seconds": seconds,
        "engines": [engine.name for engine in engines],
        "masked": mask is not None,
    }
    recorder = Recorder(file, target, header=header, mask=mask)
    try:
        investigation = Investigation(
            target,
            recorder.engines(engines),
            load_program=lambda: recorder.program(load_program()),
            allow_pauses=allow_pauses,
            dumps=False,
            probes=True,
            deadline_seconds=seconds,
        )
        investigation.start()
        try:
            reason = _watch(investigation, recorder, seconds, on_progress, stop)
            elapsed = investigation.elapsed_seconds
            # What comes from here on belongs to neither the capture nor the verdict.
            recorder.freeze()
            investigation.session.close()
            investigation.conclude()
            sources = sources.of_module(target.module)
            suspects = investigation.assessment.suspects[:_MOST_EXPLAINED]
            for kept in (*_explanations_of(suspects, sources), *_sources_of(suspects, sources)):
                recorder.put(RECORDER, kept)
            diagnosis = investigation.diagnosis()
            recorder.close(reason)
            if recorder.failure and not recorder.is_full:
                raise UsageError(recorder.failure, remedy="make room for it, or name another file with -o")
            return Recording(elapsed, reason, replace(diagnosis, elapsed_seconds=elapsed))
        finally:
            investigation.close()
    finally:
        recorder.close("leaktui failed")


def _watch(
    investigation: Investigation,
    recorder: Recorder,
    seconds: float,
    on_progress: Callable[[RecordProgress], None],
    stop: threading.Event,
) -> str:
    """Watch to the end; why it ended, in a few words."""
    deadline = time.monotonic() + seconds
    drilled = False
    while time.monotonic() < deadline:
        if stop.wait(_TICK_SECONDS):
            return "ended by hand"
        if investigation.session.exited is not None:
            return investigation.session.exited
        if recorder.failure:
            return recorder.failure
        elapsed = investigation.elapsed_seconds
        if not drilled and elapsed > _DRILL_SHARE * seconds:
            drilled = True
            _look_closely(investigation)
        on_progress(RecordProgress(elapsed, seconds, recorder.written, ", ".join(investigation.sights)))
    return "the time was up"


def _look_closely(investigation: Investigation) -> None:
    """Order what somebody would go down into who looks at the capture: all of it costs the target nothing."""
    assessment, session = investigation.assessment, investigation.session
    goids: list[int] = []
    addresses: list[int] = []
    for finding in assessment.suspects[:_MOST_SUSPECTS]:
        if finding.kind is LeakKind.HTTP_BODY:
            bodies = [item for item in assessment.bodies if _owns(finding, item.owner)] or assessment.bodies
            # Of a body that was collected it is the connection that somebody may hold.
            held = [item.connection if item.orphaned or not item.address else item.address for item in bodies]
            addresses += [address for address in held if address][:_HOLDERS_EACH]
            goids += [item.goid for item in bodies if item.goid][:_GOROUTINES_EACH]
        elif finding.kind is LeakKind.GOROUTINE:
            rows = [row for row in assessment.groups if row.group.stack == finding.stack]
            goids += [goid for row in rows for goid in row.goids][:_GOROUTINES_EACH]
        elif finding.kind is LeakKind.HEAP:
            addresses += growing_samples(session.history.snapshots)[:_HOLDERS_EACH]
    if session.offers(Want.DETAIL):
        for goid in dict.fromkeys(goids):
            session.order({Want.DETAIL}, subject=goid)
    if session.offers(Want.HOLDERS):
        for address in dict.fromkeys(addresses):
            session.order({Want.HOLDERS}, subject=address)


def _owns(finding: Finding, owner: Frame | None) -> bool:
    return owner is not None and owner.function == finding.function


def _explanations_of(suspects: Sequence[Finding], sources: Sources) -> Iterator[ExplanationKept]:
    """What the whole source says of the suspects: the functions that are kept are not all it was read from."""
    for finding in suspects:
        explanation = sources.explain(finding)
        if explanation is not None and finding.location is not None:
            yield ExplanationKept.of(finding, finding.location, explanation)


def _sources_of(suspects: Sequence[Finding], sources: Sources) -> Iterator[SourceKept]:
    """The functions around the suspects, where their source can be read."""
    wanted: dict[str, list[int]] = {}
    for finding in suspects:
        frames = [
            finding.location,
            finding.created_by,
            *finding.stack[:_STACK_FRAMES],
            *finding.candidates[:3],
        ]
        for frame in frames:
            if frame is not None and frame.file and frame.line > 0:
                wanted.setdefault(frame.file, []).append(frame.line)
    for file in list(wanted)[:_MOST_FILES]:
        text = sources.text(file)
        if text is None:
            continue
        lines = text.split("\n")
        kept: set[int] = set()
        for line in wanted[file]:
            found = find_declaration(text, line)
            first, last = (found.line, found.end_line) if found is not None else (line, line)
            kept.update(range(max(1, first - _CONTEXT_LINES), min(len(lines), last + _CONTEXT_LINES) + 1))
        numbers = sorted(kept)[:_MOST_LINES]
        yield SourceKept(
            file,
            tuple(
                SourceLine(number, lines[number - 1].rstrip("\r").expandtabs(4)[:_LONGEST_LINE])
                for number in numbers
            ),
        )
