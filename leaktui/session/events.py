"""What a session tells whoever listens. Posted from its threads: a listener must not block."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """Something new is known; `snapshot` is the whole picture."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class ProgressMade:
    """A long capture goes on. `fraction` is 0..1, None when its end is not known; 1.0 ends it, well or not."""

    source: str
    text: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class TargetExited:
    """The target is gone; the last snapshot stays valid for what it showed."""

    message: str


SessionEvent = SnapshotTaken | ProgressMade | TargetExited
