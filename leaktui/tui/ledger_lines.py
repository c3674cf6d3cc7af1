"""The books of probes as lines: their sums, an owner's account, and one thing that is still open. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from leaktui.engines.protocol import LEDGERS
from leaktui.model.assessment import LedgerRow
from leaktui.model.body import BodyHolder
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.text import format_bytes, format_count, format_duration, masked_url, printable, short_path
from leaktui.tui.body_lines import ORPHANED
from leaktui.tui.details import field, stack_lines
from leaktui.tui.facts import Facts
from leaktui.tui.holder_lines import HolderLook, holders_lines
from leaktui.tui.links import GoroutineLink
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.sparkline import draw_sparkline
from leaktui.tui.widgets.toned import Line, Span, Tone, fit_line, join, line_width, wrap_line
from leaktui.tui.wording import CONFIDENCE_TONES, frame_path, frame_place, function_name, heading

_MOST_CHAINS = 20
_GRAPH_WIDTH = 24
_CRUMB_WIDTH = 26
_MOST_RESERVATION_LINES = 3
_SEPARATOR: Span = (" · ", "muted")


@dataclass(frozen=True, slots=True)
class OpenOne:
    """One thing that is open, with what else is known of it. `age` is seconds.

    `place` is where it was opened, `owner` the frame it is put down to, `body` what memory sees of it.
    """

    kind: LedgerKind
    item: Opened
    age: float
    place: LedgerPlace | None = None
    owner: Frame | None = None
    body: BodyHolder | None = None

    @property
    def address(self) -> int:
        """Where it lies in the target's memory; 0 for a descriptor."""
        return 0 if self.kind is LedgerKind.FDS else self.item.key


# -- sums ----------------------------------------------------------------------------------------


def sums_lines(facts: Facts, kind: LedgerKind, width: int) -> tuple[Line, ...]:
    """What the probes for *kind* have counted, in a line; a second one where there is a reservation."""
    ledger = facts.snapshot.ledger(kind)
    ordered = LEDGERS[kind] in facts.under_way
    if ledger is None or (ordered and not ledger.armed):
        return (((" arming the probes…", "accent"),),) if ordered else ()
    if not ordered:
        ledger = replace(ledger, armed=False)  # the process may have ended before the last books came
    lines = [_fit_sums(ledger, width)]
    reservation = _reservation(ledger)
    if reservation:
        lines += wrap_line(((f" {reservation}", "warning"),), width, 1)[:_MOST_RESERVATION_LINES]
    return tuple(lines)


def _fit_sums(ledger: Ledger, width: int) -> Line:
    """The sums in *width* columns: those that say least are left out first."""
    ranked = _sums(ledger)
    while True:
        line: Line = ((" ", "plain"), *join([part for _, part in ranked], _SEPARATOR))
        least = max(rank for rank, _ in ranked)
        if line_width(line) <= width or not least:
            return fit_line(line, width)
        ranked = [item for item in ranked if item[0] < least]


def _sums(ledger: Ledger) -> list[tuple[int, Line]]:
    """(rank, figure); 0 always stays."""
    ended = sum(place.ended for place in ledger.places)
    collected = sum(place.collected for place in ledger.places)
    seconds = format_duration(ledger.seconds) if ledger.seconds >= 9.95 else f"{ledger.seconds:.0f} s"
    state: Line = (("● ", "success"), (f"armed {seconds}", "strong"))
    if not ledger.armed:
        word = "disarmed itself" if ledger.ended else "disarmed"
        state = (("○ ", "muted"), (f"{word} after {seconds}", "warning" if ledger.ended else "muted"))
    if ledger.kind is LedgerKind.ALLOCATIONS:
        figures = [("made", ledger.opened), ("freed", collected), ("still alive", ledger.still_open)]
    else:
        figures = [("opened", ledger.opened), ("closed", ledger.closed), ("still open", ledger.still_open)]
    parts: list[tuple[int, Line]] = [(0, state)]
    parts += [(0, ((f"{word} ", "muted"), (format_count(count), "strong"))) for word, count in figures]
    if ended:
        parts.insert(3, (2, (("to end ", "muted"), (format_count(ended), "plain"))))
    if collected and ledger.kind is not LedgerKind.ALLOCATIONS:
        parts.append((1, (("gone ", "muted"), (format_count(collected), "danger"))))
    dropped: Tone = "warning" if ledger.dropped else "muted"
    parts.append((0 if ledger.dropped else 3, ((f"{format_count(ledger.dropped)} dropped", dropped),)))
    if ledger.probes:
        parts.append((4, ((f"{ledger.probes} probe{'s' if ledger.probes > 1 else ''}", "muted"),)))
    if len(ledger.points) > 1:
        points = [(time, float(count)) for time, count in ledger.points]
        parts.append((5, ((draw_sparkline(points, _GRAPH_WIDTH), "graph"),)))
    return parts


def _reservation(ledger: Ledger) -> str:
    """Why the books are not to be taken at their word, or why they ended."""
    if ledger.ended:
        return printable(ledger.ended, 300)
    if ledger.dropped:
        return f"{format_count(ledger.dropped)} hits were lost, so that the books may be wrong by as many"
    return ""


# -- an owner's account --------------------------------------------------------------------------


def never_closed(row: LedgerRow) -> float | None:
    """The share of what *row* opened that nobody closed and nobody has in hand, 0..1."""
    return row.left_open / row.opened if row.opened else None


def confidence_of(row: LedgerRow) -> Confidence | None:
    """How sure it is that *row* leaves things open; None where it leaves none."""
    if not row.left_open:
        return None
    return Confidence.PROVEN if row.sure and row.owner is not None else Confidence.LIKELY


def row_name(row: LedgerRow) -> str:
    """The owner of *row*, short and safe to draw."""
    return function_name(row.owner.function) if row.owner is not None else "owner not known"


def account_lines(row: LedgerRow, ledger: Ledger | None) -> list[DocLine]:
    """All that one owner opened, and the chains of calls it was opened with."""
    lines = [DocLine(_verdict(row))]
    if row.owner is not None:
        owner = f"{function_name(row.owner.function)}  {frame_path(row.owner)}"
        lines.append(field("owner", owner, "strong" if row.sure else "plain", row.owner))
        if not row.sure:
            lines.append(field("", "a caller of it may own them as well", "muted"))
    else:
        lines.append(field("owner", "not known: no frame outside Go's library was seen", "muted"))
    lines += _count_fields(row)
    if ledger is None:
        return lines
    chains = sorted(places_of(row, ledger), key=lambda place: (-place.open, -place.opened))
    for place in chains[:_MOST_CHAINS]:
        lines += [DocLine(), DocLine(_chain_heading(place)), *stack_lines(place.stack, row.owner)]
        if not place.whole:
            lines.append(DocLine((("  … the calls outside these were not seen …", "muted"),), wrap=False))
    if len(chains) > _MOST_CHAINS:
        lines += [DocLine(), DocLine(((f"… {len(chains) - _MOST_CHAINS} more chains of calls", "muted"),))]
    beside = _beside_lines(ledger)
    return [*lines, DocLine(), DocLine(heading("Not in these books")), *beside] if beside else lines


def _beside_lines(ledger: Ledger) -> list[DocLine]:
    """What the probes passed over, and what they cannot see."""
    texts = [printable(text, 400) for text in ledger.unseen]
    if ledger.closed_unseen:
        texts.insert(
            0, f"{format_count(ledger.closed_unseen)} closed that were open before the probes were armed"
        )
    if ledger.without:
        texts.insert(0, f"{format_count(ledger.without)} responses without a body: nothing to close")
    return [DocLine((("  – ", "muted"), (text, "plain")), indent=4) for text in texts]


def _verdict(row: LedgerRow) -> Line:
    if row.kind is LedgerKind.ALLOCATIONS:
        return ((f"{format_count(row.open)} of {format_count(row.opened)} still alive", "strong"),)
    surely = confidence_of(row)
    text = f"{format_count(row.left_open)} of {format_count(row.opened)} left open"
    if surely is None:
        return ((text, "strong"),)
    return (text, "strong"), (f" · {surely.value}", CONFIDENCE_TONES[surely])


def _count_fields(row: LedgerRow) -> list[DocLine]:
    if row.kind is LedgerKind.ALLOCATIONS:
        return [
            field("made", f"{format_count(row.opened)}, {format_bytes(row.bytes)} in all"),
            field("freed", f"{format_count(row.collected)}, by the garbage collector"),
            field("alive", _open_text(row)),
        ]
    lines = [
        field("opened", format_count(row.opened)),
        field("closed", _closed_text(row)),
        field("still open", _open_text(row)),
    ]
    if row.ended:
        lines.append(
            field("read to end", f"{format_count(row.ended)}, without Close: they hold nothing any more")
        )
    if row.collected:
        text = f"{format_count(row.collected)}: the garbage collector took them, nobody closed them"
        lines.append(field("gone", text, "danger"))
    return lines


def places_of(row: LedgerRow, ledger: Ledger) -> list[LedgerPlace]:
    """The places of *row*; a ledger begun anew meanwhile may have fewer."""
    return [ledger.places[index] for index in row.places if index < len(ledger.places)]


def _closed_text(row: LedgerRow) -> str:
    if row.closing_seconds is None:
        return format_count(row.closed)
    return f"{format_count(row.closed)}, half of them within {_moment(row.closing_seconds)}"


def _moment(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else format_duration(seconds)


def _open_text(row: LedgerRow) -> str:
    parts = [format_count(row.open)]
    if row.busy:
        parts.append(f"{format_count(row.busy)} in use or young")
    if row.oldest_seconds is not None:
        parts.append(f"the oldest for {format_duration(row.oldest_seconds)}")
    return ", ".join(parts)


def _chain_heading(place: LedgerPlace) -> Line:
    counts = (("opened", place.opened), ("closed", place.closed), ("open", place.open))
    words = " · ".join(f"{word} {format_count(count)}" for word, count in counts)
    return (*heading("Opened by"), (f"  {words}", "muted"))


# -- one that is open ----------------------------------------------------------------------------


def open_lines(one: OpenOne, look: HolderLook | None) -> list[DocLine]:
    """One thing that is open: what it is, who opened it when, and who holds it."""
    lines = {
        LedgerKind.BODIES: _body_fields,
        LedgerKind.FDS: _fd_fields,
        LedgerKind.ALLOCATIONS: _allocation_fields,
    }[one.kind](one)
    lines.append(field("open for", format_duration(one.age)))
    if one.item.goid:
        lines.append(field("opened by", f"goroutine {one.item.goid}", target=GoroutineLink(one.item.goid)))
    if one.owner is not None:
        owner = f"{function_name(one.owner.function)}  {frame_path(one.owner)}"
        lines.append(field("owner", owner, "strong", one.owner))
    if look is not None:
        lines += holders_lines(look)
    if one.place is not None:
        lines += [DocLine(), DocLine(heading("Opened at")), *stack_lines(one.place.stack, one.owner)]
    return lines


def open_name(one: OpenOne) -> str:
    """One thing in the breadcrumb."""
    item = one.item
    if one.kind is LedgerKind.FDS:
        return f"fd {item.key}"
    if one.kind is LedgerKind.ALLOCATIONS:
        return f"{format_bytes(item.size)} at {item.key:#x}"
    # The host is the owner's business and mostly the same; what is wanted is on the line below.
    url = masked_url(item.url)
    with suppress(ValueError):
        url = urlsplit(url).path
    name = f"{printable(item.method, 10)} {short_path(url, _CRUMB_WIDTH)}"
    return name.strip() or f"body at {item.key:#x}"


def _body_fields(one: OpenOne) -> list[DocLine]:
    item, body = one.item, one.body
    state: list[Span] = [("open", "strong")]
    if body is not None:
        state = [("orphaned" if body.orphaned else body.state.value, "danger" if body.orphaned else "strong")]
        state.append((" · seen in memory", "muted"))
    request = f"{printable(item.method, 20)} {masked_url(item.url)}".strip()
    status = f"status {item.status}" if item.status is not None else ""
    response = ", ".join(filter(None, (status, printable(item.protocol, 20))))
    lines = [
        DocLine(tuple(state)),
        field("request", request or UNKNOWN),
        field("response", response or UNKNOWN),
    ]
    if item.content_length is not None:
        lines.append(field("length", f"{format_bytes(item.content_length)} declared"))
    if body is None:
        return lines
    if body.orphaned:
        lines.append(field("orphaned", ORPHANED, "danger"))
    connection = ", ".join(
        filter(None, (printable(body.peer, 200), f"fd {body.fd}" if body.fd is not None else ""))
    )
    if connection:
        lines.append(field("connection", connection))
    if body.reader_goid is not None:
        lines.append(
            field("read by", f"goroutine {body.reader_goid}", target=GoroutineLink(body.reader_goid))
        )
    return lines


def _fd_fields(one: OpenOne) -> list[DocLine]:
    return [
        DocLine(((f"fd {one.item.key}", "strong"), (" · open", "plain"))),
        field("name", printable(one.item.name, 400) or UNKNOWN),
    ]


def _allocation_fields(one: OpenOne) -> list[DocLine]:
    return [
        DocLine(((format_bytes(one.item.size), "strong"), (" · alive", "plain"))),
        field("address", f"{one.item.key:#x}"),
    ]


def chain_name(place: LedgerPlace, owner: Frame | None) -> str:
    """What tells one chain of calls of an owner from its others: who called it, or the whole of it."""
    frames: Sequence[Frame] = place.stack
    if owner is not None:
        after = next(
            (
                index
                for index, frame in enumerate(frames)
                if (frame.function, frame.line) == (owner.function, owner.line)
            ),
            None,
        )
        if after is not None:
            frames = frames[after + 1 :]
    return (
        " ← ".join(f"{function_name(frame.function)} {frame_place(frame)}" for frame in frames[:6]) or UNKNOWN
    )
