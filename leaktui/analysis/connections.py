"""Connections the HTTP client keeps and never uses again: a Transport for every request.

Law: idle connections are a pool, and no leak, until they pile up. Who piles them up is who dials: the
creation stack of the dialling goroutine has the caller on it (net/http, Transport.queueForDial).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis import http_frames
from leaktui.analysis.attribution import user_chain
from leaktui.analysis.growth import rises
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.frame import Frame, Stack
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.text import format_duration, format_rate, short_function

_LEAST_GAIN = 8
_LEAST_DIALLED = 8
_MOST_POOLED = 100
_DIALLING = re.compile(r"^net/http\.\(\*Transport\)\.(?:dialConnFor|startDialConnFor|queueForDial)")


@dataclass(slots=True)
class _Dialler:
    owner: Frame
    stack: Stack
    count: int = 0


def find_connection_suspects(
    snapshots: Sequence[Snapshot], traces: Sequence[TraceSummary], program: Program
) -> list[Finding]:
    """A finding when idle connections pile up, at the call that dials most of them."""
    taken = captures(snapshots, lambda item: item.groups, lambda item: item.groups_time)
    points = [
        (time, float(sum(group.count for group in groups if http_frames.is_idle_connection(group.stack))))
        for time, groups in taken
    ]
    slope = rises(points, least_gain=_LEAST_GAIN)
    if slope is None:
        return []
    evidence = [
        Evidence(
            snapshots[-1].groups_from,
            f"{points[-1][1]:.0f} connections of the HTTP client are idle ({format_rate(slope.per_minute)}"
            f" over {format_duration(slope.seconds)}), and are not used again",
        )
    ]
    diallers = _diallers(traces, program)
    top = diallers[0] if diallers else None
    seconds = sum(trace.duration_ns for trace in traces) / 1e9
    if top is not None:
        evidence.append(
            Evidence(
                "trace",
                f"{short_function(top.owner.function)} dialled {top.count} of them in {seconds:.0f} s of tracing",
            )
        )
    alone = top is not None and (len(diallers) == 1 or diallers[1].count < 0.3 * top.count)
    return [
        Finding(
            kind=LeakKind.FD,
            confidence=Confidence.LIKELY
            if alone and top and top.count >= _LEAST_DIALLED
            else Confidence.POSSIBLE,
            function=top.owner.function if top else "",
            location=top.owner if top else None,
            stack=top.stack if top else (),
            count=round(points[-1][1]),
            growth_per_minute=slope.per_minute,
            # A Transport keeps at most 100 by default: fewer may just be its pool, filling.
            surely_grows=top is not None or points[-1][1] > _MOST_POOLED,
            evidence=tuple(evidence),
            advice="Make one http.Client (and its Transport) and use it for every request; a Transport of its own"
            " keeps its connections until CloseIdleConnections or IdleConnTimeout.",
            candidates=tuple(item.owner for item in diallers[1:6]),
        )
    ]


def _diallers(traces: Sequence[TraceSummary], program: Program) -> list[_Dialler]:
    found: dict[tuple[str, str, int], _Dialler] = {}
    for trace in traces:
        for flow in trace.goroutines:
            if not flow.start or not _DIALLING.match(flow.start[-1].function):
                continue
            chain = user_chain(flow.creation_stack, program)
            if not chain:
                continue
            index, frame = chain[0]
            key = (frame.function, frame.file, frame.line)
            dialler = found.setdefault(key, _Dialler(frame, flow.creation_stack[index:]))
            dialler.count += flow.created
    return sorted(found.values(), key=lambda item: -item.count)
