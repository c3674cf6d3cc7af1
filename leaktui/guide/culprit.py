"""What the later steps saw of the suspect: its line, one real case of it, and why it is not released. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaktui.analysis.fds import pattern_of
from leaktui.guide.leak_kind import seen_missing
from leaktui.guide.sight import LEDGER_OF, Sight
from leaktui.guide.state import Seen, State, Weight
from leaktui.guide.words import name_of, place_of, request_of
from leaktui.model.assessment import FdRow, GroupRow
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.model.holder import Holder, HolderKind, HolderSearch
from leaktui.model.wait import Channel, GoroutineDetail
from leaktui.text import format_bytes, format_duration, printable

_MOST_EVIDENCE = 3
_MOST_CANDIDATES = 4
_MOST_VALUES = 3
_SURENESS = {
    Confidence.PROVEN: "proven",
    Confidence.LIKELY: "likely, not proven",
    Confidence.POSSIBLE: "possible, no more than that",
}
_WEIGHTS = {
    Confidence.PROVEN: Weight.BAD,
    Confidence.LIKELY: Weight.UNSURE,
    Confidence.POSSIBLE: Weight.UNSURE,
}


def seen_line(sight: Sight, finding: Finding | None) -> tuple[Seen, ...]:
    """The place, how sure it is, and what it rests on."""
    if finding is None:
        return (Seen("no suspect yet: the looking goes on", weight=Weight.SIDE), *seen_missing(sight))
    place = place_of(finding.location)
    lines = [
        Seen(
            f"{name_of(finding.function)}  {place or _no_line(finding)}".rstrip(),
            weight=Weight.MAIN,
            subject=finding,
        ),
        Seen(_SURENESS[finding.confidence], weight=_WEIGHTS[finding.confidence]),
    ]
    if finding.created_by is not None:
        lines.append(
            Seen(f"started by {name_of(finding.created_by.function)}  {place_of(finding.created_by)}")
        )
    lines += [
        Seen(printable(item.text, 400), printable(item.source, 40))
        for item in finding.evidence[:_MOST_EVIDENCE]
    ]
    if finding.confidence is not Confidence.PROVEN:
        lines += [
            Seen(f"it may also be {name_of(frame.function)}  {place_of(frame)}", weight=Weight.SIDE)
            for frame in finding.candidates[:_MOST_CANDIDATES]
            if not _same(frame, finding.location)
        ]
    return tuple(lines)


def _no_line(finding: Finding) -> str:
    return "line not known" if finding.function else ""


def _same(frame: Frame, other: Frame | None) -> bool:
    return other is not None and (frame.function, frame.line) == (other.function, other.line)


# -- one real case -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One real case: a body, the address of an object, a goroutine; empty and 0 for none."""

    body: BodyHolder | None = None
    address: int = 0
    goid: int = 0


def choose_case(sight: Sight, finding: Finding) -> Case:
    """The one to be looked at closely."""
    if finding.kind is LeakKind.HTTP_BODY:
        body = choose_body(sight, finding)
        return Case(body, body.address if body is not None and not body.orphaned else 0)
    if finding.kind is LeakKind.GOROUTINE:
        row = choose_group(sight, finding)
        return Case(goid=row.goids[-1] if row is not None and row.goids else 0)
    return Case(address=choose_object(sight, finding) if finding.kind is LeakKind.HEAP else 0)


def choose_body(sight: Sight, finding: Finding) -> BodyHolder | None:
    """A body of the suspect to look at closely: one that nobody can close, else one whose address is known."""
    mine = [
        body
        for body in sight.assessment.bodies
        if body.state is not BodyState.BEING_READ and _owned(body, finding)
    ]
    mine = mine or [body for body in sight.assessment.bodies if body.state is not BodyState.BEING_READ]
    ranked = sorted(mine, key=lambda body: (not body.orphaned, not body.url, not body.address))
    return ranked[0] if ranked else None


def _owned(body: BodyHolder, finding: Finding) -> bool:
    return body.owner is not None and body.owner.function == finding.function


def choose_group(sight: Sight, finding: Finding) -> GroupRow | None:
    """The group of goroutines the suspect stands for."""
    for row in sight.assessment.groups:
        functions = [frame.function for frame in row.group.stack]
        if finding.function in functions and (
            finding.location is None or any(_same(frame, finding.location) for frame in row.group.stack)
        ):
            return row
    return None


def choose_object(sight: Sight, finding: Finding) -> int:
    """Address of an object as large as those of the suspect's allocation site; 0 where none is known."""
    site = next(
        (
            row.site
            for row in sight.assessment.sites
            if row.owner is not None
            and row.owner.function == finding.function
            and (finding.location is None or row.owner.line == finding.location.line)
        ),
        None,
    )
    census = sight.snapshot.heap_census
    if site is None or census is None or site.inuse_objects <= 0:
        return 0
    size = site.inuse_bytes / site.inuse_objects
    classes = sorted((item for item in census.classes if item.size >= size), key=lambda item: item.size)
    return next((item.samples[-1] for item in classes if item.samples), 0)


def seen_case(state: State, sight: Sight, finding: Finding) -> tuple[Seen, ...]:
    """One body, goroutine, descriptor or object, to the last detail that is known."""
    if finding.kind is LeakKind.HTTP_BODY:
        return tuple(_body_case(state.holder, sight))
    if finding.kind is LeakKind.GOROUTINE:
        return tuple(_goroutine_case(state.goid, sight))
    if finding.kind is LeakKind.FD:
        return tuple(_descriptor_case(sight))
    search = find_search(sight, state.address)
    return tuple(_object_case(search))


def _body_case(body: BodyHolder | None, sight: Sight) -> Iterable[Seen]:
    if body is None:
        return
    source = ", ".join(body.sources)
    if request := request_of(body):
        yield Seen(request, source, Weight.MAIN, body)
    where = [f"fd {body.fd}"] if body.fd is not None else []
    where += [f"peer {printable(body.peer, 100)}"] if body.peer else []
    where += [f"open for {format_duration(body.age_seconds)}"] if body.age_seconds is not None else []
    if where:
        yield Seen(f"{', '.join(where)}, {body.state.value}", source, Weight.PLAIN, None if request else body)
    if body.orphaned:
        yield Seen(
            "the garbage collector has freed the body, and its connection still waits: nobody can close it",
            "memory",
            Weight.BAD,
        )
    if body.goid:
        yield Seen(f"goroutine {body.goid} waits for somebody to read it or close it", source, Weight.SIDE)
    if body.address and (search := find_search(sight, body.address)) is not None:
        yield from _object_case(search, "body")


def find_search(sight: Sight, address: int) -> HolderSearch | None:
    """The newest search for what holds the object at *address*."""
    for search in reversed(sight.snapshot.holders):
        if address and search.subject <= address < search.subject + max(1, search.size):
            return search
    return None


def _object_case(search: HolderSearch | None, what: str = "") -> Iterable[Seen]:
    if search is None:
        return
    name = what or printable(search.type_name, 120) or "object of a type not known"
    size = f" of {format_bytes(search.size)}" if search.size and not what else ""
    if search.unreachable:
        yield Seen(f"nothing that lives holds the {name}: nobody can reach it", "memory", Weight.BAD)
    elif search.path:
        root = search.path[-1]
        yield Seen(f"the {name}{size} is held by {_holder_name(root)}", "memory", Weight.MAIN)
        for holder in search.path[:-1][:3]:
            yield Seen(f"through {_holder_name(holder)}", "memory", Weight.SIDE)
    elif search.done:
        yield Seen(f"what holds the {name} could not be told", "memory", Weight.SIDE)
    else:
        yield Seen(f"looking who holds the {name}…", "memory", Weight.SIDE)


def _holder_name(holder: Holder) -> str:
    field = printable(holder.field, 80)
    if holder.kind is HolderKind.GLOBAL:
        return f"the variable {printable(holder.name, 200)}{field}"
    if holder.kind is HolderKind.FRAME:
        place = f"{name_of(holder.frame.function)} {place_of(holder.frame)}" if holder.frame else "a frame"
        return f"goroutine {holder.goid} in {place}"
    if holder.kind is HolderKind.RUNTIME:
        return f"the runtime ({printable(holder.name, 100) or 'its own lists'})"
    return f"{printable(holder.type_name, 120) or 'an object'}{field}"


def find_detail(sight: Sight, goid: int) -> GoroutineDetail | None:
    """The newest closer look at goroutine *goid*."""
    return next((item for item in reversed(sight.snapshot.details) if goid and item.goid == goid), None)


def _goroutine_case(goid: int, sight: Sight) -> Iterable[Seen]:
    if not goid:
        return
    row = next((row for row in sight.assessment.groups if goid in row.goids), None)
    if row is not None:
        waits = printable(row.group.wait_reason, 60) or "something"
        minutes = row.group.oldest_wait_minutes
        since = f"; the oldest of them for {minutes} min" if minutes else ""
        yield Seen(f"goroutine {goid} waits in {waits}{since}", ", ".join(row.sources), Weight.MAIN, row)
        if row.unreachable:
            every = "all" if row.unreachable >= row.group.count else f"{row.unreachable}"
            yield Seen(
                f"{every} of the {row.group.count} wait for ever: nothing live can wake them",
                "memory",
                Weight.BAD,
            )
    detail = find_detail(sight, goid)
    if detail is None:
        return
    for channel in detail.wait.channels[:2]:
        yield Seen(_channel_text(channel), "memory")
    if detail.wait.semaphore:
        yield Seen("it waits on a lock or a counter (Mutex, WaitGroup, Cond)", "memory")
    for call in detail.deferred[:2]:
        place = f" (deferred at {place_of(call.deferred_by)})" if call.deferred_by is not None else ""
        yield Seen(f"it would still run {name_of(call.function.function)}{place}", "memory", Weight.SIDE)
    for inspection in sight.snapshot.inspections:
        if inspection.goid == goid:
            for frame in inspection.frames[:1]:
                for variable in (*frame.arguments, *frame.variables)[:_MOST_VALUES]:
                    yield Seen(f"{printable(variable.name, 60)} = {printable(variable.value, 120)}", "delve")


def _channel_text(channel: Channel) -> str:
    does = "wants to send to" if channel.sends else "wants to receive from"
    kind = f" of {printable(channel.type_name, 80)}" if channel.type_name else ""
    room = f"with {channel.queued} of {channel.capacity} places taken" if channel.capacity else "without room"
    others = channel.receivers if channel.sends else channel.senders
    nobody = "; nobody is at the other end" if not others else ""
    return f"it {does} a channel{kind} {room}{nobody}"


def _descriptor_case(sight: Sight) -> Iterable[Seen]:
    row = next((row for row in sight.assessment.fds if row.slope is not None and row.slope.rising), None)
    row = row or next(iter(sight.assessment.fds), None)
    if row is None:
        return
    mine = [
        entry
        for entry in sight.snapshot.fds or ()
        if entry.kind is row.kind and pattern_of(entry) == row.pattern
    ]
    pid = sight.snapshot.target.pid
    for entry in mine[-1:]:
        where = f"/proc/{pid}/fd/{entry.fd}" if pid is not None else f"fd {entry.fd}"
        yield Seen(f"{where} → {printable(entry.target, 200)}", "proc", Weight.MAIN)
    yield Seen(_alike(row), "proc", Weight.SIDE)
    kind = LEDGER_OF[LeakKind.FD]
    ledger = sight.snapshot.ledger(kind)
    if ledger is not None and ledger.open:
        oldest = ledger.open[0]
        age = format_duration(ledger.time - oldest.time)
        yield Seen(f"fd {oldest.key} was opened {age} ago and is open still", "probes")


def _alike(row: FdRow) -> str:
    return f"{row.count} like it are open" if row.count != 1 else "it is the only one of its sort"


# -- the fix -----------------------------------------------------------------------------------


def seen_fix(
    explanation: Explanation | None, reason: str, finding: Finding, *, explained: bool
) -> tuple[Seen, ...]:
    """Why it is not released, in a sentence, and what to do."""
    if explanation is not None:
        unsure = "" if explanation.certain else "possibly: "
        lines = [Seen(f"{unsure}{printable(explanation.text, 600)}", "source", Weight.MAIN, finding)]
        lines += [Seen(printable(text, 300), "memory", Weight.SIDE) for text in explanation.seen]
        if explanation.diff and not explanation.diff_certain:
            lines.append(
                Seen("the change below has to be looked over before it is used", weight=Weight.UNSURE)
            )
        return tuple(lines)
    lines = [Seen(reason or "reading the source…", "source", Weight.SIDE)] if reason or not explained else []
    if finding.advice:
        lines.append(Seen(printable(finding.advice, 600), weight=Weight.MAIN, subject=finding))
    return tuple(lines)
