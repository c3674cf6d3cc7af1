"""The rows of the Bodies pane: what memory or a dump lists, with what hand-offs told of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from leaktui.analysis.bodies import KnownOwner, list_bodies
from leaktui.analysis.body_suspects import BodySuspects
from leaktui.analysis.handoffs import Fate
from leaktui.analysis.series import captures
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.process import FdEntry
from leaktui.model.snapshot import Snapshot

_DIGITS = re.compile(r"\d+")
_LEAST_ALIKE = 3
"""So many bodies that answer the same request must have the same owner before others are taken for its."""


def list_body_rows(snapshots: Sequence[Snapshot], bodies: BodySuspects) -> tuple[BodyHolder, ...]:
    """One row an open body, oldest first."""
    latest = snapshots[-1]
    owners = _known_owners(bodies)
    if latest.bodies is not None:
        return _census_rows(latest.bodies, owners, latest.fds or (), latest.bodies_time)
    dumps = captures(snapshots, lambda s: s.goroutines, lambda s: s.goroutines_time)
    if not dumps:
        return ()
    trace_times = [s.trace_time for s in snapshots if s.trace is not None]
    time, goroutines = dumps[-1]
    offset = max(0.0, time - trace_times[-1]) if trace_times else 0.0
    rows = list_bodies(goroutines, owners, age_offset=offset)
    if latest.goroutines_from == "pprof":
        return rows
    return tuple(
        replace(
            row, sources=tuple(latest.goroutines_from if name == "pprof" else name for name in row.sources)
        )
        for row in rows
    )


def _known_owners(bodies: BodySuspects) -> dict[int, KnownOwner]:
    """What hand-offs told, by the goroutine that waits for the body."""
    confidence = {
        (finding.function, finding.location.line if finding.location else 0): finding.confidence
        for finding in bodies.findings
    }
    owners: dict[int, KnownOwner] = {}
    for source, judged in bodies.by_source:
        for item in judged:
            if item.fate is Fate.RELEASED:
                owners.pop(item.handoff.holder_goid, None)
                continue
            frame = item.owner.frame if item.owner is not None else None
            key = (frame.function, frame.line) if frame is not None else ("", 0)
            owners[item.handoff.holder_goid] = KnownOwner(
                owner=frame,
                stack=item.handoff.stack,
                opened_seconds_ago=item.seconds_before_end,
                confidence=confidence.get(key, Confidence.POSSIBLE),
                reading=item.fate is Fate.BEING_READ,
                source=source,
            )
    return owners


def _census_rows(
    census: BodyCensus, owners: Mapping[int, KnownOwner], fds: Sequence[FdEntry], now: float
) -> tuple[BodyHolder, ...]:
    queues = {entry.fd: entry.socket.rx_queue for entry in fds if entry.socket is not None}
    rows = []
    for body in census.bodies:
        known = owners.get(body.holder_goid) if body.holder_goid else None
        attended = body.state is BodyState.BEING_READ
        rows.append(
            BodyHolder(
                goid=body.holder_goid,
                protocol=body.protocol,
                state=body.state,
                confidence=_confidence(body, known),
                method=body.method,
                url=body.url,
                status=body.status,
                peer=body.peer,
                fd=body.fd,
                age_seconds=_age(body, known, census.time),
                owner=known.owner if known is not None and not attended else None,
                stack=known.stack if known is not None else (),
                sources=tuple(dict.fromkeys(("memory", known.source))) if known is not None else ("memory",),
                tls=body.tls,
                content_length=body.content_length,
                buffered_bytes=body.buffered_bytes,
                kernel_bytes=queues.get(body.fd) if body.fd is not None and not body.stream else None,
                orphaned=body.orphaned,
                reader_goid=body.reader_goid,
                address=body.body,
                connection=body.connection,
                stream=body.stream,
                request=body.request,
            )
        )
    rows = _with_inferred_owners(rows)
    rows.sort(key=lambda row: (row.state is BodyState.BEING_READ, -(row.age_seconds or 0.0), row.goid))
    return tuple(rows)


def _with_inferred_owners(rows: Sequence[BodyHolder]) -> list[BodyHolder]:
    """*rows* with the owner of those nobody was seen with, where all that answer the same request have one owner."""
    owners: dict[tuple[str, str, int | None], Counter[Frame]] = {}
    for row in rows:
        if row.owner is not None and row.url:
            owners.setdefault(_request(row), Counter())[row.owner] += 1
    result = []
    for row in rows:
        found = owners.get(_request(row), Counter()) if row.url else Counter()
        if row.owner is None and row.state is not BodyState.BEING_READ and len(found) == 1:
            ((frame, count),) = found.items()
            if count >= _LEAST_ALIKE:
                row = replace(row, owner=frame, owner_inferred=True)
        result.append(row)
    return result


def _request(row: BodyHolder) -> tuple[str, str, int | None]:
    """What makes two requests the same: method, URL without its query and with digits folded, status."""
    return row.method, _DIGITS.sub("*", row.url.partition("?")[0]), row.status


def _confidence(body: OpenBody, known: KnownOwner | None) -> Confidence:
    """How sure it is that this one leaks."""
    if body.orphaned:
        return Confidence.PROVEN
    if known is None or body.state is BodyState.BEING_READ:
        return Confidence.POSSIBLE
    return known.confidence


def _age(body: OpenBody, known: KnownOwner | None, now: float) -> float | None:
    """Seconds since the response: by its Date header, which has whole seconds of the peer's clock, or as watched."""
    if body.opened_time is not None and now:
        return max(0.0, now - body.opened_time)
    return known.opened_seconds_ago if known is not None else None
