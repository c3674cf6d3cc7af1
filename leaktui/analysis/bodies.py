"""Response bodies nobody has closed yet, as goroutine profiles and dumps show them.

Law: an open body is not a leaked one. What is being read, and a request still waiting for its response,
is told apart; an idle connection is never counted. HTTP/2 bodies that fit their stream's window leave no
goroutine behind and cannot be seen here (FACTS: HTTP/2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leaktui.analysis import http_frames
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup


@dataclass(frozen=True, slots=True)
class BodyCount:
    """How many bodies are open, and how many of them somebody is reading right now."""

    http1: int = 0
    http1_read: int = 0
    http2: int = 0
    http2_read: int = 0

    @property
    def open(self) -> int:
        return self.http1 + self.http2

    @property
    def unattended(self) -> int:
        """Open and not being read: a leak, or a caller busy with something else."""
        return max(0, self.http1 - self.http1_read) + max(0, self.http2 - self.http2_read)


def count_bodies(groups: Iterable[GoroutineGroup]) -> BodyCount:
    """Count open bodies in a goroutine profile."""
    waiting = read = streams = awaiting = stream_reads = 0
    for group in groups:
        stack = group.stack
        if http_frames.waits_for_body(stack, group.wait_reason):
            waiting += group.count
        elif http_frames.is_stream(stack):
            streams += group.count
        elif http_frames.awaits_stream_response(stack):
            awaiting += group.count
        elif http_frames.reads_stream_body(stack):
            stream_reads += group.count
        elif http_frames.reads_http1_body(stack):
            read += group.count
    return BodyCount(waiting, min(read, waiting), max(0, streams - awaiting), stream_reads)


def count_open_bodies(groups: Iterable[GoroutineGroup]) -> int:
    """Open bodies that nobody is reading at the moment."""
    return count_bodies(groups).unattended


@dataclass(frozen=True, slots=True)
class KnownOwner:
    """What a trace told of the body a goroutine holds."""

    owner: Frame | None
    stack: Stack
    opened_seconds_ago: float
    confidence: Confidence
    reading: bool = False
    source: str = "trace"


def list_bodies(
    goroutines: Sequence[Goroutine], owners: Mapping[int, KnownOwner], *, age_offset: float = 0.0
) -> tuple[BodyHolder, ...]:
    """One row a suspected holder, oldest first.

    *owners* maps the holder's goid to what an execution trace said; *age_offset* is seconds since then.
    """
    callers = {goroutine.goid: goroutine for goroutine in goroutines}
    rows = []
    for goroutine in goroutines:
        if http_frames.waits_for_body(goroutine.stack, goroutine.wait_reason):
            protocol = "HTTP/1"
        elif http_frames.is_stream(goroutine.stack):
            parent = callers.get(goroutine.parent_goid or -1)
            if parent is not None and http_frames.awaits_stream_response(parent.stack):
                continue
            protocol = "HTTP/2"
        else:
            continue
        known = owners.get(goroutine.goid)
        waited = goroutine.wait_minutes
        age = waited * 60.0 if waited is not None else None
        if known is not None and age is None:
            age = known.opened_seconds_ago + age_offset
        rows.append(
            BodyHolder(
                goid=goroutine.goid,
                protocol=protocol,
                state=BodyState.BEING_READ if known is not None and known.reading else BodyState.OPEN,
                confidence=known.confidence if known is not None else Confidence.POSSIBLE,
                age_seconds=age,
                owner=known.owner if known is not None else None,
                stack=known.stack if known is not None else (),
                sources=("pprof", known.source) if known is not None else ("pprof",),
            )
        )
    rows.sort(key=lambda row: (-(row.age_seconds or 0.0), row.goid))
    return tuple(rows)
