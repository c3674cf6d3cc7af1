"""What a capture is made of: the facts of the engines, and what else it takes to judge them again elsewhere.

Law: one list of types for writing and reading; all of it data, nothing that would need the process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from leaktui.analysis.program import ResponseStep
from leaktui.engines.protocol import Fact
from leaktui.model.capability import Capability
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding, LeakKind
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.ledger import LedgerPlace, Opened
from leaktui.model.open_body import OpenBody
from leaktui.model.process import FdEntry
from leaktui.model.profile import AllocSite
from leaktui.model.target import Target
from leaktui.wire.capture.shapes import Registry

PROGRAM = "program"
"""The source of what the analysis was told of the executable."""

RECORDER = "recorder"
"""The source of what the recording says of itself."""


@dataclass(frozen=True, slots=True)
class TargetNamed:
    """Whom the capture is of: its first record."""

    target: Target


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """An engine failed (`gone`: because the process exited)."""

    message: str
    remedy: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class FunctionNamed:
    """Where a function belongs."""

    function: str
    stdlib: bool
    main: bool


@dataclass(frozen=True, slots=True)
class ResponseFollowed:
    """What becomes of a response from `stack` outwards, which begins at the place `first` of the stack asked about."""

    stack: Stack
    first: int
    steps: tuple[ResponseStep, ...] = ()


@dataclass(frozen=True, slots=True)
class CallSitesFound:
    """Who calls `functions`."""

    functions: tuple[str, ...]
    sites: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a source file."""

    number: int
    code: str


@dataclass(frozen=True, slots=True)
class SourceKept:
    """Lines of the source of a suspect's function, as they were where the capture was made."""

    file: str
    lines: tuple[SourceLine, ...] = ()


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a change: what stands between its tabs. Control characters do not come through a capture."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplanationKept:
    """Why a suspect leaks, as its source said where the capture was made and all of it was at hand.

    `explanation` is without its change: that is `diff`.
    """

    kind: LeakKind
    function: str
    location: Frame
    explanation: Explanation
    diff: tuple[DiffLine, ...] = ()

    @classmethod
    def of(cls, finding: Finding, location: Frame, explanation: Explanation) -> ExplanationKept:
        """What is kept of *explanation* of *finding*, which is at *location*."""
        diff = tuple(DiffLine(tuple(line.split("\t"))) for line in explanation.diff.splitlines())
        return cls(finding.kind, finding.function, location, replace(explanation, diff=""), diff)

    def restored(self) -> Explanation:
        """The explanation with its change."""
        return replace(self.explanation, diff="".join("\t".join(line.parts) + "\n" for line in self.diff))


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """The last record: how the recording ended, and what it had to leave out."""

    reason: str = ""
    left_out: tuple[str, ...] = ()


REGISTRY = Registry(
    (
        *get_args(Fact),
        Capability,
        TargetNamed,
        SourceFailed,
        FunctionNamed,
        ResponseFollowed,
        CallSitesFound,
        SourceKept,
        ExplanationKept,
        RecordingEnded,
    ),
    interned=(GoroutineGroup, FdEntry, OpenBody, Opened, AllocSite, LedgerPlace),
)
