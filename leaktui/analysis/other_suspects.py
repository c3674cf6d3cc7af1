"""Suspects of the kinds goroutine, fd and heap.

Law: each says what it saw and what would make it surer; what a body or an earlier suspect already
explains is left to it (one cause, one suspect).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from leaktui.analysis import http_frames
from leaktui.analysis.fd_openers import OpenerTally
from leaktui.analysis.fds import RisingFds
from leaktui.analysis.goroutines import LEAST_GAIN, RisingGroup, blocks, serves_a_connection
from leaktui.analysis.heap import RisingSite
from leaktui.analysis.program import Program
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.process import FdKind
from leaktui.text import format_bytes, format_count, format_duration, format_rate, printable, short_function

_LEAST_BOOKED_SECONDS = 4.0
_LEAST_LEFT_OPEN = 8

# Goroutines that are alive must pile up for this long before they are more than load.
_ALIVE_SECONDS = 24.0

_OPEN_CALLS = (
    "os.OpenFile",
    "os.Open",
    "os.Create",
    "os.CreateTemp",
    "os.Pipe",
    "net.Dial",
    "net.DialTimeout",
    "net.(*Dialer).Dial",
    "net.(*Dialer).DialContext",
    "net.Listen",
    "syscall.Open",
    "syscall.Socket",
)

_BLOCK_ADVICE = (
    ("chan send", "Nobody receives any more: give the channel room for the result, or select on ctx.Done()."),
    (
        "chan receive",
        "Nobody sends or closes any more: close the channel when the work ends, or cancel the receiver.",
    ),
    (
        "select",
        "None of its cases ever fires: make sure that its context is cancelled or its channels closed.",
    ),
    ("sync.WaitGroup", "A Done is missing on some path: call it in a defer."),
    ("sync.Mutex", "The lock is never given back on some path: unlock in a defer."),
    ("sync.RWMutex", "The lock is never given back on some path: unlock in a defer."),
    ("sync.Cond", "Nobody signals any more: Broadcast when the work ends."),
    ("semacquire", "What it waits for is never released on some path: release in a defer."),
    (
        "IO wait",
        "The peer never answers and never closes: set a deadline, or close the connection when done.",
    ),
    ("sleep", "It loops for ever: give the loop a context and leave when it is done."),
)


def goroutine_suspects(groups: Iterable[RisingGroup], program: Program) -> list[Finding]:
    """A finding per rising group that only others could wake."""
    findings = []
    for group in groups:
        own_reader = group.wait_reason == "IO wait" and not program.is_stdlib(group.entry.function)
        if not blocks(group.wait_reason) and not group.proven_leaked and not own_reader:
            continue
        if program.is_stdlib(group.blocked_at.function) and program.is_stdlib(group.entry.function):
            continue
        findings.append(_goroutine_finding(group))
    return findings


def _may_be_load(group: RisingGroup) -> bool:
    """Whether more of these goroutines may just mean more work: peers that stay, loops that are alive."""
    if not blocks(group.wait_reason) or http_frames.awaits_peer(group.stack):
        return True
    if group.wait_reason == "sleep" and group.seconds < _ALIVE_SECONDS:
        return True  # it ends by itself
    if serves_a_connection(group.stack) and (group.wakes or group.wait_reason == "select"):
        return True
    return group.wakes and group.seconds < _ALIVE_SECONDS


def _goroutine_finding(group: RisingGroup) -> Finding:
    evidence = [
        Evidence(
            group.source,
            f"{group.count} goroutines are blocked here ({group.wait_reason or 'waiting'}),"
            f" {group.gain} more than {format_duration(group.seconds)} ago",
        )
    ]
    stay = True
    if group.survivors is not None:
        still, were = group.survivors
        stay = still >= 0.9 * were
        evidence.append(
            Evidence(
                group.dumped_by,
                f"{still} of the {were} that were here at the first dump have not moved since",
            )
        )
    flow = group.flow
    if flow is not None and flow.created:
        evidence.append(
            Evidence("trace", f"{flow.created} were started while tracing, {flow.ended} of those ended")
        )
        stay = stay and flow.ended <= 0.9 * flow.created
    evidence += [Evidence(source, f"counts {count} of them, too") for source, count in group.also_counted]
    for source, count in group.unreachable:
        how = "nothing that still runs, and no variable, leads to what {} of them wait for"
        if source != "memory":
            how = "the runtime's goroutineleak profile finds {} of them unreachable"
        evidence.insert(0, Evidence(source, how.format(count)))
    if group.oldest_wait_minutes:
        evidence.append(
            Evidence(group.dumped_by, f"the oldest has waited {group.oldest_wait_minutes} minutes")
        )
    if group.wakes:
        evidence.append(Evidence("trace", "they wake now and then and block here again"))
    # Those that came since the search looked were not looked at.
    if group.proven_leaked >= max(LEAST_GAIN, 0.5 * min(group.count, group.count_then or group.count)):
        confidence = Confidence.PROVEN
    elif stay and (group.survivors is not None or flow is not None) and not _may_be_load(group):
        confidence = Confidence.LIKELY
    else:
        confidence = Confidence.POSSIBLE
    created_by = group.created_by
    if created_by is None and flow is not None and flow.creation_stack:
        created_by = flow.creation_stack[0]
    return Finding(
        kind=LeakKind.GOROUTINE,
        confidence=confidence,
        function=group.entry.function,
        location=group.blocked_at,
        stack=group.stack,
        count=group.count,
        growth_per_minute=group.per_minute,
        created_by=created_by,
        evidence=tuple(evidence),
        advice=_block_advice(group),
    )


def _block_advice(group: RisingGroup) -> str:
    for reason, advice in _BLOCK_ADVICE:
        if group.wait_reason.startswith(reason):
            return advice
    return "Find out what would wake it, and make sure that it happens on every path."


def fd_suspects(
    rising: Iterable[RisingFds],
    openers: Sequence[OpenerTally],
    program: Program,
    connections: str = "",
    *,
    traced: bool = True,
) -> list[Finding]:
    """A finding per kind of descriptor that rises, with its opener where a trace shows one.

    Descriptors that come and go are a finding only when their opener closes none of them himself: then
    the garbage collector does, when it happens to run. *connections* is what is known of who opened them,
    *traced* whether there was a trace that could show it.
    """
    findings: list[Finding] = []
    for fds in rising:
        if fds.kind in (FdKind.EPOLL, FdKind.EVENT):
            continue
        fitting = [
            tally
            for tally in openers
            if tally.kind is fds.kind
            and tally.left_open >= max(2, 0.1 * tally.opened)
            and not program.is_stdlib(tally.owner.function)
        ]
        if fds.steady:
            findings.append(_opened_by(fds, fitting) if fitting else _opened_by_someone(fds, program, traced))
        else:
            forgotten = [item for item in fitting if item.closed <= 0.1 * item.opened and item.left_open >= 8]
            if forgotten:
                findings.append(_opened_by(fds, forgotten))
            elif fds.collapses and not traced:
                findings.append(_opened_by_someone(fds, program, traced))
        if findings and fds.kind is FdKind.SOCKET and connections:
            evidence = (*findings[-1].evidence, Evidence("proc", connections))
            findings[-1] = replace(findings[-1], evidence=evidence)
    return findings


def unseen_fd_suspects(openers: Sequence[OpenerTally], program: Program) -> list[Finding]:
    """The owner line that leaves most open while it was traced, for where nothing shows the descriptors themselves.

    What is held for longer than a trace looks the same, so it is only possible.
    """
    leaving = [
        tally
        for tally in openers
        if tally.source == "trace"
        and tally.left_open >= max(_LEAST_LEFT_OPEN, 0.1 * tally.opened)
        and not program.is_stdlib(tally.owner.function)
    ]
    if not leaving:
        return []
    owner, rest = leaving[0], leaving[1:]
    return [
        Finding(
            kind=LeakKind.FD,
            confidence=Confidence.POSSIBLE,
            function=owner.owner.function,
            location=owner.owner,
            stack=owner.stack,
            count=owner.left_open,
            growth_per_minute=owner.left_open / owner.seconds * 60 if owner.seconds else None,
            evidence=(
                Evidence("trace", _opened_and_closed(owner)),
                Evidence("trace", "how many are open, and for how long, is seen in /proc alone"),
            ),
            advice="Look at its descriptors as the process's user or root: `leaktui diagnose --pid` where it runs.",
            candidates=tuple(tally.owner for tally in rest[:5]),
        )
    ]


def _opened_by(fds: RisingFds, fitting: Sequence[OpenerTally]) -> Finding:
    owner, rest = fitting[0], fitting[1:]
    explains = owner.left_open >= 0.4 * fds.per_minute / 60 * owner.seconds
    alone = not rest or rest[0].left_open < 0.3 * owner.left_open
    evidence = [
        _fd_growth(fds),
        Evidence(owner.source, _opened_and_closed(owner)),
    ]
    if not fds.steady:
        evidence.append(
            Evidence(owner.source, "only the garbage collector closes them, whenever it happens to run")
        )
    return Finding(
        kind=LeakKind.FD,
        confidence=_opener_confidence(owner, explains=explains, alone=alone),
        function=owner.owner.function,
        location=owner.owner,
        stack=owner.stack,
        count=fds.count,
        growth_per_minute=fds.per_minute,
        # More sockets may just be more peers.
        surely_grows=fds.kind is not FdKind.SOCKET,
        evidence=tuple(evidence),
        advice="Close what this call opens on every path: a deferred Close right after the error check.",
        candidates=tuple(tally.owner for tally in rest[:5]),
    )


def _opened_and_closed(owner: OpenerTally) -> str:
    if owner.source == "trace":
        return (
            f"{short_function(owner.owner.function)} opened {owner.opened} and closed {owner.closed}"
            f" in {owner.seconds:.0f} s of tracing"
        )
    text = f"{owner.left_open} of {owner.opened} opened here in {owner.seconds:.0f} s were never closed"
    if owner.collected:
        text += f"; {owner.collected} of them the garbage collector closed when it came by"
    return text


def _opener_confidence(owner: OpenerTally, *, explains: bool, alone: bool) -> Confidence:
    """Sure only of an owner that accounts for the growth by itself, over a while."""
    if not (explains and alone) or owner.seconds < _LEAST_BOOKED_SECONDS:
        return Confidence.POSSIBLE
    # What the collector closed nobody had in hand any more; what is open may be closed yet.
    return Confidence.PROVEN if owner.exact and owner.collected >= 3 else Confidence.LIKELY


def _opened_by_someone(fds: RisingFds, program: Program, traced: bool) -> Finding:
    looked = (
        "no call that leaves them open was seen while tracing" if traced else "no execution trace was taken"
    )
    return Finding(
        kind=LeakKind.FD,
        confidence=Confidence.POSSIBLE,
        function="",
        location=None,
        stack=(),
        count=fds.count,
        growth_per_minute=fds.per_minute,
        # More sockets may just be more peers.
        surely_grows=fds.steady and fds.kind is not FdKind.SOCKET,
        evidence=(_fd_growth(fds), Evidence("trace", looked)),
        advice="Look through the candidates for a path without Close.",
        candidates=program.call_sites(_OPEN_CALLS),
    )


def _fd_growth(fds: RisingFds) -> Evidence:
    text = f"{fds.count} open descriptors are of kind {fds.kind.value} ({format_rate(fds.per_minute)})"
    if fds.collapses:
        text += f"; they pile up and {fds.collapses} times many went at once, as when only the collector closes them"
    if fds.examples:
        text += ", new ones like " + ", ".join(printable(example, 80) for example in fds.examples)
    if fds.seconds_to_limit is not None:
        text += f"; the limit is reached in {format_duration(fds.seconds_to_limit)}"
    return Evidence("proc", text)


def heap_suspects(sites: Iterable[RisingSite], source: str = "pprof") -> list[Finding]:
    """A finding per owner line that holds a fair part of the growth; *source* gave the heap profile."""
    findings = []
    for site in sites:
        if site.share_of_gain < 0.15:
            continue
        share = f"{site.share_of_gain:.0%} of what the live heap gained"
        evidence = (
            Evidence(
                source,
                f"live bytes allocated here rose by {format_bytes(site.gain_bytes)} over {site.observations} GCs"
                f" ({format_rate(site.per_minute, as_bytes=True)}), {share}",
            ),
            Evidence(
                source,
                f"{format_bytes(site.inuse_bytes)} in about {format_count(site.inuse_objects)} objects are live now",
            ),
        )
        findings.append(
            Finding(
                kind=LeakKind.HEAP,
                confidence=Confidence.LIKELY if site.share_of_gain >= 0.4 else Confidence.POSSIBLE,
                function=site.owner.function,
                location=site.owner,
                stack=site.stack,
                count=site.inuse_objects,
                growth_per_minute=site.per_minute,
                evidence=evidence,
                advice="What is allocated here stays reachable: bound the map, slice or cache that keeps it.",
            )
        )
    return findings


def belongs_to_client(site: RisingSite) -> bool:
    """Whether the site's allocations are made inside net/http's client: connections, requests, responses."""
    return all(
        any(
            http_frames.is_client_frame(frame.function) or http_frames.is_plumbing_goroutine((frame,))
            for frame in stack
        )
        for stack in site.stacks
    )
