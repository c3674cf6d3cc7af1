"""What the analysis concludes. The JSON form is the contract `leaktui.diagnosis/1`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.model.capability import Source
from leaktui.model.frame import Frame, Stack
from leaktui.model.target import Target


class LeakKind(Enum):
    """The four things leaktui looks for."""

    HTTP_BODY = "http-body"
    GOROUTINE = "goroutine"
    FD = "fd"
    HEAP = "heap"


class Confidence(Enum):
    """How sure a suspect is; see DESIGN: pairing proves, correlation makes likely."""

    PROVEN = "proven"
    LIKELY = "likely"
    POSSIBLE = "possible"


class Verdict(Enum):
    """The answer of a whole diagnosis."""

    LEAK = "leak"
    CLEAN = "clean"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed fact, with the source that saw it."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A suspect: one cause, one finding.

    `location` is the owner's call line (bodies, fds, heap) or the line a goroutine is blocked at;
    None when the kind is known but not the line. `function` is the owner, or a goroutine's entry
    function. `surely_grows` says that it leaks without doubt, however unsure the line.
    `count` is how many are held now; growth is per minute, None when not measured.
    """

    kind: LeakKind
    confidence: Confidence
    function: str
    location: Frame | None
    stack: Stack
    count: int
    growth_per_minute: float | None = None
    created_by: Frame | None = None
    evidence: tuple[Evidence, ...] = ()
    advice: str = ""
    candidates: tuple[Frame, ...] = ()
    surely_grows: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A verdict with everything it rests on. `notes` says what could not be seen, or was cleared."""

    target: Target
    sources: tuple[Source, ...]
    verdict: Verdict
    suspects: tuple[Finding, ...]
    elapsed_seconds: float
    target_pause_ms: float = 0.0
    notes: tuple[str, ...] = ()
