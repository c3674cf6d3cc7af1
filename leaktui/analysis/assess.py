"""The whole analysis of a session: suspects of every kind, one cause each, and the verdict.

Law: `clean` is said only when every kind of leak could have been seen and enough time passed; anything
less is `undecided`, and what was missing is named. One cause is one suspect: what a body leaks besides
(goroutines, sockets, bytes) is the body's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from leaktui.analysis.body_books import bodies_to_ask
from leaktui.analysis.body_rows import list_body_rows
from leaktui.analysis.body_suspects import BodySuspects, find_body_suspects
from leaktui.analysis.census_growth import census_observations, find_census_suspects, locate_by_books
from leaktui.analysis.connections import find_connection_suspects
from leaktui.analysis.fd_openers import tally_booked, tally_openers
from leaktui.analysis.fds import RisingFds, list_fds, rising_fds
from leaktui.analysis.forgotten_bodies import find_forgotten_bodies
from leaktui.analysis.goroutines import list_groups, rising_groups
from leaktui.analysis.growth import rises
from leaktui.analysis.heap import heap_observations, list_sites, own_live_bytes, rising_sites
from leaktui.analysis.ledger_accounts import balance
from leaktui.analysis.other_suspects import (
    belongs_to_client,
    fd_suspects,
    goroutine_suspects,
    heap_suspects,
    unseen_fd_suspects,
)
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.assessment import Assessment, LedgerRow
from leaktui.model.capability import SourceState
from leaktui.model.finding import Confidence, Finding, LeakKind, Verdict
from leaktui.model.heap_census import HeapCensus
from leaktui.model.ledger import LedgerKind
from leaktui.model.process import FdKind
from leaktui.model.profile import HeapProfile
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import TraceSummary
from leaktui.text import format_bytes, format_count, format_rate

LEAST_SECONDS = 8.0
"""Before this much watching no verdict is settled."""

UNSURE_SECONDS = 25.0
"""After this long an owner that is still only possible stays so."""

CLEAN_SECONDS = 30.0
"""Nothing may rise for this long before a target is called clean."""

_NOTES_OF_BODIES = 3
_LEAST_GAIN_BYTES = 1 << 20
_UNEXPLAINED_BYTES = 8 << 20

_CONFIDENCE_ORDER = {Confidence.PROVEN: 0, Confidence.LIKELY: 1, Confidence.POSSIBLE: 2}
_KIND_ORDER = {LeakKind.HTTP_BODY: 0, LeakKind.GOROUTINE: 1, LeakKind.FD: 2, LeakKind.HEAP: 3}


@dataclass(frozen=True, slots=True)
class Watch:
    """How the watching stands: what the analysis cannot read off the snapshots.

    `searching` says that a long look at memory is under way, whose answer may make a suspect surer.
    """

    elapsed_seconds: float
    deadline_seconds: float
    tracing: bool = False
    searching: bool = False
    offers_trace: bool = False
    probing: bool = False


def traces_of(snapshots: Sequence[Snapshot]) -> tuple[TraceSummary, ...]:
    """The distinct traces in *snapshots*, oldest first."""
    return tuple(trace for _, trace in captures(snapshots, lambda s: s.trace, lambda s: s.trace_time))


def assess(
    snapshots: Sequence[Snapshot], program: Program, watch: Watch, *, baseline: float | None = None
) -> Assessment:
    """Everything that can be concluded from *snapshots* (oldest first, not empty)."""
    latest = snapshots[-1]
    traces = traces_of(snapshots)
    bodies = find_body_suspects(snapshots, traces, program)
    suspects, notes = _suspects(snapshots, traces, program, bodies)
    missing = _missing(snapshots, watch)
    verdict = _verdict(suspects, missing, watch)
    return Assessment(
        time=latest.time,
        verdict=verdict,
        suspects=tuple(suspects),
        bodies=list_body_rows(snapshots, bodies),
        open_bodies=bodies.trend.open if bodies.trend is not None else None,
        groups=list_groups(snapshots, program, baseline),
        sites=list_sites(snapshots, program, baseline),
        fds=list_fds(snapshots),
        ledger=_ledger_rows(latest, program, bodies),
        notes=tuple(notes),
        missing=tuple(missing),
        ask_holders_of=bodies_to_ask(bodies.accounts, latest),
        settled=_settled(suspects, verdict, watch, traces),
    )


def _suspects(
    snapshots: Sequence[Snapshot],
    traces: Sequence[TraceSummary],
    program: Program,
    bodies: BodySuspects,
) -> tuple[list[Finding], list[str]]:
    notes: list[str] = []
    goroutines = goroutine_suspects(rising_groups(snapshots, traces, program), program)
    body_findings = list(bodies.findings)
    blamed = {frame.function for finding in body_findings for frame in finding.stack[:1]}
    booked = tally_booked(snapshots[-1], program)
    openers = booked if any(item.left_open for item in booked) else tally_openers(traces, program)
    fds = find_connection_suspects(snapshots, traces, program)
    connections = [*body_findings, *fds]
    for rising in rising_fds(snapshots):
        if rising.kind is FdKind.SOCKET and _are_sockets_of(connections, rising):
            continue
        fds += fd_suspects([rising], openers, program, _accepted_or_dialled(snapshots), traced=bool(traces))
    if snapshots[-1].fds is None and not (body_findings or goroutines or fds):
        fds = unseen_fd_suspects(openers, program)
    causes = blamed | {frame.function for finding in goroutines for frame in finding.stack}
    causes |= {finding.created_by.function for finding in goroutines if finding.created_by is not None}
    causes |= {finding.function for finding in fds if finding.function}
    heap = []
    for site in rising_sites(snapshots, program):
        if ((body_findings or fds) and belongs_to_client(site)) or site.owner.function in causes:
            continue
        if body_findings and any(frame.function in blamed for stack in site.stacks for frame in stack):
            continue
        heap.append(site)
    heap_findings = heap_suspects(heap, snapshots[-1].heap_from)
    if snapshots[-1].heap is None and not (body_findings or goroutines or fds):
        # Sizes and types do not say whose they are: where something else leaks, the bytes are taken for its.
        heap_findings = locate_by_books(find_census_suspects(snapshots), snapshots[-1], program)
    findings = body_findings + goroutines + fds + heap_findings
    findings.sort(
        key=lambda item: (
            _CONFIDENCE_ORDER[item.confidence],
            _KIND_ORDER[item.kind],
            -(item.growth_per_minute or 0.0),
            -item.count,
        )
    )
    findings += [] if findings else find_forgotten_bodies(snapshots, traces, program)
    for tally in bodies.tallies:
        if tally.busy >= 3 and not tally.left_open:
            notes.append(
                f"{tally.busy} bodies opened in {tally.attribution.frame.function} are in use and not counted"
            )
    census = snapshots[-1].bodies
    if census is not None:
        # What the last look could not list, or can only tell in sum: bytes of bodies dropped on an HTTP/2 connection.
        notes += [f"memory: {text}" for text in census.unseen[:_NOTES_OF_BODIES]]
    return findings, notes


def _are_sockets_of(findings: Sequence[Finding], rising: RisingFds) -> bool:
    """Whether the connections of *findings* account for the sockets that rise."""
    if not findings:
        return False
    pace = [finding.growth_per_minute for finding in findings if finding.growth_per_minute is not None]
    # In a program that is its own peer a connection is two sockets.
    if len(pace) < len(findings) and rising.gain <= 2.2 * sum(finding.count for finding in findings) + 10:
        return True
    return rising.per_minute <= 2.2 * sum(pace) + 10


def _ledger_rows(snapshot: Snapshot, program: Program, bodies: BodySuspects) -> tuple[LedgerRow, ...]:
    """What probes booked, by owner: bodies, descriptors, allocations."""
    rows = []
    for ledger in snapshot.ledgers:
        booked = bodies.accounts if ledger.kind is LedgerKind.BODIES else balance(ledger, snapshot, program)
        rows += [account.row(ledger.time) for account in booked]
    return tuple(rows)


def _accepted_or_dialled(snapshots: Sequence[Snapshot]) -> str:
    """A sentence on which side opened the connections there are, empty where that is not known."""
    latest = snapshots[-1]
    sockets = [entry.socket for entry in latest.fds or () if entry.socket is not None]
    listening = {socket.local.rpartition(":")[2] for socket in sockets if socket.state == "LISTEN"}
    connected = [socket for socket in sockets if socket.remote and socket.state != "LISTEN"]
    if not connected:
        return ""
    accepted = sum(socket.local.rpartition(":")[2] in listening for socket in connected)
    return f"{format_count(accepted)} of {format_count(len(connected))} connections were accepted, the others dialled"


def _missing(snapshots: Sequence[Snapshot], watch: Watch) -> list[str]:
    """What could not be seen, a sentence each."""
    latest = snapshots[-1]
    missing = []
    # What another source sees as well is not missing.
    relied_on = {"proc"}
    if latest.groups is not None:
        relied_on.add(latest.groups_from)
    if latest.heap is not None:
        relied_on.add(latest.heap_from)
    for source in latest.sources:
        failed = source.state is SourceState.FAILED
        unavailable = source.state is SourceState.UNAVAILABLE
        blind = latest.groups is None or source.name == "proc"
        if (failed and source.name in relied_on) or (blind and (failed or unavailable)):
            missing.append(f"{source.name}: {source.detail}")
    if latest.groups is None and latest.goroutines is None and not watch.probing:
        missing.append("goroutines and bodies could not be seen")
    if latest.fds is None and not watch.probing:
        missing.append("file descriptors could not be seen")
    if latest.heap is None and latest.heap_census is None and not watch.probing:
        missing.append("the heap could not be seen")
    memory = _unexplained_memory(snapshots)
    if memory is not None:
        missing.append(memory)
    return missing


def _unexplained_memory(snapshots: Sequence[Snapshot]) -> str | None:
    """A sentence when memory grows and the heap profile has had no chance to say why."""
    # Without a heap profile the census is compared; with one, only the profile can name a line.
    profiled = snapshots[-1].heap is not None
    observed = heap_observations(snapshots) if profiled else census_observations(snapshots)
    if _count_changes(observed) >= 4:
        return _growing_heap(observed)
    points = [
        (time, float(stat.rss_bytes))
        for time, stat in captures(snapshots, lambda s: s.process, lambda s: s.process_time)
    ]
    slope = rises(points, least_gain=max(_UNEXPLAINED_BYTES, 0.1 * points[0][1])) if points else None
    if slope is None:
        return None
    return (
        f"resident memory grows ({format_rate(slope.per_minute, as_bytes=True)}) but too few GCs finished to compare"
        " the live heap: watch longer with --seconds, or let leaktui force a GC with --allow pause"
    )


def _count_changes(observed: Sequence[tuple[float, HeapProfile | HeapCensus]]) -> int:
    """How many looks are sure to be after another GC: profiles differ by what was allocated alone, too."""
    if any(isinstance(part, HeapCensus) for _, part in observed):
        return len(observed)  # one for each GC that was counted
    totals = [_live_bytes(part) for _, part in observed]
    return bool(totals) + sum(later != earlier for earlier, later in pairwise(totals))


def _growing_heap(observed: Sequence[tuple[float, HeapProfile | HeapCensus]]) -> str | None:
    """A sentence when the newest look at the live heap is the largest, and well above that of half-way before.

    Where a GC comes only when the heap has doubled, so few looks differ that no trend can be proved of them.
    """
    totals = [_live_bytes(part) for _, part in observed]
    halfway = totals[len(totals) // 2]
    if totals[-1] < max(totals) or totals[-1] - halfway < max(_LEAST_GAIN_BYTES, 0.1 * halfway):
        return None
    if isinstance(observed[0][1], HeapProfile):
        totals = [own_live_bytes(part) for _, part in observed if isinstance(part, HeapProfile)]
        if totals[-1] - totals[len(totals) // 2] < max(_LEAST_GAIN_BYTES, 0.1 * halfway):
            return None
    return (
        f"the live heap grew from {format_bytes(totals[0])} to {format_bytes(totals[-1])} over {len(totals)} GCs,"
        " too few to say whether it goes on: watch longer with --seconds"
    )


def _live_bytes(part: HeapProfile | HeapCensus) -> int:
    if isinstance(part, HeapCensus):
        return part.live_bytes
    return sum(site.inuse_bytes for site in part.sites)


def _verdict(suspects: Sequence[Finding], missing: Sequence[str], watch: Watch) -> Verdict:
    if any(item.confidence is not Confidence.POSSIBLE for item in suspects):
        return Verdict.LEAK
    if any(item.surely_grows for item in suspects):
        return Verdict.LEAK
    long_enough = watch.elapsed_seconds >= min(CLEAN_SECONDS, watch.deadline_seconds * 0.95)
    if suspects or missing or watch.probing or watch.tracing or not long_enough:
        return Verdict.UNDECIDED
    return Verdict.CLEAN


def _settled(
    suspects: Sequence[Finding], verdict: Verdict, watch: Watch, traces: Sequence[TraceSummary]
) -> bool:
    if watch.tracing or watch.probing or watch.elapsed_seconds < LEAST_SECONDS:
        return False
    if watch.searching and watch.elapsed_seconds < UNSURE_SECONDS:
        return False
    if verdict is Verdict.LEAK and suspects[0].confidence is not Confidence.POSSIBLE:
        return True
    if watch.offers_trace and not traces:
        return False
    if verdict is Verdict.LEAK:
        # The kind is certain, the line is not, and several traces have not told more.
        return len(traces) >= 2 and watch.elapsed_seconds >= UNSURE_SECONDS
    return verdict is Verdict.CLEAN
