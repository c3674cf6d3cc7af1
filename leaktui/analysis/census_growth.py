"""Live heap that grows, where the program keeps no heap profile: by size of object and by type.

Law: what lies in the heap is live only right after a GC, so of all looks between two GCs the smallest counts.
Size and type do not name a line: a suspect found here is only possible, however sure its growth, unless probes have
booked who makes what stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from leaktui.analysis.growth import rises
from leaktui.analysis.holder_paths import holder_evidence, root_frames
from leaktui.analysis.ledger_accounts import Account, balance
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures
from leaktui.model.assessment import Slope
from leaktui.model.finding import Confidence, Evidence, Finding, LeakKind
from leaktui.model.heap_census import HeapCensus
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.snapshot import Snapshot
from leaktui.text import format_bytes, format_count, format_rate, printable

_LEAST_OBSERVATIONS = 4
_LEAST_BYTES = 1 << 20
_LEAST_SHARE = 0.05
"""The live heap must gain this share of what it was."""

_LEAST_SURVIVORS = 3
_LEAST_BOOKED_SHARE = 0.3
"""Who is named must make this share of the growth."""

_NAMED = 3
_LOOKS_SAMPLED = 3


def census_observations(snapshots: Sequence[Snapshot]) -> list[tuple[float, HeapCensus]]:
    """The smallest look after each GC, oldest first. Nothing where the number of GCs is not known."""
    smallest: dict[int, tuple[float, HeapCensus]] = {}
    for time, census in captures(snapshots, lambda s: s.heap_census, lambda s: s.heap_census_time):
        if census.gc_cycles is None:
            continue
        known = smallest.get(census.gc_cycles)
        if known is None or census.live_bytes < known[1].live_bytes:
            smallest[census.gc_cycles] = (time, census)
    return [smallest[cycle] for cycle in sorted(smallest)]


def find_census_suspects(snapshots: Sequence[Snapshot]) -> list[Finding]:
    """One finding when the live heap rises, with the sizes and types that rise most."""
    observed = census_observations(snapshots)
    if len(observed) < _LEAST_OBSERVATIONS:
        return []
    total = [(time, float(census.live_bytes)) for time, census in observed]
    slope = rises(total, least_gain=max(_LEAST_BYTES, _LEAST_SHARE * total[0][1]))
    if slope is None:
        return []
    newest = observed[-1][1]
    evidence = [
        Evidence(
            "memory",
            f"the live heap grew from {format_bytes(total[0][1])} to {format_bytes(total[-1][1])} over"
            f" {len(observed)} GCs ({format_rate(slope.per_minute, as_bytes=True)})",
        )
    ]
    evidence += _rising_parts(observed, _sizes, "objects of")
    evidence += _rising_parts(observed, _types, "values of type")
    samples = set(growing_samples(snapshots))
    searches = [search for search in snapshots[-1].holders if search.subject in samples]
    evidence += holder_evidence(searches)
    return [
        Finding(
            kind=LeakKind.HEAP,
            confidence=Confidence.POSSIBLE,
            function="",
            location=None,
            stack=(),
            count=newest.objects,
            growth_per_minute=slope.per_minute,
            evidence=tuple(evidence),
            advice="The program keeps no heap profile: import net/http/pprof (or runtime/pprof) in it, and the line"
            " that allocates them is known.",
            surely_grows=True,
            candidates=root_frames(searches),
        )
    ]


def locate_by_books(findings: list[Finding], snapshot: Snapshot, program: Program) -> list[Finding]:
    """*findings* with the line of who makes the large allocations that stay, where probes booked them."""
    ledger = snapshot.ledger(LedgerKind.ALLOCATIONS)
    if ledger is None or ledger.seconds <= 0:
        return findings
    accounts = sorted(balance(ledger, snapshot, program), key=lambda item: -item.surviving_bytes)
    accounts = [item for item in accounts if item.attribution is not None]
    if not accounts or accounts[0].left_open < _LEAST_SURVIVORS:
        return findings
    top = accounts[0]
    alone = len(accounts) < 2 or accounts[1].surviving_bytes < 0.5 * top.surviving_bytes
    per_minute = top.surviving_bytes / ledger.seconds * 60
    return [
        _located(finding, top, ledger, alone=alone)
        if finding.location is None and per_minute >= _LEAST_BOOKED_SHARE * (finding.growth_per_minute or 0.0)
        else finding
        for finding in findings
    ]


def _located(finding: Finding, account: Account, ledger: Ledger, *, alone: bool) -> Finding:
    assert account.attribution is not None
    text = (
        f"{format_count(account.left_open)} of {format_count(account.opened)} large allocations made here in"
        f" {ledger.seconds:.0f} s have lived through two collections: {format_bytes(account.surviving_bytes)}"
    )
    return replace(
        finding,
        confidence=Confidence.LIKELY if alone else Confidence.POSSIBLE,
        function=account.attribution.frame.function,
        location=account.attribution.frame,
        stack=account.stack,
        evidence=(Evidence("probes", text), *finding.evidence),
        advice="What is allocated here stays reachable: bound the map, slice or cache that keeps it.",
    )


def growing_samples(snapshots: Sequence[Snapshot]) -> tuple[int, ...]:
    """Addresses of a few objects of the size that gains most live bytes: whose holder is worth looking for.

    Those of an earlier look stay, as long as it is the same size that grows.
    """
    observed = census_observations(snapshots)
    if len(observed) < _LEAST_OBSERVATIONS:
        return ()
    before = {(item.size, item.scannable): item.live_bytes for item in observed[0][1].classes}
    key, gain = (0, False), 0
    for item in observed[-1][1].classes:
        gained = item.live_bytes - before.get((item.size, item.scannable), 0)
        if gained > gain:
            key, gain = (item.size, item.scannable), gained
    return tuple(
        dict.fromkeys(
            sample
            for _, census in observed[-_LOOKS_SAMPLED:]
            for item in census.classes
            if gain and (item.size, item.scannable) == key
            for sample in item.samples
        )
    )


def _sizes(census: HeapCensus) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in census.classes:
        size = f"{format_count(item.size)} bytes" if item.size else "more than 32 KiB each"
        name = f"{size}, {'with' if item.scannable else 'without'} pointers"
        found[name] = found.get(name, 0) + item.live_bytes
    return found


def _types(census: HeapCensus) -> dict[str, int]:
    return {printable(item.type_name, 120): item.live_bytes for item in census.types}


def _rising_parts(
    observed: Sequence[tuple[float, HeapCensus]],
    parts: Callable[[HeapCensus], dict[str, int]],
    words: str,
) -> Iterable[Evidence]:
    """Those of the newest look's parts that rise, the fastest first."""
    split = [(time, parts(census)) for time, census in observed]
    gained = split[-1][1]
    rising: list[tuple[float, str, Slope]] = []
    for name in gained:
        points = [(time, float(sizes.get(name, 0))) for time, sizes in split]
        slope = rises(points, least_gain=_LEAST_BYTES / 4)
        if slope is not None:
            rising.append((points[-1][1] - points[0][1], name, slope))
    rising.sort(key=lambda item: -item[0])
    for gain, name, slope in rising[:_NAMED]:
        yield Evidence(
            "memory",
            f"{words} {name}: {format_bytes(gain)} more ({format_rate(slope.per_minute, as_bytes=True)})",
        )
