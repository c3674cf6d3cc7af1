"""Engines out of a capture: what was told then is told again, in its order and at its times.

Law: nothing here touches a process. A tape plays its records one after the other; its clock shows the time of the one
that is played, on the clock of the machine it was recorded on, and stops with the last.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leaktui.analysis.program import ResponseStep, UnknownProgram
from leaktui.engines.capture_records import (
    REGISTRY,
    CallSitesFound,
    ExplanationKept,
    FunctionNamed,
    RecordingEnded,
    ResponseFollowed,
    SourceKept,
    TargetNamed,
)
from leaktui.engines.protocol import (
    DetailSeen,
    EvaluationSeen,
    Fact,
    HoldersSeen,
    InspectionSeen,
    Refused,
    Request,
    Want,
)
from leaktui.errors import DecodeError, UsageError
from leaktui.model.capability import Capability, Impact
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.model.frame import Frame, Stack
from leaktui.model.target import Target
from leaktui.text import package_of, printable
from leaktui.wire.capture.decoder import Decoder
from leaktui.wire.capture.lines import LineReader

IS_CAPTURE = "this is a capture: there is no process to ask"
_CHUNK = 1 << 18
_LONGEST_TEXT = 1 << 20
_MOST_ENGINES = 16
_LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class CaptureHeader:
    """What a capture says of itself: when it was begun (seconds since 1970), by which leaktui, how long it was to be.

    `engines` are the sources it was made with, in their order; `clock` is the monotonic clock at its start.
    """

    began: float
    clock: float
    version: str
    seconds: float
    engines: tuple[str, ...]
    masked: bool


class Tape:
    """A capture being played. Raises UsageError for a file that is none, or not one that can be read here."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = printable(Path(path).name, 100)
        chunks = _read_chunks(path, self._name)
        self._lines = LineReader(chunks)
        self._decoder = Decoder(REGISTRY, self._lines, lambda text: printable(text, _LONGEST_TEXT))
        try:
            self.header = _header(self._decoder.read_header())
            self._records = self._decoder.records()
            first = next(self._records, None)
        except DecodeError as error:
            remedy = error.remedy or "name a file that `leaktui record` has written, or an execution trace"
            raise UsageError(f"{self._name} cannot be opened: {error.args[0]}", remedy=remedy) from None
        if first is None or not isinstance(first.value, TargetNamed):
            raise UsageError(
                f"{self._name} ends before anything was recorded", remedy="record again, for longer"
            )
        self.target: Target = first.value.target
        self.ended = threading.Event()
        self.ends: RecordingEnded | None = None
        self.damage = ""
        self._position = 0.0
        self.program = ReplayProgram()
        self.sources: dict[str, list[SourceKept]] = {}
        self.explanations: list[ExplanationKept] = []
        self.engines = [ReplayEngine(name, self) for name in self.header.engines]

    def clock(self) -> float:
        """Seconds on the monotonic clock of the machine that recorded, at what is played now."""
        return self.header.clock + self._position

    def wall_clock(self) -> float:
        """Seconds since 1970 at what is played now."""
        return self.header.began + self._position

    @property
    def seconds(self) -> float:
        """How far it was played."""
        return self._position

    def play(self) -> Iterator[tuple[float, ReplayEngine, object]]:
        """What engines told, one after the other: (seconds since the start, who, a Capability, SourceFailed or fact).

        Each is told when the clock already shows its time. What the program or the recorder said goes where it belongs.
        """
        engines = {engine.name: engine for engine in self.engines}
        try:
            for record in self._records:
                self._position = max(self._position, record.seconds)
                value = record.value
                if isinstance(value, RecordingEnded):
                    self.ends = value
                elif isinstance(value, SourceKept):
                    self.sources.setdefault(value.file, []).append(value)
                elif isinstance(value, ExplanationKept):
                    self.explanations.append(value)
                elif isinstance(value, FunctionNamed | ResponseFollowed | CallSitesFound):
                    self.program.learn(value)
                elif record.source in engines:
                    engine = engines[record.source]
                    engine.hear(value)
                    yield self._position, engine, value
        except DecodeError as error:
            self.damage = str(error.args[0])
        finally:
            self.finish()

    def source_of(self, file: str) -> dict[int, str]:
        """The lines, by number, that are kept of the source *file*."""
        return {line.number: line.code for kept in self.sources.get(file, ()) for line in kept.lines}

    def explanation_of(self, finding: Finding) -> Explanation | None:
        """What the source said of *finding* where the capture was made; None where nothing is kept of that."""
        mine = (finding.kind, finding.function, finding.location)
        for kept in self.explanations:
            if (kept.kind, kept.function, kept.location) == mine:
                return kept.restored()
        return None

    def finish(self) -> None:
        """Nothing more is played; who waits for an answer is told that there is none."""
        self.ended.set()
        for engine in self.engines:
            engine.close()

    @property
    def shortfall(self) -> str:
        """A sentence on what is missing at the end, empty where the recording ended as it should."""
        at = f"after {self._position:.0f} s"
        if self.damage:
            return f"the capture is damaged {at} ({self.damage}): what came before is shown"
        if self.ended.is_set() and self.ends is None:
            return f"the capture ends early, {at}: the recording was cut off"
        return "; ".join(self.ends.left_out) if self.ends is not None else ""


def _read_chunks(path: str, name: str) -> Iterable[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be opened ({why})", remedy="name a capture file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{name} is no regular file", remedy="name a capture file")

    def read() -> Iterator[bytes]:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return read()


def _header(found: object) -> CaptureHeader:
    match found:
        case {
            "began": int() | float() as began,
            "clock": int() | float() as clock,
            "leaktui": str(version),
            "seconds": int() | float() as seconds,
            "engines": list(engines),
            "masked": bool(masked),
        } if all(isinstance(name, str) for name in engines) and abs(began) < 1e11 and abs(clock) < 1e11:
            names = dict.fromkeys(printable(name, _LONGEST_NAME) for name in engines[:_MOST_ENGINES])
            return CaptureHeader(
                float(began), float(clock), printable(version, 40), float(seconds), tuple(names), masked
            )
    raise DecodeError("its header does not say what it should")


class ReplayEngine:
    """One source of a capture."""

    def __init__(self, name: str, tape: Tape) -> None:
        self.name = name
        self._tape = tape
        self._capability: Capability | None = None
        self._told = threading.Event()
        self._answers: dict[tuple[Want, int | str], Fact] = {}

    def hear(self, value: object) -> None:
        """Remember what was said that may be asked for again."""
        if isinstance(value, Capability):
            self._capability = value
            self._told.set()
        elif isinstance(value, HoldersSeen):
            self._answers[Want.HOLDERS, value.search.subject] = value
        elif isinstance(value, DetailSeen):
            self._answers[Want.DETAIL, value.detail.goid] = value
        elif isinstance(value, InspectionSeen):
            self._answers[Want.INSPECTION, value.inspection.goid] = value
        elif isinstance(value, EvaluationSeen):
            self._answers[Want.EVALUATION, value.evaluation.expression] = value

    def knows(self, want: Want, asked: int | str) -> bool:
        """Whether an answer to that was recorded (and has been played)."""
        return (want, asked) in self._answers

    def probe(self, target: Target) -> Capability:
        """What the engine said then; waits until it says so on the tape."""
        self._told.wait()
        if self._capability is None:
            return Capability(
                self.name,
                usable=False,
                impact=Impact.NONE,
                reason="it had not answered yet when the recording ended",
            )
        return self._capability

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """What was answered then to the same question; a Refused where it was not asked."""
        for want in sorted(request.wants, key=lambda item: item.value):
            asked = request.expression if want is Want.EVALUATION else request.subject
            yield self._answers.get((want, asked)) or Refused(want, IS_CAPTURE)

    def close(self) -> None:
        """Nobody is kept waiting."""
        self._told.set()


class ReplayProgram(UnknownProgram):
    """What the analysis was told of the executable, told again."""

    def __init__(self) -> None:
        self._functions: dict[str, FunctionNamed] = {}
        self._packages: dict[str, FunctionNamed] = {}
        self._followed: dict[tuple[Stack, int], tuple[ResponseStep, ...]] = {}
        self._sites: dict[tuple[str, ...], tuple[Frame, ...]] = {}

    def learn(self, answer: FunctionNamed | ResponseFollowed | CallSitesFound) -> None:
        """Take in an answer of the recording."""
        if isinstance(answer, FunctionNamed):
            self._functions[answer.function] = answer
            self._packages.setdefault(package_of(answer.function), answer)
        elif isinstance(answer, ResponseFollowed):
            self._followed[answer.stack, answer.first] = answer.steps
        else:
            self._sites[answer.functions] = answer.sites

    def _known(self, function: str) -> FunctionNamed | None:
        """What was said of the function, or of another one of its package."""
        return self._functions.get(function) or self._packages.get(package_of(function))

    def is_stdlib(self, function: str) -> bool:
        known = self._known(function)
        return known.stdlib if known is not None else super().is_stdlib(function)

    def is_main_module(self, function: str) -> bool:
        known = self._known(function)
        return known.main if known is not None else super().is_main_module(function)

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return self._followed.get((stack[first:], first), ())

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        return self._sites.get(functions, ())
