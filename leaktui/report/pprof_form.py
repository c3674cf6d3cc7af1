"""What was found as a pprof profile: goroutines, open bodies and live heap on their stacks.

Law: pure. The sum of a column is what the panes count: nothing that is listed is left out, and what has no known
stack stands on a frame that says so. A body stands on its owner's line as seen, or, labelled `owner=inferred`, as the
report has it: put down to the only suspect. Labels that quote the target are masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from leaktui.model.assessment import Assessment
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup, Labels
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.profile import HeapProfile, ValueType
from leaktui.model.snapshot import Snapshot
from leaktui.report.redaction import MASKED, Redaction
from leaktui.wire.profile_encoder import Entry, Executable, Number, encode_profile

GOROUTINES = ValueType("goroutines", "count")
OPEN_BODIES = ValueType("open_bodies", "count")
BUFFERED = ValueType("buffered_bytes", "bytes")
LIVE_OBJECTS = ValueType("inuse_objects", "count")
LIVE_BYTES = ValueType("inuse_space", "bytes")

_GROUP_COLUMNS = (GOROUTINES,)
_BODY_COLUMNS = (OPEN_BODIES, BUFFERED)
_HEAP_COLUMNS = (LIVE_OBJECTS, LIVE_BYTES)
_LEDGER_COLUMNS = (
    ValueType("open", "count"),
    ValueType("opened", "count"),
    ValueType("closed", "count"),
    ValueType("bytes", "bytes"),
)

NO_STACK: Stack = (Frame("(no stack was seen)"),)
NO_OWNER: Stack = (Frame("(who opened it was not seen)"),)
NOT_LISTED: Stack = (Frame("(counted, but not seen one by one)"),)


def format_pprof(
    snapshot: Snapshot,
    assessment: Assessment,
    *,
    build_id: str = "",
    redaction: Redaction = MASKED,
    time_ns: int = 0,
    only: Sequence[ValueType] = (),
) -> bytes:
    """A gzip-compressed profile.proto of what *snapshot* and *assessment* hold.

    Columns: goroutines; open bodies with the bytes that wait in them; live heap; as far as they were seen, and
    among *only* where it is given. *time_ns* is nanoseconds since 1970.
    """
    parts: list[tuple[Sequence[ValueType], list[Entry]]] = []
    groups = _groups(snapshot)
    if groups is not None:
        parts.append((_GROUP_COLUMNS, list(_group_entries(groups, assessment, redaction))))
    if assessment.bodies or assessment.open_bodies is not None:
        parts.append((_BODY_COLUMNS, list(_body_entries(snapshot, assessment, redaction))))
    if snapshot.heap is not None:
        parts.append((_HEAP_COLUMNS, list(_heap_entries(snapshot.heap))))
    if only:
        parts = [part for part in parts if set(part[0]) & set(only)]
    columns = [column for part, _ in parts for column in part] or list(_GROUP_COLUMNS)
    entries = [_widened(entry, columns, part) for part, found in parts for entry in found]
    exe = redaction.name(snapshot.target.exe)
    return encode_profile(
        columns,
        entries,
        default_column=_default_column(assessment, columns),
        time_ns=time_ns,
        executable=Executable(exe, build_id) if exe else None,
        comments=("written by leaktui; choose a column with -sample_index",),
    )


def format_ledger_pprof(
    ledger: Ledger, *, exe: str = "", build_id: str = "", redaction: Redaction = MASKED, time_ns: int = 0
) -> bytes:
    """The books of probes as a profile: what is open, was opened and closed since they were armed, by chain."""
    entries = []
    for place in ledger.places:
        size = place.surviving_bytes if ledger.kind is LedgerKind.ALLOCATIONS else place.bytes
        values = (place.open, place.opened, place.closed, size)
        entries.append(Entry(_safe_stack(place.stack, redaction) or NO_STACK, values))
    exe = redaction.name(exe)
    return encode_profile(
        _LEDGER_COLUMNS,
        entries,
        default_column="open",
        time_ns=time_ns,
        executable=Executable(exe, build_id) if exe else None,
        comments=(f"written by leaktui: {ledger.kind.value} since probes were armed",),
    )


def _default_column(assessment: Assessment, columns: Sequence[ValueType]) -> str:
    """The column the culprit is counted in."""
    of_kind = {LeakKind.HTTP_BODY: OPEN_BODIES, LeakKind.HEAP: LIVE_BYTES}
    kind = assessment.suspects[0].kind if assessment.suspects else LeakKind.GOROUTINE
    wanted = (of_kind.get(kind, GOROUTINES), GOROUTINES, OPEN_BODIES, LIVE_BYTES)
    return next(column for column in wanted if column in columns).name


def _widened(entry: Entry, columns: Sequence[ValueType], own: Sequence[ValueType]) -> Entry:
    """*entry*, which has values for its *own* columns only, with 0 in all others."""
    values = dict(zip(own, entry.values, strict=True))
    return Entry(entry.stack, tuple(values.get(column, 0) for column in columns), entry.labels, entry.numbers)


# -- goroutines --------------------------------------------------------------------------------


def _groups(snapshot: Snapshot) -> Sequence[GoroutineGroup] | None:
    """Goroutines by stack: as they were counted, or else as the dump lists them."""
    if snapshot.groups is not None or snapshot.goroutines is None:
        return snapshot.groups
    counts: dict[tuple[Stack, Labels, str, Frame | None], int] = {}
    for item in snapshot.goroutines:
        key = item.stack, item.labels, item.wait_reason, item.created_by
        counts[key] = counts.get(key, 0) + 1
    return [
        GoroutineGroup(count, stack, labels, reason, creator)
        for (stack, labels, reason, creator), count in counts.items()
    ]


def _group_entries(
    groups: Iterable[GoroutineGroup], assessment: Assessment, redaction: Redaction
) -> Iterator[Entry]:
    unreachable = {(row.group.labels, row.group.stack): row.unreachable for row in assessment.groups}
    for group in groups:
        labels = [(redaction.text(key, 80), redaction.text(text, 200)) for key, text in group.labels]
        if group.wait_reason:
            labels.append(("wait_reason", redaction.name(group.wait_reason)))
        if group.created_by is not None:
            labels.append(("created_by", redaction.name(group.created_by.function)))
        suspect = _suspect_of(group.stack, LeakKind.GOROUTINE, assessment.suspects)
        if suspect:
            labels.append(("suspect", suspect))
        if unreachable.get((group.labels, group.stack)):
            labels.append(("state", "nothing can wake it"))
        numbers: tuple[Number, ...] = ()
        if group.oldest_wait_minutes is not None:
            numbers = (Number("age", group.oldest_wait_minutes * 60, "seconds"),)
        stack = _safe_stack(group.stack, redaction) or NO_STACK
        yield Entry(stack, (group.count,), tuple(labels), numbers)


def _suspect_of(stack: Stack, kind: LeakKind, suspects: Iterable[Finding]) -> str:
    """How sure the suspect is whose line is in *stack*: `proven`; empty for none."""
    places = {(frame.function, frame.file, frame.line) for frame in stack}
    for finding in suspects:
        at = finding.location
        if finding.kind is kind and at is not None and (at.function, at.file, at.line) in places:
            return finding.confidence.value
    return ""


# -- bodies ------------------------------------------------------------------------------------


def _body_entries(snapshot: Snapshot, assessment: Assessment, redaction: Redaction) -> Iterator[Entry]:
    chains = _chains(snapshot.ledger(LedgerKind.BODIES))
    suspect, missing = _only_suspect(assessment)
    for body in assessment.bodies:
        stack = _from_owner(body.stack or chains.get(body.address, ()), body.owner)
        inferred = body.owner_inferred
        if not stack and suspect is not None and missing and body.state is not BodyState.BEING_READ:
            stack, inferred = _from_owner(suspect.stack, suspect.location), True
            missing -= 1
        values = (1, max(0, body.buffered_bytes or 0) + max(0, body.kernel_bytes or 0))
        numbers = []
        if body.status is not None:
            numbers.append(Number("status", body.status))
        if body.age_seconds is not None:
            numbers.append(Number("age", round(body.age_seconds), "seconds"))
        yield Entry(
            _safe_stack(stack, redaction) or NO_OWNER,
            values,
            (*_body_labels(body, redaction), *((("owner", "inferred"),) if inferred else ())),
            tuple(numbers),
        )
    # Through a goroutine profile alone bodies are a number.
    if not assessment.bodies and assessment.open_bodies:
        yield Entry(NOT_LISTED, (assessment.open_bodies, 0))


def _only_suspect(assessment: Assessment) -> tuple[Finding | None, int]:
    """The only line bodies are put down to, and how many it is accused of beyond those it was seen with."""
    found = [item for item in assessment.suspects if item.kind is LeakKind.HTTP_BODY]
    if len(found) != 1 or found[0].location is None:
        return None, 0
    at = found[0].location
    seen = sum(
        body.owner is not None and (body.owner.function, body.owner.line) == (at.function, at.line)
        for body in assessment.bodies
    )
    return found[0], max(0, found[0].count - seen)


def _chains(ledger: Ledger | None) -> dict[int, Stack]:
    """Who opened the bodies that probes saw, by the body's address."""
    if ledger is None:
        return {}
    return {
        item.key: ledger.places[item.place].stack
        for item in ledger.open
        if item.key and item.place < len(ledger.places)
    }


def _from_owner(stack: Stack, owner: Frame | None) -> Stack:
    """*stack* from its owner outwards, so that the owner is the one the profile counts flat."""
    if owner is None:
        return stack
    for index, frame in enumerate(stack):
        if (frame.function, frame.file, frame.line) == (owner.function, owner.file, owner.line):
            return stack[index:]
    return (owner,)


def _body_labels(body: BodyHolder, redaction: Redaction) -> Labels:
    labels = [("state", "orphaned" if body.orphaned else body.state.value), ("protocol", body.protocol)]
    url = redaction.url(body.url)
    labels += [
        ("method", redaction.name(body.method)),
        ("host", redaction.name(_host_of(body))),
        ("url", url),
        ("peer", redaction.name(body.peer)),
        ("suspect", body.confidence.value if body.confidence is not Confidence.POSSIBLE else ""),
    ]
    return tuple((key, text) for key, text in labels if text)


def _host_of(body: BodyHolder) -> str:
    """The host asked, or else the peer's address."""
    try:
        host = urlsplit(body.url).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return host or body.peer


# -- heap --------------------------------------------------------------------------------------


def _heap_entries(heap: HeapProfile) -> Iterator[Entry]:
    for site in heap.sites:
        if site.inuse_objects or site.inuse_bytes:
            stack = _safe_stack(_without_allocator(site.stack), MASKED) or NO_STACK
            yield Entry(stack, (site.inuse_objects, site.inuse_bytes))


def _without_allocator(stack: Stack) -> Stack:
    """*stack* without the runtime's own frames at its inner end, as Go's heap profiles have it."""
    for index, frame in enumerate(stack):
        if not frame.function.startswith("runtime."):
            return stack[index:]
    return stack


def _safe_stack(stack: Stack, redaction: Redaction) -> Stack:
    """*stack* with names that are safe to print; the same objects where they are already, as they always should be."""
    if all(frame.function.isprintable() and frame.file.isprintable() for frame in stack):
        return stack
    return tuple(
        Frame(redaction.name(item.function), redaction.name(item.file), item.line, item.pc, item.inlined)
        for item in stack
    )
