"""What a goroutine waits on, and what it will still run on its way out, as lines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from leaktui.model.wait import Channel, DeferredCall, GoroutineDetail, Panic, Wait
from leaktui.text import format_count, printable
from leaktui.tui.links import GoroutineLink
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import frame_place, function_name, heading, type_name

_MOST_CHANNELS = 20
_MOST_PEERS = 10
_MOST_CALLS = 50


def detail_lines(detail: GoroutineDetail | None) -> list[DocLine]:
    """The sections on a goroutine that was looked at closely; none of what it has not."""
    if detail is None:
        return []
    lines = wait_lines(detail.wait, detail.goid)
    if detail.panics:
        lines += [DocLine(), DocLine(heading("Panics"))]
        lines += [_panic_line(panic) for panic in detail.panics[:_MOST_CALLS]]
    if detail.deferred:
        count = len(detail.deferred)
        title = (
            "Deferred calls" if count == 1 else f"Deferred calls: {format_count(count)}, the next one first"
        )
        lines += [DocLine(), DocLine(heading(title)), *_deferred_lines(detail.deferred)]
    return lines


def _deferred_lines(calls: Sequence[DeferredCall]) -> list[DocLine]:
    """What is deferred, each defer statement once: in a loop the same one piles up."""
    counts = Counter(_at_one_place(call) for call in calls)
    lines = [_deferred_line(call, count) for call, count in list(counts.items())[:_MOST_CALLS]]
    if len(counts) > _MOST_CALLS:
        lines.append(DocLine(((f"  … {len(counts) - _MOST_CALLS} more defer statements", "muted"),)))
    return lines


def _at_one_place(call: DeferredCall) -> DeferredCall:
    """*call* without the addresses, which differ from one inlined copy of a defer statement to another."""
    place = replace(call.deferred_by, pc=0) if call.deferred_by is not None else None
    return replace(call, function=replace(call.function, pc=0), deferred_by=place)


def wait_lines(wait: Wait, goid: int) -> list[DocLine]:
    """The channels, or the lock, that goroutine *goid* is parked on."""
    lines: list[DocLine] = []
    if wait.channels:
        count = len(wait.channels)
        title = "Waits on" if count == 1 else f"Waits on one of {count} channels"
        lines += [DocLine(), DocLine(heading(title))]
        for channel in wait.channels[:_MOST_CHANNELS]:
            lines += _channel_lines(channel, goid)
        if count > _MOST_CHANNELS:
            lines.append(DocLine(((f"  … {count - _MOST_CHANNELS} more channels", "muted"),)))
    if wait.semaphore:
        text = f"  a Mutex, RWMutex, WaitGroup or Cond at {wait.semaphore:#x}"
        lines += [DocLine(), DocLine(heading("Waits on")), DocLine(((text, "plain"),), indent=2)]
    return lines


def _channel_lines(channel: Channel, goid: int) -> list[DocLine]:
    way = "send to" if channel.sends else "receive from"
    element = f"chan {type_name(channel.type_name)}" if channel.type_name else "a channel"
    buffer = f"{format_count(channel.queued)} of {format_count(channel.capacity)} queued"
    spans: list[Span] = [
        (f"  {way} ", "muted"),
        (element, "strong"),
        (f"  {buffer if channel.capacity else 'unbuffered'}", "plain"),
    ]
    if channel.closed:
        spans.append((", closed", "warning"))
    spans.append((f"  {channel.address:#x}", "muted"))
    lines = [DocLine(tuple(spans), wrap=False)]
    others = [(other, "sends") for other in channel.senders if other != goid]
    others += [(other, "receives") for other in channel.receivers if other != goid]
    for other, does in others[:_MOST_PEERS]:
        lines.append(
            DocLine(
                ((f"    goroutine {other}", "plain"), (f"  {does}", "muted")),
                GoroutineLink(other),
                wrap=False,
            )
        )
    # The goroutine itself is one of those that wait.
    more = max(len(others), channel.waiting - 1) - min(len(others), _MOST_PEERS)
    if more > 0:
        lines.append(DocLine(((f"    … {format_count(more)} more wait on it", "muted"),), wrap=False))
    if not others and more <= 0:
        lines.append(DocLine((("    no other goroutine waits on it", "muted"),), wrap=False))
    return lines


def _deferred_line(call: DeferredCall, count: int) -> DocLine:
    spans: list[Span] = [("  ", "plain"), (function_name(call.function.function), "strong")]
    if count > 1:
        spans.append((f"  {format_count(count)} times", "warning"))
    place = call.deferred_by
    if place is not None:
        where = frame_place(place) if place.file else function_name(place.function)
        spans += [("  deferred at ", "muted"), (where, "accent")]
    elif call.function.file:
        spans.append((f"  {frame_place(call.function)}", "muted"))
    if call.open_coded:
        spans.append(("  open-coded", "muted"))
    return DocLine(tuple(spans), place if place is not None and place.file else call.function, wrap=False)


def _panic_line(panic: Panic) -> DocLine:
    value = printable(panic.value, 400)
    kind = f"  {type_name(panic.type_name)}" if panic.type_name else ""
    spans: list[Span] = [("  panic: ", "muted"), (value or "value not known", "danger"), (kind, "muted")]
    if panic.recovered:
        spans.append(("  recovered", "success"))
    return DocLine(tuple(spans), indent=4)
