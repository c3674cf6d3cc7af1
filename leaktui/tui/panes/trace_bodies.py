"""Response bodies a trace saw handed over and not let go: the request that left each, and who read it last.

Law: the request is the one of the hand-off; the stack that had the connection opened is shown as just that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import BodyHandoff, TraceSummary
from leaktui.text import format_count
from leaktui.tui.details import field, stack_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel
from leaktui.tui.remembered import remembered
from leaktui.tui.trace_words import moment_text, span_text
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import frame_place, function_name, heading, owner_of

_UNKNOWN_CALLER = "asked before the trace"
_MOST_LISTED = 30
_NO_READER = "Nobody was seen reading a body that was open at the end."


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body that was open at the end of `trace`."""

    handoff: BodyHandoff
    trace: TraceSummary

    @property
    def owner(self) -> Frame | None:
        """Who asked for it, as the hand-off shows."""
        return owner_of(self.handoff.stack)

    @property
    def opener(self) -> Frame | None:
        """Who had the connection opened."""
        return owner_of(self.handoff.connection_stack)

    @property
    def age_ns(self) -> int:
        return self.trace.end_ns - self.handoff.opened_ns

    @property
    def since_read_ns(self) -> int | None:
        read = self.handoff.last_read_ns
        return self.trace.end_ns - read if read is not None else None

    @property
    def name(self) -> str:
        return self.owner.function if self.owner is not None else ""


@remembered
def kept_bodies(trace: TraceSummary | None) -> list[KeptBody]:
    """Those open at the end: first what nobody is reading, each oldest first."""
    if trace is None:
        return []
    kept = [KeptBody(handoff, trace) for handoff in trace.handoffs if handoff.released_ns is None]
    return sorted(kept, key=lambda body: body.handoff.reader_goid is not None)


def holder_text(handoff: BodyHandoff) -> str:
    """Who waits at the other end: `readLoop 812`."""
    return f"{'readLoop' if handoff.protocol == 'HTTP/1' else 'doRequest'} {handoff.holder_goid}"


def reading_span(body: KeptBody) -> Span:
    """What reads it now, or when something last did."""
    handoff, since = body.handoff, body.since_read_ns
    if handoff.reader_goid is not None:
        return "read now", "success"
    if since is None:
        return "not read", "muted"
    if not handoff.last_read_sure:
        return f"~ {span_text(since)} ago", "muted"
    return f"{span_text(since)} ago", "plain"


def caller_text(handoff: BodyHandoff) -> str:
    """What became of who asked: `goroutine 12, gone`."""
    if not handoff.caller_goid:
        return UNKNOWN
    state = {True: "alive", False: "gone", None: "not known whether alive"}[handoff.caller_alive]
    return f"goroutine {handoff.caller_goid}, {state}"


def body_lines(body: KeptBody) -> list[DocLine]:
    """One body: the request that left it, who held and read it, who opened the connection."""
    handoff, trace = body.handoff, body.trace
    text, tone = reading_span(body)
    if handoff.last_reader_goid is not None:
        text += f", by goroutine {handoff.last_reader_goid}"
    if not handoff.last_read_sure:
        text += "; perhaps of another body: the call that asked for this one was not on its stack"
    lines = [
        field("held by", f"{holder_text(handoff)}, {handoff.protocol}, still waiting at the end"),
        field(
            "open since", f"{moment_text(trace, handoff.opened_ns)} of the trace: {span_text(body.age_ns)}"
        ),
        field("asked by", caller_text(handoff)),
        field("read", text, tone),
    ]
    if trace.truncated:
        lines.append(field("note", "the end of the trace is missing", "warning"))
    lines += [DocLine(), DocLine(heading("The request that left it"))]
    if handoff.stack:
        lines += stack_lines(handoff.stack, body.owner)
    else:
        lines.append(DocLine((("  It was sent before the trace began: its caller is not in it.", "muted"),)))
    if handoff.last_read_stack:
        lines += [DocLine(), DocLine(heading("The last read")), *stack_lines(handoff.last_read_stack)]
    if handoff.caller_stack and handoff.caller_stack not in (handoff.stack, handoff.last_read_stack):
        lines += [
            DocLine(),
            DocLine(heading("Where its caller was last seen")),
            *stack_lines(handoff.caller_stack),
        ]
    if handoff.connection_stack:
        lines += [
            DocLine(),
            DocLine(heading("Connection opened by")),
            DocLine(
                (("  Kept alive, it serves whoever comes: this need not be who left the body.", "muted"),)
            ),
            *stack_lines(handoff.connection_stack, body.opener),
        ]
    return lines


def _where(body: KeptBody) -> str:
    return frame_place(body.owner)


def _search(body: KeptBody) -> str:
    handoff = body.handoff
    frames = (*handoff.stack, *handoff.connection_stack)
    return "\n".join(
        (holder_text(handoff), handoff.protocol, *(f"{frame.function} {frame.file}" for frame in frames))
    )


_COLUMNS: tuple[Column[KeptBody], ...] = (
    Column("held by", lambda row: (holder_text(row.handoff), "plain"), lambda row: row.handoff.holder_goid, 15),
    number_column("open for", lambda row: row.age_ns, span_text, 8, tone="strong"),
    Column("last read", reading_span, lambda row: row.since_read_ns, 12, align="right"),
    name_column("left by", lambda row: row.name, 18, 3, show=function_name),
    name_column("where", _where, 14, 1, tone="accent", cut="start"),
    name_column("asked by", lambda row: caller_text(row.handoff), 22, 1, rank=1, tone="muted"),
    name_column("proto", lambda row: row.handoff.protocol, 6, rank=3, tone="muted"),
    name_column(
        "connection opened by", lambda row: row.opener.function if row.opener is not None else "", 20, 1,
        show=function_name, rank=2, tone="muted",
    ),
)  # fmt: skip


def _open_body(body: KeptBody) -> Level:
    name = function_name(body.name) if body.owner is not None else holder_text(body.handoff)
    return DocumentLevel(name, lambda facts: body_lines(body), frame=body.owner)


def _empty(text: str) -> Callable[[Facts], str]:
    return lambda facts: (
        "No response body handed over in this trace was open at its end." if facts.snapshot.trace else text
    )


def bodies_listing(empty: str, where: Callable[[KeptBody], bool] | None = None) -> Listing[KeptBody]:
    """Bodies left open, one by one; *where* keeps some."""

    def rows(facts: Facts) -> Sequence[KeptBody]:
        kept = kept_bodies(facts.snapshot.trace)
        return kept if where is None else [row for row in kept if where(row)]

    return Listing(
        "bodies left open, one by one" if where is None else "", "bodies", _COLUMNS, rows,
        lambda row: (row.handoff.holder_goid, row.handoff.opened_ns), _search,
        lambda row, facts: body_lines(row), _open_body, lambda row: row.owner, sort=None, empty=_empty(empty),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """Open bodies that the same line asked for."""

    owner: Frame | None
    bodies: tuple[KeptBody, ...]

    @property
    def name(self) -> str:
        return self.owner.function if self.owner is not None else ""

    @property
    def reading(self) -> int:
        return sum(body.handoff.reader_goid is not None for body in self.bodies)

    @property
    def gone(self) -> int:
        return sum(body.handoff.caller_alive is False for body in self.bodies)

    @property
    def oldest_ns(self) -> int:
        return max(body.age_ns for body in self.bodies)


@remembered
def requests(trace: TraceSummary | None) -> list[Request]:
    """Lines that asked, those that left most bodies nobody reads first."""
    found: dict[tuple[str, str, int], list[KeptBody]] = {}
    for body in kept_bodies(trace):
        owner = body.owner
        key = (owner.function, owner.file, owner.line) if owner is not None else ("", "", 0)
        found.setdefault(key, []).append(body)
    rows = [Request(bodies[0].owner, tuple(bodies)) for bodies in found.values()]
    return sorted(rows, key=lambda row: (-(len(row.bodies) - row.reading), -len(row.bodies)))


_REQUEST_COLUMNS: tuple[Column[Request], ...] = (
    number_column("open", lambda row: len(row.bodies), format_count, 6, tone="strong"),
    number_column("read now", lambda row: row.reading, format_count, 8),
    number_column("caller gone", lambda row: row.gone, format_count, 11),
    number_column("oldest", lambda row: row.oldest_ns, span_text, 8),
    name_column("left by", lambda row: row.name, 20, 3, show=function_name),
    name_column("where", lambda row: frame_place(row.owner), 14, 1, tone="accent", cut="start"),
)


def requests_listing(empty: str) -> Listing[Request]:
    """Bodies left open, by the line that asked for them."""

    def describe(row: Request, facts: Facts) -> Sequence[DocLine]:
        if len(row.bodies) == 1:
            return body_lines(row.bodies[0])
        stack: Stack = row.bodies[0].handoff.stack
        return [
            field(
                "open", f"{format_count(len(row.bodies))} at the end of the trace, {row.reading} being read"
            ),
            field("callers", f"{format_count(row.gone)} of those who asked are gone"),
            DocLine(),
            DocLine(heading("The request that left them")),
            *stack_lines(stack, row.owner),
            DocLine(),
            DocLine(heading("Held by")),
            *(
                DocLine(
                    (
                        (f"  {holder_text(body.handoff)}", "plain"),
                        (f"  for {span_text(body.age_ns)}", "muted"),
                    ),
                    wrap=False,
                )
                for body in row.bodies[:_MOST_LISTED]
            ),
        ]

    def open_row(row: Request) -> Level:
        if len(row.bodies) == 1:
            return _open_body(row.bodies[0])
        place = (row.name, frame_place(row.owner))
        name = function_name(row.name) if row.owner is not None else _UNKNOWN_CALLER
        return TableLevel(name, [bodies_listing("", lambda body: (body.name, _where(body)) == place)])

    return Listing(
        "bodies left open, by request", "lines", _REQUEST_COLUMNS, lambda facts: requests(facts.snapshot.trace),
        lambda row: (row.name, frame_place(row.owner)), lambda row: f"{row.name}\n{frame_place(row.owner)}",
        describe, open_row, lambda row: row.owner, sort=None, empty=_empty(empty),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """A goroutine last seen in a read of a body. `body` is None where the trace does not show whose it was."""

    goid: int
    stack: Stack
    body: KeptBody | None
    now: bool

    @property
    def owner(self) -> Frame | None:
        return owner_of(self.stack)


@remembered
def readers(trace: TraceSummary | None) -> list[Reader]:
    """Who was in a read at the end, then who left one last; each body once."""
    if trace is None:
        return []
    rows = [
        Reader(
            body.handoff.last_reader_goid,
            body.handoff.last_read_stack,
            body,
            body.handoff.reader_goid is not None,
        )
        for body in kept_bodies(trace)
        if body.handoff.last_reader_goid is not None
    ]
    rows += [Reader(item.goid, item.stack, None, True) for item in trace.body_readers if not item.matched]
    return sorted(rows, key=_rank)


def _rank(row: Reader) -> tuple[bool, bool, int]:
    """Those who read now first, those that may have read something else last."""
    if row.body is None:
        return False, False, 0
    return not row.now, not row.body.handoff.last_read_sure, row.body.since_read_ns or 0


def _when(row: Reader) -> Span:
    return ("reads now", "success") if row.now or row.body is None else reading_span(row.body)


def _asked(row: Reader) -> str:
    return row.body.name if row.body is not None else ""


_READER_COLUMNS: tuple[Column[Reader], ...] = (
    Column("goroutine", lambda row: (str(row.goid), "strong"), lambda row: row.goid, 10, align="right"),
    Column("last read", _when, lambda row: row.body.since_read_ns if row.body is not None else None, 12, align="right"),
    name_column("reads in", lambda row: row.owner.function if row.owner is not None else "", 18, 2, show=function_name),
    name_column("where", lambda row: frame_place(row.owner), 14, 1, tone="muted", cut="start"),
    name_column("asked for by", _asked, 16, 2, show=function_name),
    name_column(
        "asked where", lambda row: frame_place(row.body.owner) if row.body is not None else "", 14, 1, rank=1,
        tone="accent", cut="start",
    ),
)  # fmt: skip


def reader_lines(row: Reader) -> list[DocLine]:
    """A reader with the body it read."""
    if row.body is not None:
        return body_lines(row.body)
    return [
        field("goroutine", str(row.goid)),
        field("read", "was inside a read of a body at the end of the trace", "success"),
        field("body", "handed over before the trace, or in a way it does not show"),
        DocLine(),
        DocLine(heading("Stack")),
        *stack_lines(row.stack, row.owner),
    ]


def readers_listing(empty: str) -> Listing[Reader]:
    """Goroutines last seen in a read of a body that was open at the end."""
    return Listing(
        "last seen in a read", "readers", _READER_COLUMNS, lambda facts: readers(facts.snapshot.trace),
        lambda row: (row.goid, row.body.handoff.holder_goid if row.body is not None else 0),
        lambda row: "\n".join((str(row.goid), _asked(row), *(frame.function for frame in row.stack))),
        lambda row, facts: reader_lines(row),
        lambda row: DocumentLevel(f"goroutine {row.goid}", lambda facts: reader_lines(row), frame=row.owner),
        lambda row: row.owner, sort=None,
        empty=lambda facts: _NO_READER if facts.snapshot.trace else empty,
    )  # fmt: skip
